//! Trials find the mistakes that pipelines make.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::sync::Arc;

use highwater::storage::Storage;
use highwater::testing::{Event, Failure, SimDisk, State, Trial, Tried};
use highwater::{Commit, Config, Limit, Log, Op, Position, Result, Start, StreamSpec};

const PAGES: u32 = 3;

#[derive(Default)]
struct Warehouse {
    rows: Vec<u32>,
    position: Option<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The cursor is committed before the records that it covers.
    CursorFirst,
    /// The records are committed before the cursor that covers them.
    RecordsFirst,
    /// What the destination holds is not asked.
    NotAligned,
    /// A checkpoint that is not durable counts as one that is.
    Buffered,
    /// It does not come to its end twice.
    Panics,
}

fn run(mistake: Mistake, disk: Arc<dyn Storage>, warehouse: &mut Warehouse) -> Result<()> {
    let (log, recovery) = Log::open_on(disk, Config { segment_bytes: 64 << 10, ..Config::default() })?;
    let orders = log.stream(StreamSpec::new("orders"))?;
    let mut writer = log.writer(&[&orders])?;
    for page in log.state()?.get(&orders)?.unwrap_or(0)..PAGES {
        let cursor = || Commit::new().stream(&orders, &(page + 1));
        if mistake == Mistake::CursorFirst {
            writer.commit(cursor())?;
        }
        writer.append(&orders, Op::Insert { key: b"", row: &page.to_le_bytes() })?;
        if mistake == Mistake::RecordsFirst {
            writer.commit(Commit::new().records(&orders))?;
        }
        writer.commit(cursor())?;
        if mistake == Mistake::Buffered {
            warehouse.rows.push(page); // without the log's word
        }
    }
    assert!(mistake != Mistake::Panics || recovery.is_clean() || log.end().is_none(), "a torn tail");
    let mut consumer = log.consumer("warehouse", Start::Earliest)?;
    if mistake != Mistake::NotAligned {
        consumer.align(warehouse.position)?;
    }
    while let Some(batch) = consumer.next_batch(&Limit::default())? {
        if mistake != Mistake::Buffered {
            let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
            let rows = batch.records().map(|record| Ok(number(&record?.payload)));
            warehouse.rows.extend(rows.collect::<Result<Vec<u32>>>()?);
        }
        warehouse.position = Some(batch.end());
        consumer.acknowledge(batch.end())?;
    }
    log.close()
}

fn tried(mistake: Mistake) -> std::result::Result<Tried, Failure> {
    let pipeline = |disk, warehouse: &mut Warehouse| run(mistake, disk, warehouse);
    Trial::default().run(Warehouse::default, pipeline, |warehouse| warehouse.rows.clone())
}

#[test]
fn a_pipeline_that_resumes_passes() {
    let tried = tried(Mistake::None).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(tried.calls > 25 && tried.runs > tried.calls as u64 * 10, "{tried}");
}

#[test]
fn mistakes_are_found_and_the_event_is_told() {
    for (mistake, what) in [
        (Mistake::CursorFirst, "expected [0, 1, 2], found"),
        (Mistake::RecordsFirst, "expected [0, 1, 2], found"),
        (Mistake::NotAligned, "expected [0, 1, 2], found"),
        (Mistake::Buffered, "expected [0, 1, 2], found"),
        (Mistake::Panics, "it panicked: a torn tail"),
    ] {
        let failure = tried(mistake).map_or_else(|failure| failure, |tried| panic!("{mistake:?}: {tried}"));
        assert!(failure.what.contains(what), "{mistake:?}: {failure}");
        assert_ne!(failure.event, Event::None, "{mistake:?}");
    }
}

#[test]
fn one_that_fails_by_itself_is_told_apart() {
    let fails = |_: Arc<dyn Storage>, (): &mut ()| Err("no source");
    let failure = Trial::default().run(|| (), fails, |()| ()).unwrap_err();
    assert_eq!(failure.to_string(), "nothing happened: it fails: no source");
}

/// What `cut_power_after` says comes true: so many calls happen, and no more.
#[test]
fn the_power_goes_after_so_many_calls() {
    let whole = SimDisk::new(State::default(), 1);
    run(Mistake::None, Arc::new(whole.clone()), &mut Warehouse::default()).unwrap();
    for calls in 0..whole.calls() {
        let disk = SimDisk::new(State::default(), 1);
        disk.cut_power_after(calls);
        assert!(run(Mistake::None, Arc::new(disk.clone()), &mut Warehouse::default()).is_err(), "{calls}");
        assert_eq!(disk.calls(), calls);
        assert!(Storage::names(&disk).is_err());
        assert!(Storage::names(&disk.after_power_cut(1)).is_ok());
    }
}
