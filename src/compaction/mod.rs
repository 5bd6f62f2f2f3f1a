//! Keyed compaction: old checkpoints become one, the *base checkpoint*, that tells what counts of them.
//!
//! It is a pruning that keeps the content: planned first, written into files of their own, and in force with one frame, the
//! switch. A crash before that leaves files that nobody names.

mod copy;
mod due;
mod fate;
mod files;
mod measure;
mod meter;
mod outline;
mod source;
mod streams;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::config::{Compaction, Config};
use crate::environment::{Environment, micros};
use crate::error::{Error, Result};
use crate::format::define::StreamName;
use crate::format::snapshot::{BaseCheckpoint, Retained};
use crate::journal::Journal;
use crate::origin::{Horizon, Origin};
use crate::position::{Sequence, StreamId};
use crate::pruning::{self, Holder, Holds, Purpose};
use crate::replacement;
use crate::segment::Files;
use crate::view::View;

pub(crate) use due::compact_if_due;

use copy::{Copier, Counts};
use fate::{Fates, Rules};
use files::DataFiles;
use measure::Measure;
pub use meter::CompactionProgress;
use meter::Meter;
use outline::Outline;
use source::Source;
use streams::Streams;

/// What decides, at this time.
fn rules(compaction: &Compaction, environment: &dyn Environment) -> Rules {
    let age_us = micros(compaction.tombstones_min_age);
    let young_us = if age_us == 0 { i64::MAX } else { environment.now_us().saturating_sub(age_us) };
    let secret = environment.random();
    Rules { keys_max: fate::keys_max(compaction.memory_bytes_max), young_us, secret }
}

/// What a compaction rewrites, or did rewrite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Compacted {
    /// Whether the log was changed; of a plan, whether it would be.
    pub done: bool,
    /// It ended early because it was told to: nothing has changed.
    pub cancelled: bool,
    /// The log's oldest checkpoint: the base checkpoint, if there is one.
    pub first: Sequence,
    /// Everything from here on is in the base checkpoint; 1: everything since the log was created.
    pub from: Sequence,
    /// Segments that go.
    pub segments: u64,
    /// Bytes on disk of what is rewritten: segments and earlier base files.
    pub disk_bytes_before: u64,
    /// Bytes on disk of what takes its place. Of a plan: not known, 0.
    pub disk_bytes_after: u64,
    /// What becomes of each stream that has records there.
    pub streams: Vec<StreamCompacted>,
    /// What keeps the rest as it is.
    pub held_by: String,
}

/// What a compaction leaves of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamCompacted {
    /// Its number.
    pub stream: StreamId,
    /// Its name, if it has one.
    pub name: Option<StreamName>,
    /// Records there are up to the compaction point.
    pub records_before: u64,
    /// Records that stay of them.
    pub records_after: u64,
    /// Bytes of keys, metadata and payloads of those there are.
    pub bytes_before: u64,
    /// And of those that stay.
    pub bytes_after: u64,
}

impl Compacted {
    fn nothing(horizon: &Horizon, holds: &Holds) -> Self {
        Compacted {
            done: false,
            cancelled: false,
            first: horizon.retained.first_sequence,
            from: horizon.retained.first_sequence,
            segments: 0,
            disk_bytes_before: 0,
            disk_bytes_after: 0,
            streams: Vec::new(),
            held_by: holds.describe(),
        }
    }

    /// Records up to the compaction point: there are, and stay.
    pub fn records(&self) -> (u64, u64) {
        let before = self.streams.iter().map(|stream| stream.records_before).fold(0, u64::saturating_add);
        let after = self.streams.iter().map(|stream| stream.records_after).fold(0, u64::saturating_add);
        (before, after)
    }

    /// Their bytes: there are, and stay.
    pub fn bytes(&self) -> (u64, u64) {
        let before = self.streams.iter().map(|stream| stream.bytes_before).fold(0, u64::saturating_add);
        let after = self.streams.iter().map(|stream| stream.bytes_after).fold(0, u64::saturating_add);
        (before, after)
    }

    fn tell(&mut self, streams: &Streams, counts: BTreeMap<StreamId, Counts>) {
        let tell = |(stream, counts): (StreamId, Counts)| {
            let Counts { records_before, records_after, bytes_before, bytes_after } = counts;
            let name = streams.name(stream);
            StreamCompacted { stream, name, records_before, records_after, bytes_before, bytes_after }
        };
        self.streams = counts.into_iter().map(tell).collect();
    }
}

type Tell<'a> = &'a mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>;

/// What would be rewritten. Reads all of that, and changes nothing.
pub(crate) fn plan(origin: &Origin, compaction: &Compaction, tell: Tell<'_>) -> Result<Compacted> {
    compaction.check()?;
    origin.with_view(|view| check_asked(compaction, view))?;
    let horizon = origin.horizon()?;
    let mut holds = Holds::of(origin, &horizon, &compaction.retention, Purpose::Compact)?;
    hold_behind(&mut holds, compaction);
    let files = origin.files();
    let name = |stream| origin.with_view(|view| name_of(view, stream));
    let outline = Outline::within(files, &horizon, &mut holds, compaction, &name, None)?;
    let mut report = Compacted::nothing(&horizon, &holds);
    let Some(outline) = outline else { return Ok(report) };
    let mut meter = Meter::new(tell);
    let work = Work::of(files, &outline, compaction)?;
    let result = work.measure(rules(compaction, origin.environment()), &mut meter);
    if meter.cancelled {
        report.cancelled = true;
        return Ok(report);
    }
    // A pruning beside it takes away what is read.
    let (from, counts) = result.map_err(|error| origin.explain(error, horizon.retained.first_sequence))?;
    report.tell(&work.streams, counts);
    if is_worth_it(&report, compaction) {
        work.promise(&mut report, from);
    }
    Ok(report)
}

/// The name of a stream that was not dropped.
fn name_of(view: &View, stream: StreamId) -> Option<StreamName> {
    view.name(stream).filter(|_| !view.is_dropped(stream)).cloned()
}

/// Whether a pipeline's runtime writes the log: what replaced other records is in its states then.
fn is_of_a_pipeline(view: &View) -> bool {
    view.streams().any(|(_, defined)| defined.name.is_of_runtime())
}

/// Who has asked the runtime knows up to where that was.
fn check_asked(compaction: &Compaction, view: &View) -> Result<()> {
    if compaction.up_to.is_some() || !is_of_a_pipeline(view) {
        return Ok(());
    }
    Err(Error::invalid(
        "a pipeline's runtime writes this log, and which records were replaced is in its states: compact it by `highwater compact`, or with \
         what highwater_connect::compaction::with_generations tells"
            .to_owned(),
    ))
}

/// What nobody asked for stays as it is.
fn hold_behind(holds: &mut Holds, compaction: &Compaction) {
    if let Some(last) = compaction.up_to {
        holds.add(last.next(), Holder::UpTo);
    }
}

/// Rewrites. Blocks for reading and writing all of it; appends go on meanwhile.
pub(crate) fn compact(journal: &Journal, compaction: &Compaction, tell: Tell<'_>) -> Result<Compacted> {
    let _span = tracing::info_span!("highwater.compact").entered();
    compaction.check()?;
    journal.with_view(|view| check_asked(compaction, view))?;
    pruning::alone(journal, || compact_alone(journal, compaction, tell))
}

fn compact_alone(journal: &Journal, compaction: &Compaction, tell: Tell<'_>) -> Result<Compacted> {
    journal.flush_all()?;
    let files = &journal.files;
    let horizon = pruning::horizon(journal);
    let mut holds = Holds::of_journal(journal, &horizon, &compaction.retention, Purpose::Compact)?;
    hold_behind(&mut holds, compaction);
    let name = |stream| journal.with_view(|view| name_of(view, stream));
    let Some(rough) = Outline::within(files, &horizon, &mut holds, compaction, &name, None)? else {
        pruning::clean_up(journal)?; // what an earlier opening left
        return Ok(Compacted::nothing(&horizon, &holds));
    };
    // Uncommitted records of slow streams move to the head; what can't move now stays, and so does its segment.
    let floor = pruning::move_out(journal, rough.first_live)?;
    journal.flush_all()?;
    let now = pruning::horizon(journal);
    let outline = Outline::within(files, &now, &mut holds, compaction, &name, Some(floor))?;
    let report = Compacted::nothing(&horizon, &holds);
    let Some(outline) = outline else { return Ok(report) };
    let mut meter = Meter::new(tell);
    let mut planned = report.clone();
    let retained = match rewrite(journal, &outline, compaction, &mut planned, &mut meter) {
        Ok(Some(retained)) => retained,
        // Here and not behind the switch: after a failed one nobody knows which of the two is in force.
        other => {
            pruning::give_up(journal);
            return match other {
                Err(_) if meter.cancelled => Ok(Compacted { cancelled: true, ..report }),
                Err(error) => Err(error),
                Ok(_) => Ok(Compacted { streams: planned.streams, ..report }),
            };
        }
    };
    if !pruning::switch_to(journal, &holds, retained)? {
        return Ok(report);
    }
    tracing::info!(segments = planned.segments, first = %planned.first, "compacted");
    Ok(planned)
}

/// Writes the base checkpoint: what the log holds from the switch on. `None` if it is not worth it. The report tells what the
/// switch will bring.
fn rewrite(
    journal: &Journal,
    outline: &Outline,
    compaction: &Compaction,
    report: &mut Compacted,
    meter: &mut Meter<'_>,
) -> Result<Option<Retained>> {
    let work = Work::of(&journal.files, outline, compaction)?;
    let rules = rules(compaction, &*journal.config.environment);
    if compaction.dead_share_min > 0.0 {
        let (_, counts) = work.measure(rules, meter)?;
        report.tell(&work.streams, counts);
        if !is_worth_it(report, compaction) {
            return Ok(None);
        }
    }
    let (base, from, counts) = work.write(journal, rules, meter)?;
    let before = &outline.before;
    report.disk_bytes_after = base.files.iter().map(|file| u64::from(file.bytes)).sum();
    let first = outline.last();
    report.tell(&work.streams, counts);
    work.promise(report, from);
    pruning::write_base(journal, before, outline.first_live, first, Some(base)).map(Some)
}

fn is_worth_it(report: &Compacted, compaction: &Compaction) -> bool {
    let (before, after) = report.bytes();
    (before - after.min(before)) as f64 >= compaction.dead_share_min * before as f64
}

/// Everything that the passes need.
struct Work<'a> {
    source: Source<'a>,
    streams: Streams,
    outline: &'a Outline,
}

impl<'a> Work<'a> {
    fn of(files: &'a Files, outline: &'a Outline, compaction: &Compaction) -> Result<Work<'a>> {
        let replaced = replacement::replaced_by(&compaction.replacements, outline.last());
        let source = Source { files, outline, bytes: outline.bytes(files)?, replaced };
        Ok(Work { source, streams: Streams::of(files, outline)?, outline })
    }

    /// Counts what would stay.
    fn measure(&self, rules: Rules, meter: &mut Meter<'_>) -> Result<(Sequence, BTreeMap<StreamId, Counts>)> {
        let fates = Fates::judge(&self.source, &self.streams, rules, meter)?;
        let mut measure = Measure::new(&self.streams, &fates);
        meter.expect(self.source.bytes);
        let from = self.source.pass(meter, &mut measure)?;
        Ok((from, measure.counts))
    }

    /// Writes what stays.
    fn write(
        &self,
        journal: &Journal,
        rules: Rules,
        meter: &mut Meter<'_>,
    ) -> Result<(BaseCheckpoint, Sequence, BTreeMap<StreamId, Counts>)> {
        let fates = Fates::judge(&self.source, &self.streams, rules, meter)?;
        let first = pruning::next_number(self.outline.before.files());
        let files = DataFiles::new(journal, first);
        let config: &Config = &journal.config;
        let mut copier = Copier::new(config, &self.streams, &fates, files, self.outline);
        meter.expect(self.source.bytes);
        let from = self.source.pass(meter, &mut copier)?;
        let (base, counts) = copier.finish(self.outline, from)?;
        Ok((base, from, counts))
    }

    /// What the switch brings.
    fn promise(&self, report: &mut Compacted, from: Sequence) {
        report.done = true;
        report.first = self.outline.last();
        report.from = from;
        report.segments = self.outline.segments().count() as u64;
        report.disk_bytes_before = self.source.bytes;
    }
}
