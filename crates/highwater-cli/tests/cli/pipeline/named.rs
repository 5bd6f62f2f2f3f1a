//! Whoever works on a log by hand may name the pipeline file instead; and what the file says holds for the log.

use super::*;
use crate::helpers::{HIGHWATER, Ran};

const BY: [&str; 2] = ["--reason", "a test"];

/// `highwater WORDS OPTIONS`, where `@` stands for what is named.
fn on(named: &std::path::Path, words: &str, options: &[&str]) -> Ran {
    let named = named.to_str().unwrap();
    let words = words.split(' ').map(|word| if word == "@" { named } else { word });
    Ran::of(&std::process::Command::new(HIGHWATER).args(words).args(options).output().unwrap())
}

#[test]
fn the_file_stands_for_its_log_wherever_a_log_is_named() {
    let place = Place::new(TWO, "page = 10");
    place.run("run", &[]).exits(0);
    let (file, log) = (place.path("pipeline.toml"), place.path("pipe.hw"));
    let reads = "cat @|checkpoints @|info @|verify @ --json|runs @|du @ --json|audit @ --json|export @|consumer list @|\
                 state get @|state history @|state diff @|prune @ --dry-run|compact @ --dry-run|repair @|dead-letters list @";
    for words in reads.split('|') {
        let (by_file, by_log) = (on(&file, words, &[]).exits(0), on(&log, words, &[]).exits(0));
        // What the disk has left changes from one look to the next, and so does how long ago something was.
        let lasting = |ran: &Ran| {
            let parts = ran.out.split("\"full\":").next().unwrap().split(" s ago");
            parts
                .map(|part| part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned())
                .collect::<String>()
        };
        assert_eq!(lasting(&by_file), lasting(&by_log), "{words}");
    }
    let dry = "rewind @ --to 1|reset @ --stream a|refresh @ --stream a|state clear @ --stream a|state copy @ --at 1";
    for words in dry.split('|') {
        on(&file, words, &[&BY[..], &["--dry-run"]].concat()).exits(0);
    }
    on(&file, "consumer seek @ lake --to now --dry-run", &[]).exits(0);
    let end = on(&file, "info @ --json", &[]).exits(0).json()["status"]["end"]["sequence"].to_string();
    for to in ["1", &end] {
        on(&file, "rewind @ --to", &[&[to], &BY[..], &["--yes"]].concat()).exits(0);
    }
    assert!(on(&log, "audit @", &[]).exits(0).out.contains("rewind to 1"));
    // Where one is written, too.
    let backup = place.path("backup.hw");
    on(&file, "backup @", &[backup.to_str().unwrap()]).exits(0);
    on(&log, "verify @", &[]).exits(0);
    std::fs::remove_dir_all(&log).unwrap();
    on(&file, "restore", &[backup.to_str().unwrap(), file.to_str().unwrap(), "--reason", "a test"]).exits(0);
    on(&log, "verify @", &[]).exits(0);
    std::fs::remove_dir_all(&log).unwrap();
    on(&file, "verify @", &[]).exits(6).says("pipe.hw");
    on(&file, "copy-state @ --register --from", &[&[backup.to_str().unwrap()], &BY[..]].concat()).exits(0);
    assert!(log.is_dir());
    place.file("photo.jpg", "x = ");
    on(&place.path("photo.jpg"), "state get @", &[]).exits(2).says("has to be a pipeline's").says("line 1");
}

/// Twenty checkpoints in segments of 64 KiB, of which the file says that ten are kept.
fn long() -> Place {
    let place = Place::new("{ a = 0 }", "page = 10");
    let source = "[source]\ntype = 'files'\npath = 'in'\nstream = 'a'\n";
    place.edit(|text| {
        let tail = text[text.find("[checkpoint]").unwrap()..].to_owned();
        let storage = "[storage]\nsegment_size = '64KiB'\nretain = { min_count = 10, min_age = '0s' }\n";
        let tail = tail.replace("min_interval = '20ms'", "min_interval = '0s'\nevery = { records = 1 }");
        format!("version = 1\nname = 'pipe'\nlog = 'pipe.hw'\n{source}{storage}{tail}")
    });
    std::fs::create_dir(place.path("in")).unwrap();
    for n in 10..30 {
        let line = format!("{{\"id\":{n},\"text\":\"{}\"}}\n", "x".repeat(30_000));
        place.file(&format!("in/{n}.jsonl"), &line);
    }
    place
}

/// The oldest checkpoint that is kept after a pruning.
fn first(ran: &Ran) -> u64 {
    ran.json()["first"].as_u64().unwrap()
}

#[test]
fn a_pruning_keeps_what_the_pipeline_file_says() {
    let place = long();
    // Everything is kept while it runs, so that something is left to prune.
    place.edit(|text| text.replace("min_count = 10", "min_count = 1000"));
    place.run("run", &[]).exits(0);
    let (file, log) = (place.path("pipeline.toml"), place.path("pipe.hw"));
    let end = on(&log, "info @ --json", &[]).exits(0).json()["status"]["end"]["sequence"].as_u64().unwrap();
    assert!(end >= 20, "{end}");
    let plan = |named, options: &[&str]| on(named, "prune @ --dry-run --json", options).exits(0);
    for named in [&file, &log] {
        let kept = plan(named, &[]).says("pipeline pipe keeps the newest 1,000 checkpoints");
        assert_eq!(first(&kept), 1, "as the file says, and as the last run has written down");
    }
    place.edit(|text| text.replace("min_count = 1000", "min_count = 10"));
    let by_file = first(&plan(&file, &[]));
    assert!(by_file > 1 && by_file <= end - 9, "{by_file} of {end}");
    assert_eq!(first(&plan(&log, &[])), 1, "the last run has said so");
    // Less only where that is asked for, and not in silence.
    let less =
        plan(&log, &["--min-count", "1"]).says("warning: pipeline pipe keeps the newest 1,000 checkpoints");
    assert!(first(&less) > by_file, "{less:?}");
    let space = on(&file, "du @ --json", &[]).exits(0).json()["reclaimable_bytes"].as_u64().unwrap();
    assert!(space > 0);
    assert_eq!(on(&log, "du @ --json", &[]).exits(0).json()["reclaimable_bytes"], 0);
    // What can't be read is no licence.
    place.file("pipe.hw.connect/rules.json", "{");
    on(&log, "prune @ --yes", &[]).exits(1).says("rules.json").says("--min-count");
    plan(&log, &["--min-count", "10", "--min-age", "0s"]);
    on(&file, "prune @ --yes", &[]).exits(0);
    let left = on(&log, "checkpoints @ --json", &[]).exits(0).json();
    assert_eq!(left["checkpoints"][0]["sequence"], by_file);
}

#[test]
fn the_rules_come_back_with_a_backup() {
    let place = long();
    place.run("run", &[]).exits(0);
    let (backup, new) = (place.path("backup.hw"), place.path("new.hw"));
    on(&place.path("pipe.hw"), "backup @", &[backup.to_str().unwrap()]).exits(0);
    on(&backup, "restore @", &[new.to_str().unwrap(), "--reason", "a test"]).exits(0);
    on(&new, "prune @ --dry-run", &[]).exits(0).says("pipeline pipe keeps the newest 10 checkpoints");
}

#[test]
fn a_destination_that_is_none_is_told_with_those_there_are() {
    let place = Place::new("{ a = 5 }", "page = 5");
    let ran = place.run("deliver", &["--only", "nope"]).exits(2);
    ran.says("there is no destination nope; there is only lake").says("try: highwater status ");
}
