//! Alerts: a command gets what went wrong.

use super::place::Place;

/// A pipeline whose alerts go to the file `alerts`.
fn place(streams: &str, config: &str, more: &str) -> Place {
    let place = Place::new("{}", "");
    let alerts =
        "[alerts]\ncommand = ['sh', '-c', 'cat >> alerts; test -z \"$SLOW\" || sleep 600']\ntimeout = '2s'\n";
    place.write_file(streams, config, &format!("{more}\n{alerts}"));
    place
}

fn alerts(place: &Place) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.path("alerts")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_was_given_up_is_an_alert_without_secrets_and_a_slow_command_holds_nothing_up() {
    let place = place("{ a = 5 }", "page = 0\nfail_after = 1\npassword = '${file:password}'", "");
    place.secret_file("password", "hunter2secret\n");
    let begun = std::time::Instant::now();
    let mut run = place.command("run");
    let ran = crate::helpers::Ran::of(&run.env("SLOW", "1").output().unwrap()).exits(75);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    assert!(ran.err.contains("took too long") || ran.err.contains("run is over"), "{}", ran.err);
    let alerts = alerts(&place);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((&alerts[0]["alert"], &alerts[0]["pipeline"]), (&"run_failed".into(), &"pipe".into()));
    assert_eq!(
        (&alerts[0]["event"]["of"], &alerts[0]["event"]["kind"]),
        (&"source".into(), &"transient".into())
    );
    assert!(!alerts[0].to_string().contains("hunter2secret"));
}

#[test]
fn late_deliveries_pauses_and_refusals_are_alerts() {
    let more = "warn_after = '1s'\nretry = { backoff = { initial = '3s', max = '3s' } }\n\
                [destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n[schema]\non_change = 'pause'";
    let place = place("{ a = 8 }", "page = 4\nbad = [3]", more);
    // A file where the directory should be: one destination does not move, the other refuses a record.
    place.file("lake", "");
    place.edit(|text| text.replace("page = 4", "page = 4\npause_ms = 400"));
    place.run("run", &[]).exits(75);
    let kinds = |place: &Place| -> Vec<String> {
        let mut kinds: Vec<String> =
            alerts(place).iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(kinds(&place), ["delivery_late", "run_failed"]);
    std::fs::remove_file(place.path("lake")).unwrap();
    place.edit(|text| text.replace("[alerts]\n", "[alerts]\non = ['schema_paused', 'records_rejected']\n"));
    place.edit(|text| text.replace("a = 8", "a = 12").replace("bad = [3]", "bad = [3, 9]"));
    place.run("run", &[]).exits(0);
    place.edit(|text| text.replace("bad = [3, 9]", ""));
    place.run("run", &[]).exits(8);
    assert_eq!(kinds(&place), ["delivery_late", "records_rejected", "run_failed", "schema_paused"]);
    place.edit(|text| text.replace("records_rejected", "record_rejected"));
    place.run("run", &[]).exits(2).says("alerts.on: \"record_rejected\" is none of run_failed");
}

#[test]
fn a_disk_with_too_little_room_is_an_alert_and_told_once() {
    // It is looked at each second; nobody has so much room.
    let place = place("{ a = 12 }", "page = 4\npause_ms = 1200", "[storage]\nwarn_free = '1000000TiB'");
    let ran = place.run("run", &[]).exits(0);
    assert_eq!(ran.err.matches(" disk_low ").count(), 1, "{}", ran.err);
    let alerts = alerts(&place);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(
        (&alerts[0]["alert"], &alerts[0]["event"]["room"]),
        (&"disk_low".into(), &"file_system".into())
    );
    assert!(alerts[0]["event"]["free_bytes"].as_u64().unwrap() > 0);
    place.holds(&[("a", 12)]);
}

#[test]
fn a_source_that_counts_otherwise_is_an_alert_and_its_records_are_kept() {
    let place = place("{ a = 4 }", "page = 4\noff = 0", "");
    // What it counts is right; then it says none, as many do who do not count.
    place.run("run", &[]).exits(0);
    place.edit(|text| text.replace("a = 4", "a = 8").replace("off = 0", "off = -4"));
    place.run("run", &[]).exits(0);
    assert_eq!(alerts(&place).len(), 0);
    place.edit(|text| text.replace("a = 8", "a = 12").replace("off = -4", "off = 2"));
    place.run("run", &[]).exits(0).says("counts_differ");
    let alerts = alerts(&place);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let event = &alerts[0]["event"];
    assert_eq!((&alerts[0]["alert"], &event["of"]), (&"counts_differ".into(), &"a".into()));
    assert_eq!((&event["said"], &event["arrived"]), (&6.0_f64.into(), &4.into()));
    place.holds(&[("a", 12)]);
}
