//! What there is: the letters that nobody has dropped and no destination has taken.

use std::collections::BTreeMap;

use highwater::{LogReader, OpKind, Record};

use super::letter::{self, Letter};
use super::{DeadLetters, stream_name};
use crate::failure::Result;

impl DeadLetters {
    /// All of them, oldest first, without their content. Memory is bounded by how many there may be. Blocks for reading
    /// their log.
    pub fn list(&self) -> Result<Vec<Letter>> {
        let Some(log) = self.open_to_read()? else { return Ok(Vec::new()) };
        Ok(living(&log)?.into_values().collect())
    }

    /// Gives the records of these letters, as they were refused, in the order in which they were; one after another, so memory
    /// stays bounded. Those that are not there any more are left out.
    pub fn read(
        &self,
        wanted: &BTreeMap<u64, Letter>,
        give: &mut dyn FnMut(&Letter, &Record) -> Result<()>,
    ) -> Result<()> {
        let Some(log) = self.open_to_read()? else { return Ok(()) };
        each(&log, &mut |kept| {
            if kept.op != OpKind::Upsert {
                return Ok(());
            }
            match wanted.get(&letter::number_of(&kept.key)?) {
                Some(letter) => give(letter, &letter::decode(kept)?.1),
                None => Ok(()),
            }
        })
    }
}

/// By their numbers.
pub(super) fn living(log: &LogReader) -> Result<BTreeMap<u64, Letter>> {
    let mut letters = BTreeMap::new();
    each(log, &mut |kept| {
        let number = letter::number_of(&kept.key)?;
        match kept.op {
            OpKind::Upsert => {
                letters.insert(number, letter::decode(kept)?.0);
            }
            OpKind::Update => {
                if let Some(letter) = letters.get_mut(&number) {
                    letter.refused_again(kept)?;
                }
            }
            _ => {
                letters.remove(&number);
            }
        }
        Ok(())
    })?;
    Ok(letters)
}

fn each(log: &LogReader, give: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
    let Some(end) = log.end() else { return Ok(()) };
    let mut reader = log.reader(log.first())?;
    while reader.next_sequence() <= end.sequence {
        let Some(checkpoint) = reader.next()? else { break };
        let ours = checkpoint.streams().iter().find(|counts| counts.name == stream_name());
        let Some(stream) = ours.map(|counts| counts.stream) else { continue };
        for record in checkpoint.records_of(stream) {
            give(&record?)?;
        }
    }
    Ok(())
}
