//! A consumer that stands where the log has nothing, or something else.

use serde_json::Value;

use super::place::Place;

/// The log is older than its consumer, as after a repair that cut it.
fn diverged() -> (Place, u64) {
    let place = Place::new("{ a = 25 }", "page = 10");
    place.run("run", &[]).exits(0);
    let (log, older) = (place.path("pipe.hw"), place.path("older.hw"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    copy(&log, &older);
    place.write_file("{ a = 80 }", "page = 10", "");
    place.run("run", &[]).exits(0);
    std::fs::copy(log.join("consumer.lake"), older.join("consumer.lake")).unwrap();
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&older, &log).unwrap();
    let info = place.run_on(&log, "info", &["--json"]).exits(0).json();
    let end = info["status"]["end"]["sequence"].as_u64().unwrap();
    (place, end)
}

#[test]
fn it_is_told_by_whoever_is_asked_and_nothing_is_delivered() {
    let (place, end) = diverged();
    let log = place.path("pipe.hw");
    let says_so = |place: &Place| {
        let status = place.run("status", &[]).exits(0).out;
        assert!(status.contains("has diverged") && !status.contains("has everything"), "{status}");
        let next = status.lines().last().unwrap();
        assert!(next.contains("highwater consumer seek") && next.contains(" lake --to "), "{status}");
    };
    says_so(&place);
    for softness in [&["--json"][..], &["--json", "--resume", "hard"]] {
        let ran = place.run("run", softness).exits(8);
        let ran = ran.says("destination lake: ").does_not_say(": :").says("try: highwater status ");
        let ended: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
        assert_eq!(ended["failures"][0]["of"], "lake", "{ended}");
        assert_eq!(ended["failures"][0]["kind"], "diverged", "{ended}");
    }
    place.run("deliver", &["--only", "lake", "--until-end"]).exits(8).does_not_say(": :");
    says_so(&place);
    let metrics = place.run("metrics", &[]).exits(0).out;
    let is_told = |line: &str| line.starts_with("highwater_consumer_diverged{") && line.ends_with(" 1");
    assert!(metrics.lines().any(is_told), "{metrics}");
    let by_log = place.run_on(&log, "status", &["--json"]).exits(0).json();
    assert_eq!(by_log["consumers"][0]["diverged"], true);
    assert!(end > 0);
    // Nothing more was delivered.
    place.holds(&[("a", 80)]);
}

#[test]
fn the_rest_goes_on() {
    let (place, _) = diverged();
    place.edit(|text| format!("{text}\n[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n"));
    place.run("run", &[]).exits(8).says("destination lake was given up");
    assert_eq!(place.sql("base.db", "SELECT count(*) FROM a"), ["80"]);
}
