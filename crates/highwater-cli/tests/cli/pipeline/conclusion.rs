//! How a run ends: exit codes, names and counts.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::failures::wait_for;
use super::place::Place;
use crate::helpers::Ran;

/// What the attempts on record have committed.
fn on_record(place: &Place) -> u64 {
    let runs = place.run_on(&place.path("pipe.hw"), "runs", &["--json", "--last", "1000"]).exits(0).json();
    let attempts = runs["attempts"].as_array().unwrap();
    attempts.iter().map(|attempt| attempt["end"]["records"].as_u64().unwrap()).sum()
}

/// What a run says that it has committed.
fn told(ran: &Ran) -> u64 {
    let words = ran.err.split("committed ").last().unwrap().split(" with ").nth(1).unwrap();
    words.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

fn ended(ran: &Ran) -> Value {
    serde_json::from_str(ran.out.lines().last().unwrap()).unwrap()
}

fn terminate(process: u32) {
    assert!(Command::new("kill").arg(process.to_string()).status().unwrap().success());
}

#[test]
fn the_summary_counts_what_is_on_record_however_it_ended() {
    let place = Place::new("{ a = 60, b = 50 }", "page = 5\nfail_after = 2\npause_ms = 30");
    let ran = place.run("run", &[]).exits(0);
    assert_eq!((told(&ran), on_record(&place)), (110, 110));

    let place = Place::new("{ a = 25 }", "page = 10\nfail_after = 2\nkind = 'config_error'");
    let ran = place.run("run", &[]).exits(9);
    assert_eq!(told(&ran), on_record(&place));

    let place = Place::new("{ a = 4000 }", "page = 7\npause_ms = 5");
    let run = place.command("run").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(|| place.rows("a").len() > 50);
    terminate(run.id());
    let ran = Ran::of(&run.wait_with_output().unwrap()).exits(75).says("highwater run ");
    let (told, on_record) = (told(&ran), on_record(&place));
    assert!(told > 50, "{told}");
    assert_eq!(told, on_record);
}

#[test]
fn the_last_json_line_says_how_it_ended_and_what_was_done() {
    let place = Place::new("{ a = 25, b = 7 }", "page = 10");
    let of = ended(&place.run("run", &["--json"]).exits(0));
    assert_eq!(
        (&of["version"], &of["event"], &of["outcome"]),
        (&1.into(), &"ended".into(), &"complete".into())
    );
    assert_eq!((&of["exit_code"], &of["records"]), (&0.into(), &32.into()), "{of}");
    let a = &of["streams"][0];
    assert_eq!((&a["stream"]["name"], &a["records"], &a["committed"]), (&"a".into(), &25.into(), &25.into()));
    let lake = &of["destinations"][0];
    assert_eq!(
        (&lake["destination"], &lake["records"], &lake["rejected"]),
        (&"lake".into(), &32.into(), &0.into())
    );

    place.write_file("{ a = 40, b = 7 }", "page = 10\nfail_after = 1\nkind = 'config_error'", "");
    let of = ended(&place.run("run", &["--json"]).exits(9));
    assert_eq!((&of["outcome"], &of["exit_code"]), (&"failed".into(), &9.into()));
    let failure = &of["failures"][0];
    assert_eq!((&failure["of"], &failure["kind"]), (&"source".into(), &"config".into()), "{of}");

    let of = ended(&place.run("deliver", &["--only", "lake", "--until-end", "--json"]).exits(0));
    assert_eq!((&of["event"], &of["outcome"]), (&"ended".into(), &"complete".into()));

    place.edit(|text| text.replace("path = 'lake'", "path = 'lake'\ndeletes = 'whatever'"));
    let of = ended(&place.run("run", &["--json"]).exits(2));
    assert_eq!((&of["exit_code"], &of["failures"][0]["of"]), (&2.into(), &"pipeline".into()));
}

#[test]
fn of_several_failures_each_is_named_and_the_worst_counts() {
    let place = Place::new("{}", "");
    let more = "[destinations.zoo]\ntype = 'jsonl'\npath = 'zoo'";
    place.write_file("{ a = 25 }", "page = 10", more);
    place.run("run", &[]).exits(0);
    std::fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    // The lake is down, which may pass; the zoo holds another log's records, which does not.
    std::fs::remove_dir_all(place.path("lake")).unwrap();
    place.file("lake", "");
    let ran = place.run("run", &[]).exits(8);
    let ran = ran.says("destination lake: ").says("destination zoo: it holds something else");
    ran.says("destinations lake, zoo were given up").says("try: highwater status ");
}

#[test]
fn one_that_waits_for_another_is_told_how() {
    let place = Place::new("{ a = 400 }", "page = 1\npause_ms = 50");
    let mut first = place.start();
    wait_for(|| !place.rows("a").is_empty());
    let waits = format!("highwater run {} --wait 60", place.path("pipeline.toml").display());
    let ran = place.run("run", &["--wait", "1"]).exits(5).says(&waits);
    ran.does_not_say("--lock-wait").does_not_say("committed 0");
    let log = place.path("pipe.hw");
    let by_hand = ["--stream", "a", "--reason", "a test", "--yes"];
    place.act("state", "clear", &by_hand).exits(5).does_not_say("--lock-wait");
    let dropped = Command::new(crate::helpers::HIGHWATER)
        .args(["consumer", "drop", log.to_str().unwrap(), "lake", "--reason", "a test", "--yes"])
        .output();
    Ran::of(&dropped.unwrap()).exits(5).says(&format!("consumer lake is in use by process {}", first.id()));
    first.kill().unwrap();
    first.wait().unwrap();
}
