use std::ops::ControlFlow;
use std::time::Duration;

use highwater::{Config, Limit, Log, Meta, Op, Retention, Start, StreamSpec};

use super::*;
use crate::definition::StreamDefinition;
use crate::feed::Feed;
use crate::output::Output;
use crate::output::tests::around;
use crate::source::{Offer, Reading};

fn name() -> StreamName {
    StreamName { namespace: None, name: "a".to_owned() }
}

/// What the bookkeeping says of one stream at a checkpoint: number, minimum, whether it is complete.
type Said = (u64, (u64, u64, bool));

fn book((number, minimum, is_complete): (u64, u64, bool)) -> Book {
    let generation = Generation { number, minimum, is_complete, sync: 1 };
    let stream = StreamDefinition { generation, ..StreamDefinition::new(name()) };
    Book { streams: [stream].into_iter().collect(), ..Book::default() }
}

/// What a history knows at its end; it has lost checkpoints from `lost` on before it is told the rest.
fn told(before: &[Said], lost: Option<u64>, behind: &[Said]) -> Vec<(u64, ReplacementOutcome)> {
    let mut history = History::from(Sequence::FIRST);
    let follow = |history: &mut History, said: &[Said]| {
        said.iter().for_each(|(at, said)| history.follow(Sequence::new(*at), &book(*said)));
    };
    follow(&mut history, before);
    lost.into_iter().for_each(|lost| history.lose(Sequence::new(lost)));
    follow(&mut history, behind);
    history.all().map(|(_, began, outcome)| (began.get(), outcome)).collect()
}

fn whole(at: u64) -> ReplacementOutcome {
    ReplacementOutcome::Whole(Sequence::new(at))
}

fn given_up(at: u64) -> ReplacementOutcome {
    ReplacementOutcome::GivenUp(Sequence::new(at))
}

#[test]
fn a_generation_that_replaces_is_told_from_its_beginning_to_its_end() {
    use ReplacementOutcome::Open;
    let first = (1, (0, 0, false));
    let of = |said: &[Said]| told(&[&[first], said].concat(), None, &[]);
    assert_eq!(of(&[(2, (0, 0, true)), (3, (1, 0, false)), (4, (1, 0, true))]), [], "beside what is there");
    assert_eq!(of(&[(5, (1, 1, false))]), [(5, Open)]);
    // It is told once, however often the next syncs say that it is whole.
    let onward = [(5, (1, 1, false)), (7, (1, 1, true)), (8, (1, 0, false)), (9, (1, 0, true))];
    assert_eq!(of(&onward), [(5, whole(7))]);
    assert_eq!(of(&[(5, (7, 7, true))]), [(5, whole(5))], "whole at once");
    // Begun anew, for one that replaces and for one that does not.
    assert_eq!(
        of(&[(5, (1, 1, false)), (7, (2, 2, false)), (9, (2, 2, true))]),
        [(5, given_up(7)), (7, whole(9))]
    );
    assert_eq!(of(&[(5, (1, 1, false)), (7, (2, 0, false)), (9, (2, 0, true))]), [(5, given_up(7))]);
    // The source is read onward from some point on: it ends so, or the source goes on with its version.
    assert_eq!(of(&[(5, (1, 1, false)), (7, (1, 0, false))]), [(5, Open)]);
    assert_eq!(of(&[(5, (1, 1, false)), (7, (1, 0, false)), (8, (1, 0, true))]), [(5, given_up(8))]);
    let goes_on = [(5, (9, 9, false)), (7, (9, 0, false)), (8, (9, 9, false)), (9, (9, 9, true))];
    assert_eq!(of(&goes_on), [(5, whole(9))]);
}

#[test]
fn what_is_not_known_may_have_begun_as_early_as_can_be() {
    // The log's beginning is gone.
    assert_eq!(told(&[], Some(10), &[(14, (3, 3, false)), (16, (3, 3, true))]), [(1, whole(16))]);
    // Damage took when it began: nothing of it may go.
    let before = [(1, (2, 0, true)), (3, (2, 0, false))];
    assert_eq!(told(&before, Some(6), &[(9, (3, 3, false)), (12, (3, 3, true))]), [(6, whole(12))]);
    assert_eq!(told(&before, Some(6), &[(9, (2, 0, true)), (12, (3, 3, true))]), [(12, whole(12))]);
    // Or when it was whole.
    assert_eq!(
        told(&[(1, (2, 0, true)), (3, (3, 3, false))], Some(6), &[(9, (3, 0, true))]),
        [(3, given_up(9))]
    );
}

struct World {
    _dir: tempfile::TempDir,
    log: Log,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { segment_bytes: 64 << 10, ..Config::default() };
        let log = Log::open(dir.path(), config).unwrap().0;
        World { _dir: dir, log }
    }

    /// An attempt of a sync that reads all rows anew: so many, a checkpoint for each, and whether it comes to its end.
    fn attempt(&self, rows: usize, mark: char, is_whole: bool) {
        let around = around(Duration::ZERO);
        let reading = Reading::Anew { is_resumable: true, replaces: true };
        let mut out =
            Output::begin(&self.log, &[Offer::new(StreamDefinition::new(name()), reading)], &around).unwrap();
        let handle = out.find(None, "a").unwrap();
        let row = mark.to_string().repeat(3000);
        for n in 0..rows {
            out.record(handle, Op::Insert { key: b"", row: row.as_bytes() }, Meta::default()).unwrap();
            out.state(handle, &n.to_string()).unwrap();
        }
        if is_whole {
            out.finish().unwrap();
        }
    }

    fn told(&self) -> Compaction {
        with_generations(&self.log, Compaction::default()).unwrap()
    }

    /// Compacts as far as can be, and tells which checkpoint is the base.
    fn compact(&self) -> Sequence {
        let compaction = self.told();
        let plan = self.log.plan_compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap();
        let done = self.log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((plan.done, plan.first, &plan.streams), (done.done, done.first, &done.streams));
        assert!(done.done, "{done:?}");
        done.first
    }

    /// How many rows of which mark and generation a new destination gets.
    fn delivered(&self) -> Vec<(char, u64, usize)> {
        let mut counts: Vec<(char, u64, usize)> = Vec::new();
        let mut count = |mark, generation| match counts.last_mut() {
            Some((of, number, count)) if (*of, *number) == (mark, generation) => *count += 1,
            _ => counts.push((mark, generation, 1)),
        };
        let mut feed = Feed::open(&self.log, "new", Start::Oldest, None).unwrap();
        while let Some(batch) = feed.next(&Limit::default()).unwrap() {
            for checkpoint in batch.checkpoints() {
                for part in checkpoint.parts() {
                    let generation = part.definition().unwrap().generation.number;
                    part.records()
                        .for_each(|record| count(char::from(record.unwrap().payload[0]), generation));
                }
            }
        }
        drop(feed);
        // It would hold what it has not acknowledged.
        self.log.drop_consumer("new", None).unwrap();
        counts
    }
}

#[test]
fn a_new_destination_gets_what_the_newest_whole_generation_has() {
    let world = World::new();
    world.attempt(100, 'x', true);
    assert_eq!(world.told().replacements, [], "there was nothing before it");
    world.attempt(40, 'y', true);
    let [only] = world.told().replacements[..] else { panic!("{:?}", world.told()) };
    assert!(only.began > Sequence::new(100));
    world.attempt(30, 'z', false);
    let began =
        world.told().replacements.iter().find(|one| one.outcome == ReplacementOutcome::Open).unwrap().began;
    // The third is under way: the base checkpoint lies before it.
    assert_eq!(world.compact(), began.previous());
    assert_eq!(world.delivered(), [('y', 2, 40), ('z', 3, 30)]);
    world.attempt(30, 'z', true);
    world.attempt(30, 'w', false);
    // What the base checkpoint took in is older than the third, which is whole now.
    let second = world.compact();
    assert!(second > began);
    assert_eq!(world.delivered(), [('z', 3, 60), ('w', 4, 30)]);
    // With the beginning gone nothing of what is left is taken for older than it is.
    world.log.prune(&Retention::default()).unwrap();
    assert!(world.log.first() > second);
    world.attempt(60, 'w', true);
    world.attempt(60, 'v', false);
    world.compact();
    let left = world.delivered();
    let [('w', 4, of_w), ('v', 5, 60)] = left[..] else { panic!("{left:?}") };
    assert!(of_w >= 60, "{left:?}");
}

#[test]
fn what_no_pipeline_has_written_is_compacted_as_was_asked_for() {
    let world = World::new();
    let stream = world.log.stream(StreamSpec::new("a")).unwrap();
    drop(world.log.writer(&[&stream]).unwrap());
    assert_eq!(world.told(), Compaction { up_to: Some(Sequence::NONE), ..Compaction::default() });
    world.attempt(1, 'x', true);
    world.attempt(1, 'y', true);
    let asked = Compaction { up_to: Some(Sequence::new(2)), ..Compaction::default() };
    assert_eq!(with_generations(&world.log, asked).unwrap().up_to, Some(Sequence::new(2)));
    assert_eq!(world.told().up_to, Some(world.log.end().unwrap().sequence));
    // Nobody can ask for what was dropped.
    assert_eq!(world.told().replacements.len(), 1);
    world.log.drop_stream(&world.log.stream(StreamSpec::new("a")).unwrap()).unwrap();
    assert_eq!(world.told().replacements, []);
}
