//! What a Singer target is told.

use serde_json::json;

use crate::world::{ANEW, ONWARD, World, lines};

#[test]
fn a_schema_comes_before_the_first_record() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1], &[2]]);
    world.deliver(&mut *world.open("singer", "mode = 'upsert'\nprefix = 'x_'", ""), 1).unwrap();
    let schemas: Vec<_> = world.told().into_iter().filter(|told| told["type"] == "SCHEMA").collect();
    assert_eq!(schemas.len(), 1);
    assert_eq!((&schemas[0]["stream"], &schemas[0]["key_properties"]), (&json!("x_s"), &json!(["id"])));
    assert_eq!(schemas[0]["schema"]["properties"]["id"]["type"], "integer");
    assert_eq!(world.ids("x_s"), [1, 2]);
}

#[test]
fn an_append_has_no_key() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1]]);
    world.deliver(&mut *world.open("singer", "", ""), 9).unwrap();
    assert_eq!(world.told()[0]["key_properties"], json!([]));
}

#[test]
fn a_generation_is_activated_when_it_is_complete() {
    let world = World::new();
    for first in [1, 3] {
        world.sync("s", ANEW, &[&[first], &[first + 1]]);
    }
    world.deliver(&mut *world.open("singer", "mode = 'overwrite'", ""), 1000).unwrap();
    let activated: Vec<_> =
        world.told().into_iter().filter(|told| told["type"] == "ACTIVATE_VERSION").collect();
    let expected = [1, 2].map(|n| json!({"type": "ACTIVATE_VERSION", "stream": "s", "version": n}));
    assert_eq!(activated, expected);
    let versions: Vec<_> =
        lines(&world.dir.path().join("held.jsonl")).iter().map(|row| row["version"].clone()).collect();
    assert_eq!(versions, [1, 1, 2, 2]);
}
