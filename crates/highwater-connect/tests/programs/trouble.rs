//! Programs that talk instead of reading, die, hang, or are not wanted any more.

use std::time::{Duration, Instant};

use highwater_connect::Urgency;

use crate::world::{ONWARD, World, wait_for};

#[test]
fn a_program_that_talks_while_it_is_written_to_holds_nobody_up() {
    // Far more than both pipes hold, in both directions.
    let world = World::new();
    let ids: Vec<u64> = (0..2000).collect();
    world.sync("s", ONWARD, &[ids.as_slice()]);
    world.deliver(&mut *world.open("airbyte", "", "chatter = 5000"), 9).unwrap();
    assert_eq!(world.ids("s"), ids);
}

#[test]
fn a_program_that_dies_gets_again_what_it_did_not_acknowledge() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1, 2], &[3, 4], &[5, 6]]);
    let failure = world.deliver(&mut *world.open("airbyte", "", "die_after = 3"), 1).unwrap_err();
    assert!(failure.to_string().contains("ended with exit code 1"), "{failure}");
    assert_eq!(world.ids("s"), [1, 2]);
    world.deliver(&mut *world.open("airbyte", "", ""), 1).unwrap();
    assert_eq!(world.ids("s"), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_program_that_ends_before_its_input_is_not_taken_for_done() {
    let world = World::new();
    let ids: Vec<u64> = (0..50_000).collect();
    world.sync("s", ONWARD, &[ids.as_slice()]);
    let failure = world.deliver(&mut *world.open("airbyte", "", "leave_after = 10"), 9).unwrap_err();
    assert!(failure.to_string().contains("it ended before its input did"), "{failure}");
    assert_ne!(world.feed().acknowledged(), world.log.end().unwrap().sequence);
}

#[test]
fn a_program_that_does_not_read_is_ended() {
    let world = World::new();
    let ids: Vec<u64> = (0..50_000).collect();
    world.sync("s", ONWARD, &[ids.as_slice()]);
    let mut destination = world.open("airbyte", "silence_timeout = '1s'", "hang_after = 10");
    let failure = world.deliver(&mut *destination, 9).unwrap_err();
    assert!(failure.to_string().contains("it said nothing for 1"), "{failure}");
}

#[test]
fn an_idle_program_may_be_silent() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1]]);
    let mut destination = world.open("airbyte", "silence_timeout = '1s'", "");
    let mut feed = world.feed();
    feed.align(destination.stored().unwrap()).unwrap();
    destination.apply(&world.batch(&mut feed, 9)).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    destination.flush().unwrap();
    assert_eq!(world.ids("s"), [1]);
}

#[test]
fn a_second_request_to_stop_ends_it_at_once() {
    let world = World::new();
    let ids: Vec<u64> = (0..50_000).collect();
    world.sync("s", ONWARD, &[ids.as_slice()]);
    let mut destination = world.open("airbyte", "", "hang_after = 10");
    let stop = world.stop.clone();
    let asker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        stop.ask(Urgency::Now);
    });
    let begun = Instant::now();
    world.deliver(&mut *destination, 9).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20));
    asker.join().unwrap();
}

#[test]
fn a_destination_that_is_dropped_leaves_no_process() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1]]);
    let mut destination = world.open("airbyte", "", "");
    let mut feed = world.feed();
    feed.align(destination.stored().unwrap()).unwrap();
    destination.apply(&world.batch(&mut feed, 9)).unwrap();
    let mark = world.dir.path().join("log.hw.connect/child.to");
    let text = std::fs::read_to_string(&mark).unwrap();
    let process = text.split(' ').next().unwrap().to_owned();
    drop(destination);
    wait_for("its end", || !std::path::Path::new(&format!("/proc/{process}")).exists());
    assert!(!mark.exists());
}
