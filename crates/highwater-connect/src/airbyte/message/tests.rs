use super::*;

fn record(text: &str) -> (Option<String>, String, String) {
    let message = parse(text.as_bytes()).unwrap();
    let record = message.record.unwrap();
    let namespace = record.namespace.as_deref().map(str::to_owned);
    (namespace, record.stream.to_string(), record.data.get().to_owned())
}

fn reject_of(text: &str) -> Reject {
    parse(text.as_bytes()).unwrap_err()
}

#[test]
fn the_text_of_data_is_kept_to_the_byte() {
    let data = r#"{"b": 1.0, "a":12345678901234567890123, "a": "\u00e9\ud800"}"#;
    let line = format!(
        r#"{{"type":"RECORD","record":{{"stream":"s\u0031","emitted_at":1,"data": {data} ,"x":[]}}}}"#
    );
    assert_eq!(record(&line), (None, "s1".to_owned(), data.to_owned()));
}

#[test]
fn a_null_namespace_is_absent_and_an_empty_one_is_not() {
    let with = |namespace: &str| {
        record(&format!(
            r#"{{"type":"RECORD","record":{{"stream":"s","namespace":{namespace},"data":{{}}}}}}"#
        ))
        .0
    };
    assert_eq!(with("null"), None);
    assert_eq!(with("\"\""), Some(String::new()));
}

#[test]
fn noise_is_told_from_a_record_that_would_be_lost() {
    for noise in ["", "Traceback", "{", "[1]", "null", "{}", r#"{"type":1}"#] {
        assert_eq!(reject_of(noise), Reject::Noise, "{noise}");
    }
    assert_eq!(parse(b"{\"type\":\"LOG\",\"x\":\"\xff\"}").unwrap_err(), Reject::Noise);
    let torn = r#"{"type":"RECORD","record":{"#;
    assert!(matches!(reject_of(torn), Reject::Broken(_)));
    let number = r#"{"type":"RECORD","record":{"stream":"s","data":{"a":NaN}}}"#;
    assert_eq!(reject_of(number), Reject::NotANumber(number.replace("NaN", "null")));
    for lost in [
        r#"{"type":"RECORD"}"#,
        r#"{"type":"RECORD","record":{"stream":"s"}}"#,
        r#"{"type":"RECORD","record":{"stream":"s","data":[1]}}"#,
        r#"{"type":"STATE","state":null}"#,
    ] {
        assert!(matches!(reject_of(lost), Reject::Malformed(_)), "{lost}");
    }
}

#[test]
fn emitted_at_may_be_a_float() {
    let line = br#"{"type":"RECORD","record":{"stream":"s","data":{},"emitted_at":1.7e12}}"#;
    assert_eq!(parse(line).unwrap().record.unwrap().emitted_at.unwrap().as_us(), 1_700_000_000_000_000);
}

#[test]
fn a_deletion_is_a_column_that_is_not_null() {
    let deletions = Deletions::new();
    assert!(deletions.is_deleted(r#"{"id":1,"_ab_cdc_deleted_at":"2026-01-01"}"#));
    assert!(!deletions.is_deleted(r#"{"id":1,"_ab_cdc_deleted_at":null}"#));
    assert!(!deletions.is_deleted(r#"{"id":1,"x":{"_ab_cdc_deleted_at":1}}"#));
    assert!(!deletions.is_deleted(r#"{"id":"_ab_cdc_deleted_at"}"#));
}

#[test]
fn states_of_every_kind() {
    let kind = |text| State::parse(text).map(|state| state.kind);
    assert_eq!(
        kind(r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"}}}"#),
        Ok(StateKind::Stream)
    );
    assert_eq!(kind(r#"{"type":"GLOBAL","global":{"stream_states":[]}}"#), Ok(StateKind::Global));
    assert_eq!(kind(r#"{"type":"LEGACY","data":{}}"#), Ok(StateKind::Legacy));
    assert_eq!(kind(r#"{"data":{"a":1}}"#), Ok(StateKind::Legacy));
    for bad in [r#"{"type":"STREAM"}"#, r#"{"type":"MOON"}"#, "{}", "[]"] {
        assert!(State::parse(bad).is_err(), "{bad}");
    }
    let counted = r#"{"data":{},"sourceStats":{"recordCount":3.0}}"#;
    assert_eq!(State::parse(counted).unwrap().record_count, Some(3.0));
    assert_eq!(legacy_data(r#"{"data": {"a":1.0}}"#), r#"{"a":1.0}"#);
}
