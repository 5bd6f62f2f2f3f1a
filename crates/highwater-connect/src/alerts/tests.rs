use std::path::Path;

use super::*;
use crate::failure::Failure;

#[derive(Default)]
struct Kept(Mutex<Vec<Event>>);

impl Observer for Kept {
    fn event(&self, event: Event) {
        lock(&self.0).push(event);
    }
}

fn pipeline(dir: &Path, script: &str, more: &str) -> Pipeline {
    let text = format!(
        "version = 1\nname = 'shop'\nlog = 'log.hw'\n[alerts]\ncommand = ['sh', '-c', '''{script}''']\n{more}\n"
    );
    Pipeline::parse(&text, dir).unwrap()
}

fn failed(retry_ms: Option<u64>) -> Event {
    let failure = Failure::transient("no");
    let (kind, text) = (failure.kind().name(), failure.to_string());
    Event::Failed { of: "lake".to_owned(), kind, text, attempt: 1, retry_ms }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_command_gets_what_is_asked_for_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let pipeline = pipeline(dir.path(), "cat >> alerts; echo thanks", "on = ['run_failed']");
    let alerts = Alerts::start(&pipeline, kept.clone()).unwrap();
    alerts.event(failed(Some(5)));
    // What was told a moment ago is not told again.
    alerts.event(failed(None));
    alerts.event(failed(None));
    alerts.event(Event::Stopping);
    alerts.event(Event::DiskLow { room: "file_system", free_bytes: 1 });
    alerts.finish(PATIENCE);
    let text = std::fs::read_to_string(dir.path().join("alerts")).unwrap();
    let alert: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&alert["alert"], &alert["pipeline"]), (&"run_failed".into(), &"shop".into()));
    assert_eq!(alert["event"]["of"], "lake");
    let events = lock(&kept.0);
    assert_eq!(events.iter().filter(|event| !matches!(event, Event::Line { .. })).count(), 5);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Line { of, text } if of == "alert" && text == "thanks"))
    );
}

#[test]
fn a_command_that_hangs_is_ended_with_its_children_and_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let script = "trap '' TERM; sleep 600 & echo $! >> children; wait";
    let alerts =
        Alerts::start(&pipeline(dir.path(), script, "timeout = '300ms'\nrepeat_after = '0s'"), kept.clone())
            .unwrap();
    let begun = Instant::now();
    for _ in 0..WAITING_MAX + 2 {
        alerts.event(failed(None));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "it was waited for");
    // The first of them is ended.
    let warned = |what: &str| {
        let has = |event: &Event| matches!(event, Event::Warning { text } if text.contains(what));
        lock(&kept.0).iter().any(has)
    };
    while !warned("took too long") {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(warned("too many wait already"));
    alerts.finish(Duration::from_millis(10));
    assert!(begun.elapsed() < PATIENCE, "it was waited for at the end");
    for child in std::fs::read_to_string(dir.path().join("children")).unwrap().lines() {
        // Who was killed is gone a moment later.
        while is_alive(child) {
            assert!(begun.elapsed() < PATIENCE, "{child} lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn is_alive(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_command_that_fails_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    let alerts = Alerts::start(&pipeline(dir.path(), "echo broken >&2; exit 3", ""), kept.clone()).unwrap();
    alerts.event(failed(None));
    alerts.finish(PATIENCE);
    let is_told = |event: &Event| matches!(event, Event::Warning { text } if text.contains("exit code 3") && text.contains("broken"));
    assert!(lock(&kept.0).iter().any(is_told));
}
