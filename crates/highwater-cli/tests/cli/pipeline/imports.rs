//! States of other tools, for a source that can go on from them or not.

use super::others::{place, tap};
use super::place::Place;

const SINGER: &str = r#"{"bookmarks":{"a":{"n":3}}}"#;
const AIRBYTE: &str =
    r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"n":3}}}]"#;
const DLT: &str = r#"{"_state_engine_version":4,"sources":{"s":{"resources":{"a":{"incremental":{}}}}}}"#;

fn import(place: &Place, from: &str, state: &str) -> crate::helpers::Ran {
    let file = place.file("state.json", state);
    let options = [file.to_str().unwrap(), "--from", from, "--reason", "moved here", "--by", "ops", "--yes"];
    place.run("import", &options)
}

#[test]
fn states_that_the_source_can_not_go_on_from_are_refused() {
    let airbyte = Place::new("{ a = 5 }", "page = 5");
    for (from, state) in [("singer", SINGER), ("meltano", SINGER), ("fivetran", SINGER), ("dlt", DLT)] {
        import(&airbyte, from, state).exits(2).says(&format!(
            "source, of type airbyte, can't go on from states of {from}: it takes those of airbyte"
        ));
    }
    assert!(!airbyte.path("pipe.hw").exists());
    let singer = place(&tap("streams = { a = 5 }\npage = 5"), "");
    for (from, state) in [("airbyte", AIRBYTE), ("dlt", DLT)] {
        import(&singer, from, state).exits(2).says("it takes those of singer, meltano, fivetran");
    }
    let files = place("type = 'files'\npath = 'in'\nstream = 's'", "");
    import(&files, "singer", SINGER).exits(2).says("of type files").says("it takes none but its own");
    // The log alone does not say what reads into it.
    let file = files.path("state.json");
    let options = [file.to_str().unwrap(), "--from", "singer", "--reason", "moved here", "--by", "ops"];
    files.run_on(&files.path("pipe.hw"), "import", &options).exits(0);
}

#[test]
fn a_source_goes_on_from_states_of_its_protocol() {
    let airbyte = Place::new("{ a = 5 }", "page = 5");
    import(&airbyte, "airbyte", AIRBYTE).exits(0);
    airbyte.run("run", &[]).exits(0);
    assert_eq!(airbyte.rows("a").len(), 2);
    let meltano = format!("{{\"singer_state\":{SINGER}}}");
    for (from, state) in [("singer", SINGER), ("meltano", &meltano), ("fivetran", SINGER)] {
        import(&place(&tap("streams = { a = 5 }\npage = 5"), ""), from, state).exits(0);
    }
}
