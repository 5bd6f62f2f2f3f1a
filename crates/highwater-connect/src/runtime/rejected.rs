//! What a destination refused, on its way to the dead letters.

use std::collections::{BTreeMap, HashMap};

use highwater::{Sequence, StreamName};

use crate::batch::{Batch, Delivered, Part};
use crate::destination::Rejected;
use crate::event::Reporter;
use crate::failure::Result;
use crate::letters::{DeadLetters, Letter, Writing};
use crate::quantity::count;
use crate::runs;

/// So many refused records of a batch are told one by one.
const TOLD_MAX: usize = 5;

/// Why which records of one stream in one checkpoint were refused.
type Reasons<'r> = BTreeMap<u64, &'r str>;

/// Puts those of the rejected records that are in this batch among the dead letters, durably; how many were not there yet. Blocks
/// for reading the parts of the batch that they are in, and a flush.
pub(super) fn keep(letters: &DeadLetters, rejected: &[Rejected], batch: &Batch) -> Result<u64> {
    let mut by_part: HashMap<(Sequence, &StreamName), Reasons<'_>> = HashMap::new();
    for one in rejected {
        by_part.entry((one.sequence, &one.stream)).or_default().insert(one.index, &one.reason);
    }
    let mut open = None;
    let put = keep_parts(letters, &by_part, batch, &mut open);
    // Also where there are too many: a person is told to look at them.
    if let Some(open) = open {
        open.finish(&[("action", "refused")])?;
    }
    put
}

fn keep_parts(
    letters: &DeadLetters,
    by_part: &HashMap<(Sequence, &StreamName), Reasons<'_>>,
    batch: &Batch,
    open: &mut Option<Writing>,
) -> Result<u64> {
    let mut put = 0;
    for checkpoint in batch.checkpoints() {
        for part in checkpoint.parts() {
            let Some(reasons) = by_part.get(&(checkpoint.sequence(), part.name())) else { continue };
            let open = match open {
                Some(open) => open,
                None => open.insert(letters.open()?),
            };
            put += keep_part(open, batch, &checkpoint, &part, reasons)?;
        }
    }
    Ok(put)
}

fn keep_part(
    open: &mut Writing,
    batch: &Batch,
    checkpoint: &Delivered<'_>,
    part: &Part<'_>,
    reasons: &Reasons<'_>,
) -> Result<u64> {
    let last = reasons.last_key_value().map_or(0, |(index, _)| *index);
    let mut position = batch.end();
    (position.sequence, position.checkpoint) = (checkpoint.sequence(), checkpoint.id());
    let mut put = 0;
    for (index, record) in (0..=last).zip(part.records()) {
        let record = record?;
        let Some(reason) = reasons.get(&index) else { continue };
        let letter = Letter {
            number: 0,
            stream: part.name().clone(),
            position,
            index,
            generation: part.definition().map_or(0, |definition| definition.generation.number),
            committed_us: checkpoint.committed_us(),
            op: record.op,
            refused_us: runs::now_us(),
            attempts: 1,
            reason: (*reason).to_owned(),
        };
        put += u64::from(open.put(letter, &record)?);
    }
    Ok(put)
}

/// Warns of them; of many, of the first.
pub(super) fn tell(destination: &str, rejected: &[Rejected], reporter: &Reporter) {
    for one in rejected.iter().take(TOLD_MAX) {
        reporter.warning(format!("{destination}: {}", one.failure()));
    }
    if rejected.len() > TOLD_MAX {
        let more = count((rejected.len() - TOLD_MAX) as u64);
        reporter.warning(format!("{destination}: {more} more records are refused; all are dead letters"));
    }
}
