//! `consumer list`, `add`, `seek`, `drop`.

use super::*;

#[test]
fn a_consumer_is_listed_moved_and_dropped_and_gaps_are_named_first() {
    let log = two_streams();
    log.run("consumer add", &["lake", "--from", "1"])
        .exits(0)
        .prints("consumer lake: checkpoint 2 comes next\n");
    log.run("consumer add", &["lake"]).exits(1).says("already");
    log.run("consumer add", &["sea", "--from", "7"]).exits(6).says("there is no checkpoint 7");
    let listed = log.run("consumer list", &["--json"]).exits(0).json();
    assert_eq!(
        (&listed["consumers"][0]["acknowledged"], listed["consumers"].as_array().unwrap().len()),
        (&1.into(), 1)
    );
    let forward = log.run("consumer seek", &["lake", "--to", "now"]).exits(2).says("--yes");
    forward.says("never gets checkpoints 2 to 3").says("a: 1 record").says("b: 1 record");
    assert_eq!(log.run("consumer list", &["--json"]).json()["consumers"][0]["acknowledged"], 1);
    let moved = log.run("consumer seek", &["lake", "--to", "2", "--yes", "--json"]).exits(0).json();
    assert_eq!((&moved["acknowledged"], &moved["missed"][0]["records"]), (&2.into(), &1.into()));
    log.run("consumer seek", &["lake", "--to", "0", "--dry-run"])
        .exits(0)
        .says("gets again checkpoints 1 to 2");
    for how in ["--yes", "--dry-run"] {
        let beyond =
            log.run("consumer seek", &["lake", "--to", "9", how]).exits(6).says("last checkpoint is 3");
        beyond.does_not_say("never gets");
    }
    log.run("consumer seek", &["sea", "--to", "1", "--yes"]).exits(6).says("it has lake");
    log.run("consumer seek", &["lake", "--to", "soon", "--yes"]).exits(2);
    log.run("consumer drop", &["lake"]).exits(2).says("has not acknowledged checkpoint 3:");
    log.run("consumer drop", &["lake", "--yes"]).exits(0).prints("consumer lake is dropped\n");
    log.run("consumer drop", &["lake", "--yes"]).exits(6).says("it has none");
}

#[test]
fn what_was_done_to_a_consumer_is_on_record() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    log.run("consumer seek", &by_hand(&["lake", "--to", "2", "--yes"])).exits(0);
    log.run("consumer drop", &["lake", "--by", "dba", "--yes"]).exits(0);
    log.run("consumer drop", &["lake", "--reason", " ", "--yes"]).exits(2);
    let audit = log.run("audit", &[]).exits(0);
    assert!(audit.out.contains("consumer lake was moved from 0 to 2, by ops: a test"), "{audit:?}");
    assert!(audit.out.contains("consumer lake was dropped at 2, by dba: not said"), "{audit:?}");
    let entries = log.run("audit", &["--json"]).exits(0).json()["entries"].clone();
    let moves: Vec<_> = entries.as_array().unwrap().iter().filter(|one| one["event"] == "consumer").collect();
    assert_eq!(
        moves.iter().map(|one| one["to"].clone()).collect::<Vec<_>>(),
        [2.into(), serde_json::Value::Null]
    );
}

#[test]
fn consumers_are_managed_beside_a_living_writer() {
    let log = two_streams();
    let mut running = log.start();
    running.send(&[state("a", "5")]);
    running.echo();
    log.run("consumer add", &["lake"]).exits(0);
    log.run("consumer seek", &["lake", "--to", "now", "--yes"])
        .exits(0)
        .prints("consumer lake: checkpoint 5 comes next\n");
    log.run("consumer drop", &["lake", "--yes"]).exits(0);
}

#[test]
fn a_start_that_is_pruned_is_refused_and_named() {
    let log = Log::new();
    let lines: Vec<String> = (1..60)
        .flat_map(|n| {
            [
                record("a", &format!(r#"{{"id":{n},"text":"{}"}}"#, "x".repeat(4000))),
                state("a", &n.to_string()),
            ]
        })
        .collect();
    log.ingest_with(&lines, &["--segment-bytes", "64KiB"]).exits(0);
    log.run("prune", &["--yes"]).exits(0);
    log.run("consumer add", &["lake"]).exits(6).says("checkpoints 1 to").says("oldest");
    log.run("consumer add", &["lake", "--from", "oldest"]).exits(0);
    for how in ["--yes", "--dry-run"] {
        let refused =
            log.run("consumer seek", &["lake", "--to", "1", how]).exits(6).says("gone").says("oldest");
        refused.does_not_say("gets again");
        log.run("consumer seek", &["lake", "--to", "earliest", how]).exits(6).says("gone");
    }
    log.run("consumer seek", &["lake", "--to", "oldest", "--dry-run"]).exits(0);
    assert!(log.run("audit", &[]).exits(0).out.contains("pruning: checkpoint"));
}

/// `verify` says what is wrong and what mends it, and that does.
#[test]
fn a_consumer_whose_file_is_damaged_is_named_by_all_and_can_be_moved() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    log.run("consumer add", &["sea"]).exits(0);
    std::fs::write(log.path.join("consumer.lake"), b"").unwrap();
    log.run("consumer list", &[]).exits(0).says("consumer seek");
    let listed = log.run("consumer list", &["--json"]).exits(0).json();
    let damage = |n: usize| listed["consumers"][n]["damage"].clone();
    assert!(damage(0).as_str().unwrap().contains("consumer.lake") && damage(1).is_null(), "{listed}");
    let found = log.run("verify", &[]).exits(3);
    assert!(found.out.contains("file consumer.lake byte 0"), "{found:?}");
    assert!(
        found.out.contains("highwater consumer seek") && found.out.contains("no checkpoint is lost"),
        "{found:?}"
    );
    log.run("status", &[]).exits(0);
    log.run("du", &[]).exits(0);
    log.run("consumer seek", &by_hand(&["lake", "--to", "2", "--yes"])).exits(0).says("can't be read");
    log.run("verify", &[]).exits(0);
    assert!(log.run("audit", &[]).exits(0).out.contains("consumer lake was moved to 2, by ops: a test"));
}
