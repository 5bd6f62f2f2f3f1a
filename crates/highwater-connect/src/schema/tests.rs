use super::*;
use crate::FailureKind;

const OLD: &str = r#"{"type":"object","properties":{"id":{"type":"integer","description":"x"},
    "at":{"type":["null","string"],"format":"date-time"},"gone":{"type":"string"},"n":{"type":"integer"}}}"#;
const NEW: &str = r#"{"properties":{"n":{"type":["number","null"]},"id":{"description":"other","type":"integer"},
    "at":{"format":"date-time","type":["string","null"]},"new":{"type":"object","properties":{"title":{"type":"string"}}}}}"#;

fn told(changes: &[Change]) -> Vec<String> {
    changes.iter().map(Change::to_string).collect()
}

#[test]
fn what_differs_is_told_by_column_and_annotations_do_not_count() {
    let changes = difference(Some(OLD), Some(NEW));
    let new = r#"+ new: {"properties":{"title":{"type":"string"}},"type":"object"}"#;
    assert_eq!(told(&changes), ["- gone: string", "~ n: integer -> number or null", new]);
    assert_eq!(difference(Some(OLD), Some(OLD)), []);
    let plain = r#"{"properties":{"at":{"type":"string","format":"date"},"x":{}}}"#;
    assert_eq!(told(&difference(None, Some(plain))), ["+ at: string (date)", "+ x: anything"]);
    // A column may have an annotation's name.
    let titled = NEW.replace("title", "default");
    assert_eq!(difference(Some(NEW), Some(&titled)).len(), 1);
    assert_eq!(difference(Some("no JSON"), None), []);
}

#[test]
fn each_policy_decides_which_schema_holds() {
    let changes = difference(Some(OLD), Some(NEW));
    let decide = |policy: SchemaPolicy| policy.decide(OLD, Some(NEW), &changes);
    assert_eq!(decide(SchemaPolicy::Propagate).unwrap().as_deref(), Some(NEW));
    assert_eq!(decide(SchemaPolicy::Ignore).unwrap().as_deref(), Some(OLD));
    let merged = decide(SchemaPolicy::PropagateAdditions).unwrap().unwrap();
    let told = told(&difference(Some(OLD), Some(&merged)));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("+ new"), "{told:?}");
    let paused = decide(SchemaPolicy::Pause).unwrap_err();
    assert_eq!(paused.kind(), FailureKind::Paused);
    assert!(paused.to_string().contains("- gone: string; ~ n"), "{paused}");
    // Where no column differs the text follows, whatever the policy.
    let described = OLD.replace("\"x\"", "\"y\"");
    let none = difference(Some(OLD), Some(&described));
    assert_eq!(SchemaPolicy::Pause.decide(OLD, Some(&described), &none).unwrap(), Some(described));
}

#[test]
fn additions_keep_the_old_text_and_its_order() {
    let old = r#"{"properties":{"b":{"maximum":12345678901234567890123},"a":{}},"x":1.0}"#;
    let new = r#"{"properties":{"a":{"type":"null"},"c\"":{"type":"string"}}}"#;
    assert_eq!(
        with_additions(old, Some(new)).unwrap(),
        r#"{"x":1.0,"properties":{"b":{"maximum":12345678901234567890123},"a":{},"c\"":{"type":"string"}}}"#
    );
    assert_eq!(with_additions(old, None).unwrap(), old);
}
