//! The document tells the truth: every address that it names answers, and as it says.

use serde_json::{Value, json};

use crate::site::{Site, TOKEN};

/// A question for each address that is asked by GET, more than one where it can be asked in several ways.
const QUESTIONS: &[&str] = &[
    "/api/overview",
    "/api/streams",
    "/api/streams?q=ORD&limit=1",
    "/api/streams?sort=name",
    "/api/streams?sort=newest",
    "/api/streams?sort=oldest",
    "/api/streams?sort=records&offset=1",
    "/api/checkpoints",
    "/api/checkpoints?before=10&limit=3",
    "/api/checkpoint?sequence=20",
    "/api/checkpoint?sequence=23",
    "/api/history?stream=orders&namespace=shop",
    "/api/history?stream=orders&namespace=shop&before=10&limit=2",
    "/api/history?global=true",
    "/api/difference?stream=orders&namespace=shop&from=0&to=23",
    "/api/difference?stream=orders&namespace=shop&from=20&to=23",
    "/api/difference?global=true&from=1&to=22",
    "/api/space",
    "/api/series",
    "/api/series?range=1h",
    "/api/series?range=24h",
    "/api/series?range=7d",
    "/api/latency",
    "/api/runs",
    "/api/runs?limit=1",
    "/api/audit",
];

fn document(site: &Site) -> Value {
    site.get("/api/openapi.json").is(200).json()
}

/// Holds an answer against a schema of the document.
#[track_caller]
fn check(document: &Value, schema: &Value, answer: &Value, what: &str) {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(answer).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{answer:#}");
}

fn schema<'a>(document: &'a Value, path: &str, method: &str, status: &str) -> &'a Value {
    &document["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
}

#[test]
fn every_question_of_the_document_is_answered_as_it_says() {
    let site = Site::new().ready();
    let document = document(&site);
    let paths = document["paths"].as_object().unwrap();
    for question in QUESTIONS {
        let path = question.split('?').next().unwrap();
        let answer = site.get(question).is(200).json();
        check(&document, schema(&document, path, "get", "200"), &answer, question);
    }
    for (path, methods) in paths.iter().filter(|(path, _)| path.starts_with("/api/")) {
        for parameter in methods["get"]["parameters"].as_array().into_iter().flatten() {
            let asked = format!("{}=", parameter["name"].as_str().unwrap());
            let is_asked =
                |question: &&&str| question.split('?').next() == Some(path) && question.contains(&asked);
            assert!(QUESTIONS.iter().any(|question| is_asked(&question)), "nobody asks {path} with {asked}");
        }
        if methods.get("get").is_some() {
            assert!(QUESTIONS.iter().any(|question| question.split('?').next() == Some(path)), "{path}");
        }
    }
}

#[test]
fn every_order_of_the_document_is_carried_out_as_it_says() {
    let site = Site::new().ready();
    let document = document(&site);
    let orders = [
        ("/api/rewind", json!({"to": 3, "by": "ops", "reason": "a test", "dry_run": true})),
        ("/api/rewind", json!({"to": 3, "by": "ops", "reason": "a test", "expected": 23})),
        (
            "/api/state",
            json!({"global": true, "text": "{\"lsn\":2}", "by": "ops", "reason": "a test", "dry_run": true}),
        ),
        (
            "/api/state",
            json!({"stream": "orders", "namespace": "shop", "text": null, "by": "a", "reason": "b", "expected": 24}),
        ),
    ];
    for (path, order) in orders {
        let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        check(&document, body, &order, path);
        let answer = site.post(path, &order).is(200).json();
        assert_eq!(answer["done"], order["dry_run"] != true, "{answer}");
        check(&document, schema(&document, path, "post", "200"), &answer, path);
    }
}

#[test]
fn a_refusal_is_as_the_document_says() {
    let site = Site::new().ready();
    let document = document(&site);
    let cases = [
        ("/api/checkpoint", 400, "question"),
        ("/api/checkpoint?sequence=x", 400, "question"),
        ("/api/checkpoint?sequence=99", 404, "not_found"),
        ("/api/checkpoint?sequence=0", 404, "not_found"),
        ("/api/history", 400, "question"),
        ("/api/history?stream=orders", 404, "not_found"),
        ("/api/difference?stream=orders&namespace=shop&from=1&to=99", 404, "not_found"),
        ("/api/streams?sort=colour", 400, "question"),
        ("/api/nothing", 404, "not_found"),
        ("/etc/passwd", 404, "not_found"),
    ];
    for (path, status, kind) in cases {
        let answer = site.get(path).is(status).json();
        assert_eq!(answer["error"]["kind"], kind, "{path}: {answer}");
        check(&document, &json!({"$ref": "#/components/schemas/Error"}), &answer, path);
    }
    let unreadable = Site::unreadable().get("/api/overview").is(500).json();
    check(&document, &json!({"$ref": "#/components/schemas/Error"}), &unreadable, "unreadable");
    let token = format!("Bearer {TOKEN}");
    let broken = site.ask("POST", "/api/state", &[("authorization", &token)], "{");
    assert_eq!(broken.is(400).json()["error"]["kind"], "question");
}

#[test]
fn what_is_answered_is_what_the_log_holds() {
    let site = Site::new().ready();
    let streams = site.get("/api/streams?sort=records").json();
    assert_eq!((&streams["total"], &streams["matching"]), (&json!(2), &json!(2)));
    assert_eq!(site.get("/api/overview").json()["log"]["streams"], 2, "the runtime's own is none of them");
    let opened = site.get("/api/audit").json()["entries"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&opened["event"], &opened["after"]), (&json!("opening"), &json!(0)));
    let orders = &streams["streams"][0];
    assert_eq!(
        (&orders["name"], &orders["records"], &orders["last"]),
        (&json!("orders"), &json!(20), &json!(20))
    );
    assert_eq!(orders["state"]["text"], r#"{"cursor":19,"seen":[]}"#);
    let history = site.get("/api/history?stream=orders&namespace=shop&limit=2").json();
    let entries = history["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &history["more"]), (2, &json!(true)));
    assert_eq!(entries[0]["operation"]["who"], "ops");
    assert_eq!(entries[1]["state"]["pretty"], "{\n  \"cursor\": 20,\n  \"seen\": [\n    20,\n    21\n  ]\n}");
    let difference = site.get("/api/difference?stream=orders&namespace=shop&from=20&to=23").json();
    assert_eq!(
        difference["changes"][0],
        json!({"op": "replace", "path": "/cursor", "value": 19, "text": "~ /cursor: 20 -> 19"})
    );
    for (wrong, told) in [("0", "from 1 to 200"), ("201", "from 1 to 200"), ("x", "limit is nothing")] {
        let refused = site.get(&format!("/api/checkpoints?limit={wrong}")).is(400).json();
        assert!(refused["error"]["text"].as_str().unwrap().contains(told), "{refused}");
    }
    let page = site.get("/api/checkpoints?before=10&limit=3").json();
    let numbers: Vec<_> =
        page["checkpoints"].as_array().unwrap().iter().map(|row| &row["sequence"]).collect();
    assert_eq!(numbers, [9, 8, 7]);
    let series = site.get("/api/series").json();
    let sum = |name: &str| series[name].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("checkpoints"), sum("records")), (23, 22));
    let overview = site.get("/api/overview").json();
    assert_eq!(overview["consumers"][0]["lag_checkpoints"], 18);
    assert!(overview["consumers"][0]["lag_us"].as_i64().unwrap() > 0);
    assert_eq!(overview["verdict"]["level"], "well", "{overview:#}");
}
