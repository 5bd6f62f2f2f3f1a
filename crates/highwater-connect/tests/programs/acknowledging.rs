//! What counts as an acknowledgement, and when.

use highwater_connect::{Confirmed, Counted, Destination};

use crate::world::{ONWARD, World, put, wait_for};

fn confirmed(destination: &mut dyn Destination) -> u64 {
    match destination.confirmed().unwrap() {
        Confirmed::UpTo(position) => position.map_or(0, |position| position.sequence.get()),
        Confirmed::All => panic!("a program is never sure of everything"),
    }
}

#[test]
fn a_program_that_runs_acknowledges_while_it_is_given_more() {
    for protocol in ["airbyte", "singer"] {
        let world = World::new();
        world.sync("s", ONWARD, &[&[1, 2], &[3], &[4]]);
        let mut destination = world.open(protocol, "", "echo = 'each'");
        let mut feed = world.feed();
        feed.align(destination.stored().unwrap()).unwrap();
        for ids in [2, 3, 4] {
            let batch = loop {
                // The bookkeeping has checkpoints of its own, without records.
                let batch = world.batch(&mut feed, 1);
                destination.apply(&batch).unwrap();
                if batch.record_count() > 0 {
                    break batch;
                }
            };
            let end = batch.end().sequence.get();
            wait_for("its acknowledgement", || confirmed(&mut *destination) == end);
            assert_eq!(world.ids("s").len(), ids, "{protocol}");
        }
        let ends = |world: &World| world.told().iter().filter(|told| told.get("end").is_some()).count();
        assert_eq!(ends(&world), 0, "it was one process, and it still runs");
        destination.flush().unwrap();
        assert_eq!(ends(&world), 1);
    }
}

#[test]
fn a_checkpoint_counts_only_when_all_of_its_streams_came_back() {
    let world = World::new();
    let mut out = world.begin(&[("a", ONWARD), ("b", ONWARD)]);
    for n in 0..5 {
        put(&mut out, "a", &[n]);
        put(&mut out, "b", &[n]);
    }
    out.finish().unwrap();
    let mut destination = world.open("airbyte", "", "echo = 'reverse'");
    let mut feed = world.feed();
    feed.align(destination.stored().unwrap()).unwrap();
    for _ in 0..6 {
        destination.apply(&world.batch(&mut feed, 2)).unwrap();
        // Checkpoints before the first record need nobody.
        assert!(confirmed(&mut *destination) <= 1);
    }
    destination.flush().unwrap();
    assert_eq!(confirmed(&mut *destination), world.log.end().unwrap().sequence.get());
}

#[test]
fn without_an_acknowledgement_nothing_counts() {
    for protocol in ["airbyte", "singer"] {
        let world = World::new();
        world.sync("s", ONWARD, &[&[1, 2], &[3]]);
        let mut destination = world.open(protocol, "", "echo = 'never'");
        let failure = world.deliver(&mut *destination, 1).unwrap_err();
        assert!(failure.to_string().contains("has not given back the last state"), "{failure}");
        assert!(confirmed(&mut *destination) <= 1, "{protocol}");
        // It comes again, to whom acknowledges.
        world.deliver(&mut *world.open(protocol, "", ""), 1).unwrap();
        assert_eq!(world.ids("s"), [1, 2, 3, 1, 2, 3]);
        assert_eq!(world.feed().acknowledged(), world.log.end().unwrap().sequence);
    }
}

#[test]
fn a_program_that_acknowledges_at_its_end_is_brought_to_it() {
    let world = World::new();
    world.sync("s", ONWARD, &[&[1], &[2], &[3]]);
    let mut destination = world.open("singer", "unconfirmed = { max_size = 1 }", "echo = 'last'");
    let mut feed = world.feed();
    feed.align(destination.stored().unwrap()).unwrap();
    loop {
        let batch = world.batch(&mut feed, 1);
        destination.apply(&batch).unwrap();
        if batch.record_count() > 0 {
            break;
        }
    }
    // Nobody flushes: it is closed because it holds too much.
    wait_for("its end", || confirmed(&mut *destination) > 1);
    assert_eq!(world.ids("s"), [1]);
}

#[test]
fn what_it_says_that_it_refused_is_counted_and_silence_proves_nothing() {
    for (protocol, config, refused, is_verified) in
        [("airbyte", "stats = 2", 4, true), ("airbyte", "", 0, false), ("singer", "", 0, false)]
    {
        let world = World::new();
        world.sync("s", ONWARD, &[&[1, 2], &[3, 4]]);
        let mut destination = world.open(protocol, "", config);
        let mut feed = world.feed();
        feed.align(destination.stored().unwrap()).unwrap();
        // The first has no record.
        for _ in 0..3 {
            destination.apply(&world.batch(&mut feed, 1)).unwrap();
        }
        destination.flush().unwrap();
        confirmed(&mut *destination);
        assert_eq!(destination.counted(), Counted { refused, is_verified }, "{protocol} {config}");
        assert_eq!(destination.counted(), Counted::default(), "told once");
    }
}
