//! Who goes back is told which destinations will hold records twice.

use super::*;

/// A stream with a key, `a`, and one without, `b`; a destination that appends, and one that writes by key.
fn both() -> Place {
    let place = Place::new(TWO, "page = 10");
    let destinations = "[destinations.warehouse]\ntype = 'sqlite'\npath = 'w.db'\n\
                        [destinations.past]\ntype = 'sqlite'\npath = 'p.db'\nmode = 'history'\n\
                        [[streams]]\nname = 'a'\nprimary_key = [['id']]\n[[streams]]\nname = 'b'\nprimary_key = []\n";
    place.write_file(TWO, "page = 10", destinations);
    place.run("run", &[]).exits(0);
    place
}

const BY: [&str; 3] = ["--reason", "a test", "--dry-run"];

#[test]
fn a_rewind_names_destinations_that_append_and_streams_without_a_key() {
    let place = both();
    let log = place.path("pipe.hw");
    let keyless = crate::helpers::Ran::of(
        &std::process::Command::new(crate::helpers::HIGHWATER)
            .args(["info", "--json"])
            .arg(&log)
            .output()
            .unwrap(),
    );
    let streams = keyless.exits(0).json();
    assert!(streams.to_string().contains("\"key\":[]"), "{streams}");
    let to: &[&str] = &["--to", "1", "--reason", "a test", "--dry-run"];
    for named in [place.path("pipeline.toml"), log.clone()] {
        let told = place.run_on(&named, "rewind", to).exits(0);
        let told = told.says("warning: destination lake appends: it will hold twice");
        let told =
            told.says("destination warehouse writes by key, and there is none of b: it will hold twice");
        told.says("destination past writes by key, and there is none of b");
        let told = place.run_on(&named, "reset", &[&["--stream", "a"], &BY[..]].concat()).exits(0);
        let told = told.says("warning: destination lake appends");
        let told = told.says("destination warehouse writes by key: it will hold each row once");
        told.says("destination past keeps history").does_not_say("warning: destination warehouse");
        let told = place.run_on(&named, "refresh", &[&["--stream", "b"], &BY[..]].concat()).exits(0);
        told.says("warning: destination warehouse").says("warning: destination lake");
        let told = [&["--stream", "b", "--truncate"], &BY[..]].concat();
        let told = place.run_on(&named, "refresh", &told).exits(0).does_not_say("twice");
        let told = told.says("warning: destination lake appends: rows of older generations stay there");
        told.does_not_say("warning: destination warehouse").does_not_say("no run of a pipeline");
    }
    let json = place.run("rewind", &[to, &["--json"]].concat()).exits(0).json();
    let of = |name: &str| {
        let all = json["twice"].as_array().unwrap().iter();
        all.clone().find(|twice| twice["consumer"] == name).unwrap().clone()
    };
    assert_eq!(of("lake")["on_repeat"], "appends");
    assert_eq!(of("lake")["streams"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&of("warehouse")["on_repeat"], &of("warehouse")["streams"][0]["name"]),
        (&"by_key".into(), &"b".into())
    );
    // And so it comes.
    place.run("rewind", &["--to", "1", "--reason", "a test", "--yes"]).exits(0);
    let before = (place.rows("a").len(), place.rows("b").len());
    place.run("run", &[]).exits(0);
    assert!(place.rows("a").len() > before.0 || place.rows("b").len() > before.1);
    assert_eq!(place.sql("w.db", "select count(*) from a"), ["25"]);
    assert_eq!(place.sql("w.db", "select count(*) > 7 from b"), ["1"]);
}

#[test]
fn of_a_log_that_no_pipeline_is_known_of_that_is_said() {
    let place = both();
    std::fs::remove_file(place.path("pipe.hw.connect/rules.json")).unwrap();
    let told = place.run_on(&place.path("pipe.hw"), "rewind", &[&["--to", "1"], &BY[..]].concat()).exits(0);
    told.says("how lake writes is not known here").says("there is none of b");
    let refresh = [&["--stream", "b"], &BY[..]].concat();
    let told = place.run_on(&place.path("pipe.hw"), "refresh", &refresh).exits(0);
    told.says("warning: no run of a pipeline is known here, and nothing else than highwater run obeys this");
}

#[test]
fn a_second_request_to_read_again_says_so_and_the_generation_is_the_next_ones() {
    let place = both();
    let ask: &[&str] = &["--stream", "a", "--reason", "a test", "--yes", "--json"];
    let first =
        place.run("refresh", ask).exits(0).does_not_say("asked for before").says("as generation 1").json();
    assert_eq!(
        (&first["generation"], &first["before"], &first["was_asked"]),
        (&1.into(), &0.into(), &false.into())
    );
    let second = place.run("refresh", ask).exits(0).says("asked for before").json();
    assert_eq!((&second["generation"], &second["was_asked"]), (&1.into(), &true.into()));
    place.run("run", &[]).exits(0);
    let third = place.run("refresh", ask).exits(0).does_not_say("asked for before").json();
    assert_eq!(third["generation"], 2);
}
