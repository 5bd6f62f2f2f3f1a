//! What a repair leaves behind where it gave something up.

use super::*;

/// A log of ten checkpoints, of which the fifth is damaged; a consumer has acknowledged the eighth, another nothing.
pub(crate) fn damaged_in_the_middle() -> (Memory, Position) {
    let files = Memory::new();
    let log = open(&files).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    let mut ends = Vec::new();
    for i in 1..=10u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 300] }).unwrap();
        ends.push(writer.commit(Commit::new().stream(&stream, &i)).unwrap().position);
    }
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    lake.acknowledge(ends[7]).unwrap();
    lake.sync().unwrap();
    drop((writer, lake, log.consumer("late", Start::Oldest).unwrap()));
    log.close().unwrap();
    let name = "00000001.hws";
    let mut bytes = files.content(name).unwrap();
    let at = bytes.windows(300).position(|row| row == [5; 300]).unwrap();
    bytes[at] ^= 1;
    files.set_content(name, bytes);
    (files, ends[7])
}

/// The states of a checkpoint that was given up are gone; those of its neighbours are not taken for them.
#[test]
fn what_was_given_up_has_no_states() {
    let (files, _) = damaged_in_the_middle();
    apply(&files, Mode::SkipDamaged).unwrap();
    let log = open(&files).unwrap();
    for number in 1..=10 {
        let states = log.state_at(Sequence::new(number));
        if number == 5 {
            let refused = [states.unwrap_err(), log.plan_rewind(Sequence::new(5), None).unwrap_err()];
            let fifth = ErrorKind::Gap { first: Sequence::new(5), last: Sequence::new(5) };
            assert!(refused.iter().all(|error| *error.kind() == fifth), "{refused:?}");
        } else {
            let states = states.unwrap();
            assert_eq!(states.position().unwrap().sequence, Sequence::new(number));
            assert_eq!(states.all().unwrap()[0].1.text, number.to_string());
        }
    }
}

/// Where the last thing that stays is what an earlier repair put on record, its numbers stay given up.
#[test]
fn a_cut_right_behind_what_an_earlier_repair_gave_up() {
    let (files, _) = damaged_in_the_middle();
    apply(&files, Mode::SkipDamaged).unwrap();
    let name = "00000001.hws";
    let mut bytes = files.content(name).unwrap();
    let at = bytes.windows(300).rposition(|row| row == [6; 300]).unwrap();
    bytes[at] ^= 1;
    files.set_content(name, bytes);
    let done = apply(&files, Mode::Cut).unwrap();
    assert_eq!(done.last_before, Sequence::new(5), "{done:?}");
    let lost: Vec<_> = done.lost.iter().map(|run| (run.first.get(), run.last.get())).collect();
    assert_eq!(lost, [(6, 10)]);
    let log = open(&files).unwrap();
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
    assert_eq!(content(&log).into_keys().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let made = log.writer(&[]).unwrap().commit(Commit::new()).unwrap();
    assert_eq!(made.sequence(), Sequence::new(6));
}

#[test]
fn after_a_cut_whoever_is_ahead_has_diverged_though_the_numbers_come_again() {
    let (files, eighth) = damaged_in_the_middle();
    let done = apply(&files, Mode::Cut).unwrap();
    assert_eq!(done.consumers_ahead.len(), 1, "{done:?}");
    let log = open(&files).unwrap();
    let diverged =
        |log: &Log| assert_eq!(*log.consumer("lake", Start::Oldest).unwrap_err().kind(), ErrorKind::Diverged);
    diverged(&log);
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 5..=12u8 {
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    assert_eq!(end(&log).get(), 12);
    diverged(&log);
    // So has a destination that holds such a position.
    let mut late = log.consumer("late", Start::Oldest).unwrap();
    assert_eq!(*late.align(Some(eighth)).unwrap_err().kind(), ErrorKind::Diverged);
    let mut delivered = 0;
    while let Some(batch) = late.next_batch(&Limit::default()).unwrap() {
        delivered += batch.checkpoints().len();
        late.acknowledge(batch.end()).unwrap();
    }
    assert_eq!(delivered, 12);
}

#[test]
fn a_consumer_is_told_of_the_gap_and_goes_on_when_it_says_so() {
    let (files, eighth) = damaged_in_the_middle();
    let done = apply(&files, Mode::SkipDamaged).unwrap();
    assert!(done.consumers_ahead.is_empty() && done.lost_checkpoints == 1, "{done:?}");
    let log = open(&files).unwrap();
    // What is behind the gap is what it was: who has it, has it.
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    lake.align(Some(eighth)).unwrap();
    let mut late = log.consumer("late", Start::Oldest).unwrap();
    let mut delivered = Vec::new();
    let gap = loop {
        match late.next_batch(&Limit { max_checkpoints: 1, ..Limit::default() }) {
            Ok(Some(batch)) => {
                delivered.push(batch.end().sequence.get());
                late.acknowledge(batch.end()).unwrap();
            }
            Ok(None) => panic!("no gap"),
            Err(error) => break error,
        }
    };
    let ErrorKind::Gap { first, last } = *gap.kind() else { panic!("{gap}") };
    assert_eq!((first.get(), last.get(), &delivered[..]), (5, 5, &[1, 2, 3, 4][..]));
    assert!(late.pass_gap(Sequence::new(6)).is_err(), "checkpoint 6 is there");
    late.pass_gap(last).unwrap();
    assert_eq!(late.next_batch(&Limit::default()).unwrap().unwrap().end().sequence.get(), 10);
    let mut reader = log.reader(Sequence::FIRST).unwrap();
    while let Ok(Some(_)) = reader.next() {}
    assert_eq!(reader.pass_gap(), Some((first, last)));
    assert_eq!(reader.next().unwrap().unwrap().sequence().get(), 6);
}

/// Where the two histories part nobody can tell from a number, so everything is held until a person has put it somewhere.
#[test]
fn nothing_is_pruned_that_a_consumer_lacks_after_a_cut() {
    let (files, _) = damaged_in_the_middle();
    apply(&files, Mode::Cut).unwrap();
    let log = open(&files).unwrap();
    log.drop_consumer("late", None).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 5..=60u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 9000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    let newest = Retention { min_count: 1, ..Retention::default() };
    let compaction = Compaction { retention: newest, ..Compaction::default() };
    let held = |log: &Log| {
        assert_eq!(log.plan_prune(&newest).unwrap().first, Sequence::FIRST);
        assert_eq!(log.prune(&newest).unwrap().held_by, "checkpoint 1 and later are held by consumer lake");
        let compacted = log.compact(&compaction, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(!compacted.done, "{compacted:?}");
        assert_eq!(log.first(), Sequence::FIRST);
    };
    held(&log);
    // Both have the first four.
    log.seek_consumer("lake", Start::After(Sequence::new(4)), None).unwrap();
    assert_eq!(log.plan_prune(&newest).unwrap().held_by, "checkpoint 5 and later are held by consumer lake");
    let mut lake = log.consumer("lake", Start::Oldest).unwrap();
    let batch = lake.next_batch(&Limit { max_checkpoints: 1, ..Limit::default() }).unwrap().unwrap();
    assert_eq!(batch.end().sequence, Sequence::new(5));
    while let Some(batch) = lake.next_batch(&Limit::default()).unwrap() {
        lake.acknowledge(batch.end()).unwrap();
    }
    lake.sync().unwrap();
    assert!(log.prune(&newest).unwrap().first > Sequence::new(50));
}
