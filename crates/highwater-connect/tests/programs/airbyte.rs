//! What an Airbyte destination is told.

use highwater::{Sequence, Start};
use highwater_connect::{FailureKind, Stored};
use serde_json::{Value, json};

use crate::world::{ANEW, ONWARD, World, put};

/// What each process was told: the stream's mode and generations, and the statuses at its end.
fn processes(world: &World) -> Vec<(String, u64, u64, Vec<String>)> {
    let mut found: Vec<(String, u64, u64, Vec<String>)> = Vec::new();
    for told in world.told() {
        if let Some(stream) = told.pointer("/catalog/streams/0") {
            let number = |member: &str| stream[member].as_u64().unwrap();
            let mode = stream["destination_sync_mode"].as_str().unwrap().to_owned();
            found.push((mode, number("generation_id"), number("minimum_generation_id"), Vec::new()));
        }
        if let Some(status) = told.pointer("/trace/stream_status/status").and_then(Value::as_str) {
            found.last_mut().unwrap().3.push(status.to_owned());
        }
    }
    found
}

fn process(mode: &str, generation: u64, minimum: u64, status: &str) -> (String, u64, u64, Vec<String>) {
    (mode.to_owned(), generation, minimum, vec![status.to_owned()])
}

#[test]
fn it_gets_a_catalog_and_its_configuration_is_private() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1]]);
    world.deliver(&mut *world.open("airbyte", "mode = 'upsert'\nprefix = 'x_'", ""), 9).unwrap();
    let told = &world.told()[0];
    assert_eq!(told["mode"], "0o600");
    let stream = &told["catalog"]["streams"][0];
    assert_eq!(stream["stream"]["name"], "x_s");
    assert_eq!(stream["stream"]["json_schema"]["properties"]["id"]["type"], "integer");
    assert_eq!(
        (&stream["destination_sync_mode"], &stream["primary_key"]),
        (&json!("append_dedup"), &json!([["id"]]))
    );
    assert_eq!((&stream["sync_mode"], &stream["sync_id"]), (&json!("incremental"), &json!(1)));
    assert_eq!(world.ids("x_s"), [1]);
}

#[test]
fn only_the_first_process_of_a_generation_may_wipe_and_only_a_complete_one_is_shown() {
    let world = World::new();
    let table = "mode = 'overwrite'";
    // Two processes while the first generation is read; the second brings it to its end.
    let mut out = world.begin(&[("s", ANEW)]);
    put(&mut out, "s", &[1]);
    world.deliver(&mut *world.open("airbyte", table, ""), 1).unwrap();
    put(&mut out, "s", &[2]);
    out.finish().unwrap();
    drop(out);
    world.deliver(&mut *world.open("airbyte", table, ""), 1).unwrap();
    // The next generation, in one.
    world.sync("s", ANEW, &[&[7], &[8]]);
    world.deliver(&mut *world.open("airbyte", table, ""), 1).unwrap();
    let expected = [
        process("overwrite", 1, 1, "INCOMPLETE"),
        process("append", 1, 1, "COMPLETE"),
        process("overwrite", 2, 2, "COMPLETE"),
    ];
    assert_eq!(processes(&world), expected);
    assert_eq!(world.ids("s"), [1, 2, 7, 8]);
}

#[test]
fn generations_in_one_batch_are_a_process_each() {
    let world = World::new();
    for first in [1, 3, 5] {
        world.sync("s", ANEW, &[&[first], &[first + 1]]);
    }
    world.deliver(&mut *world.open("airbyte", "mode = 'overwrite'", "echo = 'end'"), 1000).unwrap();
    let expected = [1, 2, 3].map(|generation| process("overwrite", generation, generation, "COMPLETE"));
    assert_eq!(processes(&world), expected);
}

/// The processes of a delivery of everything that is left.
fn deliver(world: &World) -> Vec<(String, u64, u64, Vec<String>)> {
    let before = processes(world).len();
    world.deliver(&mut *world.open("airbyte", "mode = 'overwrite'", ""), 1).unwrap();
    processes(world).split_off(before)
}

/// Generations 1 to 3, each delivered when it was read.
fn three_generations() -> World {
    let world = World::new();
    for first in [1, 3, 5] {
        world.sync("s", ANEW, &[&[first], &[first + 1]]);
        deliver(&world);
    }
    world
}

#[test]
fn what_is_delivered_once_more_takes_the_place_of_what_came_later() {
    let world = three_generations();
    world.seek(Start::Earliest);
    let all = [1, 2, 3].map(|generation| process("overwrite", generation, generation, "COMPLETE"));
    assert_eq!(deliver(&world), all);
    // Of a generation that is not delivered from its beginning, nothing may be wiped; the next one puts it right.
    let second = world.end().get() / 3 + 1;
    world.seek(Start::After(Sequence::new(second + 1)));
    assert_eq!(
        deliver(&world),
        [process("append", 2, 2, "COMPLETE"), process("overwrite", 3, 3, "COMPLETE")]
    );
    assert_eq!(deliver(&world), []);
}

#[test]
fn a_log_that_was_restored_counts_its_generations_anew_and_each_still_takes_the_place_of_the_one_before() {
    let world = three_generations();
    let first = Sequence::new(world.end().get() / 3);
    let world = world.restored(first);
    for generation in 2..=4 {
        world.sync("s", ANEW, &[&[7], &[8]]);
        assert_eq!(deliver(&world), [process("overwrite", generation, generation, "COMPLETE")]);
    }
    // The fourth is another one than the one of that number from before.
    let world = world.restored(first);
    for _ in 2..=3 {
        world.sync("s", ANEW, &[&[7], &[8], &[9], &[10], &[11]]);
    }
    world.seek(Start::Now);
    world.sync("s", ANEW, &[&[9]]);
    assert_eq!(deliver(&world), [process("overwrite", 4, 4, "COMPLETE")]);
}

#[test]
fn a_generation_that_did_not_end_well_is_brought_to_its_end_again() {
    let world = World::new();
    world.sync("s", ANEW, &[&[1]]);
    let failure =
        world.deliver(&mut *world.open("airbyte", "mode = 'overwrite'", "error = 'swap failed'"), 9);
    assert!(failure.unwrap_err().to_string().contains("swap failed"));
    assert_ne!(world.feed().acknowledged(), world.log.end().unwrap().sequence);
    world.deliver(&mut *world.open("airbyte", "mode = 'overwrite'", ""), 9).unwrap();
    assert_eq!(processes(&world).last(), Some(&process("overwrite", 1, 1, "COMPLETE")));
    assert_eq!(world.feed().acknowledged(), world.log.end().unwrap().sequence);
}

#[test]
fn its_error_is_told_and_its_kind_kept() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1]]);
    let failure = world.deliver(&mut *world.open("airbyte", "", "error = 'no such table'"), 9).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Config);
    assert!(failure.to_string().contains("no such table"), "{failure}");
    // What it gave back before counts.
    assert_eq!(world.feed().acknowledged(), world.log.end().unwrap().sequence);
}

#[test]
fn check_asks_for_its_modes_and_its_configuration() {
    let world = World::new();
    assert_eq!(world.open("airbyte", "", "").check().unwrap(), Stored::NoPositions);
    let refused = world.open("airbyte", "", "refuse = 'no way in'").check().unwrap_err();
    assert!(refused.to_string().contains("no way in"), "{refused}");
    let refused = world.open("airbyte", "mode = 'upsert'", "").check().unwrap_err();
    assert!(refused.to_string().contains("it has no mode append_dedup"), "{refused}");
}
