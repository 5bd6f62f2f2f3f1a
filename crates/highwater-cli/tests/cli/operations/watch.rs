//! `du` and `audit`.

use super::*;

#[test]
fn space_is_told_by_holder() {
    let log = two_streams();
    log.run("consumer add", &["lake", "--from", "1"]).exits(0);
    let space = log.run("du", &["--json"]).exits(0).json();
    let lake = space["holders"].as_array().unwrap().iter().find(|held| held["kind"] == "consumer").unwrap();
    assert_eq!((&lake["name"], &lake["from"]), (&"lake".into(), &2.into()));
    let part = |name: &str| space[name].as_u64().unwrap();
    let parts = ["record_bytes", "dead_bytes", "bookkeeping_bytes", "free_bytes"].map(part);
    assert_eq!(parts.iter().sum::<u64>(), part("segment_bytes"));
    assert!(part("record_bytes") > 0 && part("dead_bytes") == 0, "{space}");
    let on_disk: u64 =
        std::fs::read_dir(&log.path).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk - part("disk_bytes") < 1000, "all but the locks: {on_disk} {space}");
    assert_eq!(part("reserve_bytes"), 1 << 20);
    assert!(space["growth"].is_null(), "younger than a minute: {space}");
    assert_eq!(space["full"][0]["bound"], "disk");
    assert!(space["full"][0]["left_bytes"].as_u64().unwrap() > 0 && space["full"][0]["seconds"].is_null());
    let shown = log.run("du", &["--min-age", "7d"]).exits(0).out;
    assert!(shown.contains("reserve      1.0 MiB") && shown.contains("by the disk"), "{shown}");
    assert!(
        shown.contains("consumer lake") && shown.contains("min_age") && shown.contains("reclaimable now"),
        "{shown}"
    );
}

#[test]
fn what_happened_is_on_record() {
    let log = two_streams();
    log.run("rewind", &by_hand(&["--to", "1", "--yes"])).exits(0);
    let mut running = log.start();
    running.send(&[records("a", [9]), vec![state("a", "5")], records("a", 10..5000)].concat());
    running.echo();
    running.kill();
    log.run("state clear", &by_hand(&["--stream", "a", "--yes"])).exits(0);
    let entries = log.run("audit", &["--json"]).exits(0).json()["entries"].clone();
    let operations: Vec<_> =
        entries.as_array().unwrap().iter().filter(|e| e["event"] == "operation").collect();
    let whats: Vec<_> = operations.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["rewind to 1", "clear a"]);
    assert_eq!(operations[0]["from"]["sequence"], 1);
    assert_eq!((&operations[0]["who"], &operations[0]["why"]), (&"ops".into(), &"a test".into()));
    let shown = log.run("audit", &[]).exits(0).out;
    assert!(shown.contains("checkpoint 4: rewind to 1, by ops: a test"), "{shown}");
}
