//! Rewinds and edits: the same record as the command line leaves, and the same refusals.

use highwater::{AuditEvent, Config, Log, LogReader};
use serde_json::json;

use crate::site::Site;

#[test]
fn a_rewind_is_told_first_and_then_on_record() {
    let site = Site::new().ready();
    let plan = site.post("/api/rewind", &json!({"to": 3, "stream": "orders", "namespace": "shop", "by": "ops", "reason": "a filter", "dry_run": true}));
    let plan = plan.is(200).json();
    assert_eq!((&plan["done"], &plan["again"][0]["records"]), (&json!(false), &json!(17)));
    assert_eq!(plan["repeats"][0]["records"], 2, "lake has 4 and 5 already");
    let unknown = json!({"consumer": "lake", "on_repeat": null, "streams": []});
    assert_eq!(plan["twice"][0], unknown, "by key once, otherwise twice");
    let order = json!({"to": 3, "stream": "orders", "namespace": "shop", "by": "ops", "reason": "a filter", "expected": plan["end"]["sequence"]});
    let done = site.post("/api/rewind", &order).is(200).json();
    assert_eq!(done["sequence"], 24);
    let log = LogReader::open(site.dir.path()).unwrap();
    let mut last = None;
    log.audit(&mut |entry| last = Some(entry)).unwrap();
    let AuditEvent::Operation { record, .. } = last.unwrap().event else { panic!("no operation") };
    assert_eq!((record.what.as_str(), record.who.as_deref()), ("rewind shop.orders to 3", Some("ops")));
    assert_eq!(
        (record.why.as_deref(), record.from.map(|from| from.sequence.get())),
        (Some("a filter"), Some(3))
    );
    // What is shown is new at once.
    let audit = site.get("/api/audit").json();
    assert_eq!(audit["entries"][0]["what"], "rewind shop.orders to 3");
    let streams = site.get("/api/streams?q=orders").json();
    assert_eq!(streams["streams"][0]["state"]["text"], r#"{"cursor":3,"seen":[3,4]}"#);
}

#[test]
fn a_rewind_takes_a_checkpoint_by_its_number_its_id_or_a_time() {
    let site = Site::new().ready();
    let plan = |to: serde_json::Value| {
        let order = json!({"to": to, "by": "ops", "reason": "a filter", "dry_run": true});
        site.post("/api/rewind", &order)
    };
    let by_number = plan(json!(3)).is(200).json();
    assert_eq!(plan(by_number["to"]["checkpoint"].clone()).is(200).json(), by_number);
    assert_eq!(plan(json!("3")).is(200).json(), by_number);
    assert_eq!(plan(json!("2999-12-31")).is(200).json()["to"]["sequence"], 23);
    plan(json!("1999-12-31")).is(404);
    plan(json!("yesterday")).is(400);
}

#[test]
fn what_was_decided_by_an_old_look_is_refused() {
    let site = Site::new().ready();
    let edit = |expected| json!({"global": true, "text": "{\"lsn\":9}", "by": "ops", "reason": "x", "expected": expected});
    assert_eq!(site.post("/api/state", &edit(json!(22))).is(409).json()["error"]["kind"], "outdated");
    assert_eq!(site.post("/api/state", &edit(json!(null))).is(400).json()["error"]["kind"], "question");
    let rewind = json!({"to": 3, "by": "ops", "reason": "x", "expected": 22});
    assert_eq!(site.post("/api/rewind", &rewind).is(409).json()["error"]["kind"], "outdated");
    assert_eq!(LogReader::open(site.dir.path()).unwrap().end().unwrap().sequence.get(), 23);
}

#[test]
fn nothing_is_changed_without_who_and_why_or_into_something_else_than_json() {
    let site = Site::new().ready();
    let edit = |text: &str, by: &str, reason: &str| {
        let order = json!({"global": true, "text": text, "by": by, "reason": reason, "expected": 23});
        site.post("/api/state", &order).is(400);
    };
    edit("{\"lsn\":9}", " ", "x");
    edit("{\"lsn\":9}", "ops", "");
    edit("{\"lsn\":", "ops", "x");
    edit("NaN", "ops", "x");
    assert_eq!(LogReader::open(site.dir.path()).unwrap().end().unwrap().sequence.get(), 23);
}

#[test]
fn while_somebody_writes_it_is_refused_and_says_who() {
    let site = Site::new().ready();
    let (log, _) = Log::open(site.dir.path(), Config::default()).unwrap();
    let order = json!({"global": true, "text": "{}", "by": "ops", "reason": "x", "expected": 23});
    let refused = site.post("/api/state", &order).is(409).json();
    assert_eq!(refused["error"]["kind"], "locked");
    let text = refused["error"]["text"].as_str().unwrap();
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert_eq!(site.get("/api/overview").json()["log"]["live"], true);
    log.close().unwrap();
    site.post("/api/state", &order).is(200);
}

#[test]
fn what_the_runtime_keeps_for_itself_is_not_changed() {
    let site = Site::new().ready();
    for (path, mut order) in [
        ("/api/state", json!({"text": "{}"})),
        ("/api/state", json!({"text": null})),
        ("/api/rewind", json!({"to": 3})),
    ] {
        let ours =
            json!({"stream": "runs", "namespace": "_highwater", "by": "ops", "reason": "x", "expected": 23});
        order.as_object_mut().unwrap().extend(ours.as_object().unwrap().clone());
        let refused = site.post(path, &order).is(400).json();
        assert!(refused["error"]["text"].as_str().unwrap().contains("the runtime's own"), "{refused}");
    }
    // Nor is it offered to who asks for a stream that is not there.
    let unknown = json!({"stream": "nope", "text": "{}", "by": "ops", "reason": "x", "expected": 23});
    let refused = site.post("/api/state", &unknown).is(404).json();
    let text = refused["error"]["text"].as_str().unwrap();
    assert!(text.contains("orders") && !text.contains("_highwater"), "{text}");
    assert_eq!(LogReader::open(site.dir.path()).unwrap().end().unwrap().sequence.get(), 23);
}
