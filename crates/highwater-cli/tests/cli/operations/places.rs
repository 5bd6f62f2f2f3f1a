//! Where a checkpoint is named: by its number, its UUID, or a time.

use super::*;

/// The three names of a checkpoint of [`two_streams`]; by the time, which others may share, the last of them is meant.
fn names(log: &Log, sequence: usize) -> [String; 2] {
    let listed = log.run("checkpoints", &["--json"]).exits(0).json();
    let checkpoint = &listed["checkpoints"][sequence - 1];
    [sequence.to_string(), checkpoint["id"].as_str().unwrap().to_owned()]
}

#[test]
fn every_verb_takes_each_name() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    for name in names(&log, 2) {
        let json = log.run("state get", &["--json", "--at", &name]).exits(0).json();
        assert_eq!(json["sequence"], 2, "{name}");
        let text = log.run("state get", &["--at", &name, "--stream", "a", "--format", "text"]).exits(0).out;
        assert_eq!(text, format!("{}\n", stream_state("a", "2")));
        let diff = log.run("state diff", &["--json", "--from", "1", "--to", &name]).exits(0).json();
        assert_eq!((&diff["from"], &diff["to"]), (&1.into(), &2.into()), "{name}");
        let diff = log.run("state diff", &["--json", "--from", &name]).exits(0).json();
        assert_eq!((&diff["from"], &diff["to"]), (&2.into(), &3.into()), "{name}");
        log.run("state copy", &by_hand(&["--at", &name, "--stream", "a", "--dry-run"]))
            .exits(0)
            .says("nothing changes");
        let seek = log.run("consumer seek", &["lake", "--to", &name, "--dry-run"]).exits(0);
        seek.says("never gets checkpoints 1 to 2");
        log.run("consumer add", &["sea", "--from", &name])
            .exits(0)
            .prints("consumer sea: checkpoint 3 comes next\n");
        log.run("consumer drop", &["sea", "--yes"]).exits(0);
        let shown = log.run("cat", &["--from", &name, "--to", &name, "--format", "jsonl"]).exits(0).out;
        assert_eq!(shown, "{\"id\":2}\n", "{name}");
        let listed = log.run("checkpoints", &["--from", &name, "--json"]).exits(0).json();
        assert_eq!(listed["checkpoints"].as_array().unwrap().len(), 2, "{name}");
    }
    let last = "2999-01-01T00:00:00Z";
    assert_eq!(log.run("state get", &["--json", "--at", last]).exits(0).json()["sequence"], 3);
    assert_eq!(log.run("state diff", &["--json", "--to", last]).exits(0).json()["to"], 3);
    log.run("state copy", &by_hand(&["--at", last, "--dry-run"])).exits(0).says("nothing changes");
    log.run("consumer seek", &["lake", "--to", last, "--dry-run"])
        .exits(0)
        .says("never gets checkpoints 1 to 3");
    for (verb, option) in [("state get", "--at"), ("state diff", "--to"), ("state diff", "--from")] {
        log.run(verb, &[option, "soon"]).exits(2).says("a time like");
        log.run(verb, &[option, "1999-01-01"]).exits(6).says("keeps no checkpoint");
    }
    log.run("consumer seek", &["lake", "--to", "soon", "--dry-run"]).exits(2).says("earliest, oldest, now");
}

/// An hour that is taken for another one is another checkpoint.
#[test]
fn a_zone_is_honoured_or_refused() {
    let log = two_streams();
    let json = log.run("checkpoints", &["--json"]).exits(0).json();
    let first = json["checkpoints"][0]["time"].as_str().unwrap();
    let (day, hour) = (&first[..10], first[11..13].parse::<i32>().unwrap());
    // Just before it, told in a zone that is 14 hours ahead of UTC, where it is that hour tomorrow, or later today.
    let (day_there, hour_there) = match hour + 14 {
        later @ 24.. => (tomorrow(day), later - 24),
        later => (day.to_owned(), later),
    };
    let there = format!("{day_there}T{hour_there:02}:00:00[Pacific/Kiritimati]");
    log.run("rewind", &by_hand(&["--to", &there, "--dry-run"])).exits(6).says("keeps no checkpoint");
    let next = format!("{}T{hour_there:02}:00:00[Pacific/Kiritimati]", tomorrow(&day_there));
    log.run("rewind", &by_hand(&["--to", &next, "--dry-run"])).exits(0).says("nothing to do");
    for wrong in ["2026-11-26T10:01:31[Europe/Nowhere]", "2026-11-26T10:01:31+05:00[Europe/Zurich]"] {
        log.run("rewind", &by_hand(&["--to", wrong, "--dry-run"])).exits(2);
    }
}

fn tomorrow(day: &str) -> String {
    let day: jiff::civil::Date = day.parse().unwrap();
    day.tomorrow().unwrap().to_string()
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused() {
    let log = two_streams();
    log.run("export", &["--from", "3", "--to", "1"]).exits(2).says("comes behind");
    log.run("export", &["--from", "3", "--to", "3"]).exits(0).does_not_say("no checkpoint");
    // Nothing came since then: that is an answer.
    log.run("export", &["--from", "2999-01-01"]).exits(0).prints("").says("no checkpoint lies in that range");
}
