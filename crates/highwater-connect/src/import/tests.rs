use super::*;

fn states(format: Format, text: &str) -> Vec<(Option<String>, String)> {
    let found = parse(format, text, None).unwrap_or_else(|failure| panic!("{failure}"));
    found.states.into_iter().map(|state| (state.stream.map(|name| name.to_string()), state.text)).collect()
}

fn refused(format: Format, text: &str) -> String {
    parse(format, text, None).unwrap_err().to_string()
}

fn of(stream: &str, text: &str) -> (Option<String>, String) {
    (Some(stream.to_owned()), text.to_owned())
}

const USERS: &str = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{"id":12345678901234567890123, "f": 1.0}}}"#;
const ORDERS: &str = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"orders","namespace":"public"},"stream_state":{"at":"x"}}}"#;

#[test]
fn airbytes_states_stay_to_the_letter() {
    let both = [of("users", USERS), of("public.orders", ORDERS)];
    assert_eq!(states(Format::Airbyte, &format!("[{USERS}, {ORDERS}]\n")), both);
    let lines = format!(
        "{{\"type\":\"STATE\",\"state\":{}}}\n\n{{\"type\":\"STATE\",\"state\":{USERS}}}\n{{\"type\":\"STATE\",\"state\":{ORDERS}}}",
        USERS.replace("1.0", "0.5")
    );
    assert_eq!(states(Format::Airbyte, &lines), both);
    assert_eq!(states(Format::Airbyte, USERS), both[..1]);
    let global = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":7},"stream_states":[]}}"#;
    assert_eq!(states(Format::Airbyte, &format!("[{global}]")), [(None, global.to_owned())]);
}

#[test]
fn a_connections_state_becomes_the_protocols() {
    let streams = r#"[{"streamDescriptor":{"name":"users"},"streamState":{"id":12345678901234567890123, "f": 1.0}},
        {"streamDescriptor":{"name":"orders","namespace":"public"},"streamState":{"at":"x"}},
        {"streamDescriptor":{"name":"new"}}]"#;
    let api = format!(r#"{{"stateType":"stream","connectionId":"c","streamState":{streams}}}"#);
    for text in [streams, &api] {
        assert_eq!(states(Format::Airbyte, text), [of("users", USERS), of("public.orders", ORDERS)]);
        let notes = parse(Format::Airbyte, text, None).unwrap().notes;
        assert_eq!(notes, ["stream new has no state yet"]);
    }
    let global = r#"{"shared_state":{"lsn":7},"streamStates":[{"streamDescriptor":{"name":"a","namespace":""},"streamState":{"b":1}}]}"#;
    let wanted = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":7},"stream_states":[{"stream_descriptor":{"name":"a","namespace":""},"stream_state":{"b":1}}]}}"#;
    let api = format!(r#"{{"stateType":"global","connectionId":"c","globalState":{global}}}"#);
    for text in [global, &api] {
        assert_eq!(states(Format::Airbyte, text), [(None, wanted.to_owned())]);
    }
    let legacy = r#"{"stateType":"legacy","state":{"cursor": 3}}"#;
    let data = r#"{"type":"LEGACY","data":{"cursor": 3}}"#;
    assert_eq!(states(Format::Airbyte, legacy), [(None, data.to_owned())]);
}

#[test]
fn what_is_not_airbytes_is_refused_with_its_place() {
    let record = r#"{"type":"RECORD","record":{}}"#;
    let state = format!("{{\"type\":\"STATE\",\"state\":{USERS}}}");
    for (text, place) in [
        (format!("{state}\n{record}"), "line 2: expected a STATE message, found RECORD"),
        (format!("[{USERS},{{\"type\":\"NEW\"}}]"), "[1]: "),
        (format!("[{USERS},{USERS}]"), "two states of users"),
        (format!("[{USERS},{{\"type\":\"GLOBAL\",\"global\":{{}}}}]"), "one kind or the other"),
        (r#"{"cursor": 1}"#.to_owned(), "the file: "),
        (
            r#"{"stateType":"stream","streamState":[{"streamDescriptor":{}}]}"#.to_owned(),
            "streamState[0].streamDescriptor.name",
        ),
        (r#"{"stateType":"not_set"}"#.to_owned(), "no state yet"),
        (r#"{"stateType":"other"}"#.to_owned(), "found \"other\""),
        ("{\"a\":1,\"a\":2}".to_owned(), "line 1: "),
        ("[]".to_owned(), "no state in it"),
        (" ".to_owned(), "empty"),
    ] {
        let failure = refused(Format::Airbyte, &text);
        assert!(failure.contains(place), "{text}: {failure}");
    }
}

#[test]
fn singers_and_meltanos() {
    let bare = r#"{"bookmarks": {"users": {"id": 1.0}}}"#;
    let only = [(None, bare.to_owned())];
    assert_eq!(states(Format::Singer, bare), only);
    let message = |value: &str| format!("{{\"type\":\"STATE\",\"value\":{value}}}\n");
    let syncing = r#"{"currently_syncing":"users"}"#;
    assert_eq!(states(Format::Singer, syncing), [(None, syncing.to_owned())]);
    // Of an old tap, which has neither.
    assert_eq!(states(Format::Singer, &message("{\"a\":1}")), [(None, "{\"a\":1}".to_owned())]);
    assert_eq!(states(Format::Singer, &(message("{\"a\":1}") + &message(bare) + &message("{}"))), only);
    assert_eq!(states(Format::Meltano, &format!("{{\"singer_state\": {bare}}}")), only);
    let stored = format!("{{\"completed\": {{\"singer_state\": {bare}}}, \"partial\": {{}}}}");
    assert_eq!(states(Format::Meltano, &stored), only);
    let partial = r#"{"bookmarks":{"users":{"id":2},"orders":{"at":"x"}},"currently_syncing":null}"#;
    let both =
        format!("{{\"completed\":{{\"singer_state\":{bare}}},\"partial\":{{\"singer_state\":{partial}}}}}");
    let merged = r#"{"bookmarks":{"users":{"id":2},"orders":{"at":"x"}},"currently_syncing":null}"#;
    assert_eq!(states(Format::Meltano, &both), [(None, merged.to_owned())]);
    for (format, text, why) in [
        (Format::Singer, "{}", "empty"),
        (Format::Singer, "[1]", "line 1"),
        (Format::Singer, "{\"singer_state\":{}}", "Meltano"),
        (Format::Singer, "{\"users_cursor\":3}", "\"type\": \"STATE\""),
        (Format::Singer, "{\"bookmarks\":[]}", "bookmarks: expected an object"),
        (Format::Singer, DLT, "dlt's form"),
        (Format::Singer, "{\"type\":\"GLOBAL\",\"global\":{}}", "Airbyte's form"),
        (Format::Singer, "{\"stateType\":\"stream\",\"streamState\":[]}", "Airbyte's form"),
        (Format::Singer, "{\"code\":\"Success\",\"data\":{\"state\":{}}}", "Fivetran's form"),
        (Format::Meltano, "{\"bookmarks\":{}}", "singer_state"),
        (Format::Meltano, "{\"completed\":{},\"partial\":{}}", "empty"),
        (Format::Meltano, "{\"completed\":7}", "completed: expected an object"),
    ] {
        assert!(refused(format, text).contains(why), "{text}: {}", refused(format, text));
    }
}

/// As dlt 1.31 wrote it, shortened.
const DLT: &str = r#"{"_state_version":1,"_state_engine_version":4,"_local":{"_last_extracted_at":"2026-11-26"},
 "pipeline_name":"shop_pipeline","default_schema_name":"shop","sources":{"shop":{"custom":{"a":"b"},"resources":{
 "orders":{"incremental":{"updated_at":{"initial_value":"\uf0282026-01-01","last_value":"2026-11-05","unique_hashes":["9ydaHrzwo9f8"]}}},
 "users":{"page":3},"empty":{}}}}}"#;

#[test]
fn dlts_resources_are_streams() {
    let orders = r#"{"incremental":{"updated_at":{"initial_value":"2026-01-01","last_value":"2026-11-05","unique_hashes":["9ydaHrzwo9f8"]}}}"#;
    let expected =
        [of("orders", orders), of("users", r#"{"page":3}"#), (None, r#"{"custom":{"a":"b"}}"#.to_owned())];
    assert_eq!(states(Format::Dlt, DLT), expected);
    assert_eq!(states(Format::Dlt, &DLT.replace("\\uf028", "\u{f028}")), expected);
    let two = DLT.replace("\"sources\":{", "\"sources\":{\"other\":{\"resources\":{\"x\":{\"y\":1}}},");
    assert!(refused(Format::Dlt, &two).contains("other, shop"));
    let other = parse(Format::Dlt, &two, Some("other")).unwrap();
    assert_eq!(other.states.len(), 1);
    assert!(parse(Format::Dlt, &two, Some("none")).is_err());
    assert!(refused(Format::Dlt, &DLT.replace("version\":4", "version\":5")).contains("found 5"));
    assert!(refused(Format::Dlt, "{\"sources\":{}}").contains("_state_engine_version"));
}

#[test]
fn fivetrans() {
    let bare = r#"{"users_cursor": "2024-01-15", "page": 3}"#;
    let answer = format!("{{\"code\":\"Success\",\"message\":\"m\",\"data\":{{\"state\":{bare}}}}}");
    for text in [bare, &answer] {
        assert_eq!(states(Format::Fivetran, text), [(None, bare.to_owned())]);
    }
    assert!(refused(Format::Fivetran, &answer.replace("Success", "NotFound")).contains("NotFound"));
    assert!(refused(Format::Fivetran, "{}").contains("empty"));
    assert!(refused(Format::Fivetran, "[]").contains("expected an object"));
}
