//! `rewind` and `reset`.

use super::*;

#[test]
fn a_rewind_says_what_it_means_asks_and_erases_nothing() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    log.run("consumer seek", &["lake", "--to", "2", "--yes"]).exits(0);
    let told = log.run("rewind", &by_hand(&["--to", "1"])).exits(2).says("--yes");
    let told = told.says("a: 1 record").says("b: 1 record").says("b: cleared, it was not set then");
    told.says("consumer lake has 1 record of that already");
    let plan = log.run("rewind", &by_hand(&["--to", "1", "--dry-run", "--json"])).exits(0).json();
    assert_eq!((&plan["done"], &plan["to"]["sequence"]), (&false.into(), &1.into()));
    assert_eq!(plan["again"].as_array().unwrap().len(), 2);
    assert_eq!(sequence(&log), 3);
    log.run("rewind", &by_hand(&["--to", "1", "--yes"]))
        .exits(0)
        .prints("checkpoint 4: the states are those of checkpoint 1\n");
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "1")));
    assert_eq!(log.payloads("b"), r#"{"id":3}"#, "the records stay");
    log.run("rewind", &by_hand(&["--to", "3", "--yes"])).exits(0);
    let both = format!("[{},{}]\n", stream_state("a", "2"), stream_state("b", "3"));
    log.run("state get", &[]).exits(0).prints(&both);
    log.run("rewind", &by_hand(&["--to", "3", "--yes"])).exits(0).says("nothing to do");
    log.run("verify", &[]).exits(0);
}

#[test]
fn a_place_is_a_number_an_id_or_a_time() {
    let log = two_streams();
    let listed = log.run("checkpoints", &["--json"]).exits(0).json();
    let second = &listed["checkpoints"][1];
    for to in [second["id"].as_str().unwrap(), "2"] {
        let plan = log.run("rewind", &by_hand(&["--to", to, "--dry-run", "--json"])).exits(0).json();
        assert_eq!(plan["to"]["sequence"], 2);
    }
    let later = log.run("rewind", &by_hand(&["--to", "2999-01-01T00:00:00Z", "--dry-run"])).exits(0);
    later.says("nothing to do");
    log.run("rewind", &by_hand(&["--to", "1999-01-01", "--dry-run"])).exits(6);
    log.run("rewind", &by_hand(&["--to", "99", "--dry-run"])).exits(6);
    log.run("rewind", &by_hand(&["--to", "soon", "--dry-run"])).exits(2);
    log.run("rewind", &["--to", "1", "--yes"]).exits(2).says("--reason");
}

#[test]
fn one_stream_goes_back_and_no_other() {
    let log = two_streams();
    log.run("rewind", &by_hand(&["--to", "1", "--stream", "a", "--yes"])).exits(0);
    let both = format!("[{},{}]\n", stream_state("a", "1"), stream_state("b", "3"));
    log.run("state get", &[]).exits(0).prints(&both);
    log.run("reset", &by_hand(&["--stream", "a"])).exits(2).says("is cleared, no other").says("a: 2 records");
    log.run("reset", &by_hand(&["--stream", "a", "--yes"]))
        .exits(0)
        .prints("checkpoint 5: stream a begins anew\n");
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("b", "3")));
    log.run("reset", &by_hand(&["--stream", "a", "--yes"])).exits(0).says("nothing to do");
    log.run("reset", &by_hand(&["--stream", "nope", "--yes"])).exits(6);
    log.run("reset", &by_hand(&["--yes"])).exits(2);
}

/// A source that changed to one state for all streams keeps its old ones, which must not count again, nor the new one.
#[test]
fn a_rewind_over_a_change_of_kind_brings_back_the_kind() {
    let global = |lsn: u64| {
        state_of(&format!(
            r#"{{"type":"GLOBAL","global":{{"shared_state":{{"lsn":{lsn}}},"stream_states":[]}}}}"#
        ))
    };
    // 1: global, 2: a stream's, 3: a stream's, 4: global.
    let log = Log::of(&[global(1)]);
    log.ingest(&[state("a", "2"), state("a", "3")]).exits(0);
    log.ingest(&[global(4)]).exits(0);
    for (to, expected) in
        [(2, format!("[{}]\n", stream_state("a", "2"))), (3, format!("[{}]\n", stream_state("a", "3")))]
    {
        log.run("rewind", &by_hand(&["--to", &to.to_string(), "--yes"])).exits(0);
        log.run("state get", &[]).exits(0).prints(&expected);
    }
    log.run("rewind", &by_hand(&["--to", "4", "--yes"])).exits(0);
    assert!(log.run("state get", &[]).exits(0).out.contains("\"lsn\":4"));
}

#[test]
fn a_rewound_and_edited_log_goes_on_where_it_was_put() {
    let log = two_streams();
    log.run("rewind", &by_hand(&["--to", "1", "--yes"])).exits(0);
    log.run("state merge", &sure(&["--stream", "a", r#"{"stream":{"stream_state":{"cursor":7}}}"#])).exits(0);
    let mut running = log.start();
    running.send(&[records("a", [2]), vec![state("a", "8")], records("a", [4])].concat());
    running.echo();
    running.kill();
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "8")));
    assert_eq!(log.payloads("a"), r#"{"id":1} {"id":2} {"id":2}"#);
    log.run("rewind", &by_hand(&["--to", "5", "--yes"])).exits(0);
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("a", "7")));
    log.run("verify", &[]).exits(0);
}
