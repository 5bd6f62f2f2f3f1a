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

/// What it had acknowledged is of no account then, and it has to get everything: also what the two histories have in common.
#[test]
fn in_an_empty_place_it_begins_again() {
    let (place, end) = diverged();
    place.edit(|text| text.replace("path = 'lake'", "path = 'pond'"));
    place.run("check", &[]).exits(0).says("it gets everything again");
    let to = end.to_string();
    let seek = ["lake", "--to", &to, "--reason", "as status said", "--yes"];
    place
        .act("consumer", "seek", &seek)
        .exits(2)
        .says("destination lake holds nothing, and would never get what the log has up to checkpoint");
    place
        .run("run", &[])
        .exits(0)
        .says("is of another history: it gets everything again that is behind checkpoint 0");
    std::fs::remove_dir_all(place.path("lake")).unwrap();
    std::fs::rename(place.path("pond"), place.path("lake")).unwrap();
    place.holds(&[("a", 80)]);
    let audit = place.run("audit", &[]).exits(0).out;
    assert!(audit.contains("highwater run"), "{audit}");
}

#[test]
fn its_own_position_has_to_be_set_back_too_and_whoever_seeks_is_told() {
    let (place, end) = diverged();
    let status = place.run("status", &[]).exits(0).out;
    assert!(status.contains("set the position back that it stores"), "{status}");
    assert!(place.act("consumer", "list", &[]).exits(0).out.contains("diverged"));
    let to = end.to_string();
    let seek = ["lake", "--to", &to, "--reason", "x", "--yes"];
    place
        .act("consumer", "seek", &seek)
        .exits(0)
        .says("as long as that is of another history it gets nothing");
    place.run("run", &[]).exits(8).says("holds something else than this log");
}
