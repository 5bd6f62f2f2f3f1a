//! A log in whose middle damage took a checkpoint, and destinations that are not behind that yet.

use super::place::Place;

const YES: &[&str] = &["--reason", "a test", "--by", "ops", "--yes"];

/// 60 rows in pages of 10, all in the lake; damage took the page with row 30, and a repair gave it up.
fn damaged() -> Place {
    let place = Place::new("{ a = 60 }", "page = 10");
    place.edit(|text| text.replace("min_interval = '20ms'", "min_interval = '0s'"));
    place.run("run", &[]).exits(0);
    let path = place.path("pipe.hw/00000001.hws");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(11).position(|window| window == b"user30@exam").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    place.run("repair", &["--skip-damaged", "--apply"]).exits(0);
    place
}

/// The command that a message ends with, as a person would type it.
fn follow(place: &Place, message: &str, verb: &str) {
    let command = message.rsplit(&format!("highwater {verb} ")).next().unwrap().lines().next().unwrap();
    let words: Vec<&str> = command.split_whitespace().chain(YES.iter().copied()).collect();
    let (first, rest) = verb.split_once(' ').unwrap_or((verb, ""));
    let rest: Vec<&str> = [rest].into_iter().filter(|rest| !rest.is_empty()).chain(words).collect();
    place.command_of(first, &rest).exits(0);
}

#[test]
fn a_destination_goes_on_behind_a_gap_when_a_person_says_so() {
    for section in
        ["type = 'sqlite'\npath = 'new.db'", "type = 'jsonl'\npath = 'new'", "type = 'parquet'\npath = 'new'"]
    {
        let place = damaged();
        place.edit(|text| format!("{text}\n[destinations.new]\n{section}\n"));
        let ran = place.run("run", &[]).exits(8);
        assert!(ran.err.contains("destination new: it can't get what comes next: checkpoint"), "{}", ran.err);
        place.run("check", &[]).exits(8).says("it can't get what comes next").says("consumer seek");
        place
            .run("run", &["--resume", "hard"])
            .exits(8)
            .says("destination new: it can't get what comes next");
        // What the log still holds is left out by no seek, whether the file is named or the log.
        for named in ["pipeline.toml", "pipe.hw"] {
            let path = place.path(named);
            let seek = ["seek", path.to_str().unwrap(), "new", "--to", "now", "--yes"];
            place.command_of("consumer", &seek).exits(2).says("leaves out nothing that the log holds");
        }
        place.run("run", &[]).exits(8);
        follow(&place, &ran.err, "consumer seek");
        place.run("check", &[]).exits(0);
        place.run("run", &["--resume", "hard"]).exits(0);
        place.run("run", &[]).exits(0).does_not_say("gone");
        place.holds(&[("a", 60)]);
        if section.contains("sqlite") {
            let told = place
                .sql("new.db", "select count(*), min(id), max(id) from a where id not between 30 and 39");
            assert_eq!(told, ["50|0|59"]);
        }
    }
}
