//! A checkpoint as *one* record, for write-ahead logs that promise atomicity for a record and not for a batch.

use anyhow::{Context, Result, ensure};

use crate::engine::State;

const RECORD: u8 = 1;
const STATE: u8 = 2;

/// Items one after another: kind, length, bytes.
#[derive(Debug, Default)]
pub(crate) struct Bundle(Vec<u8>);

impl Bundle {
    pub(crate) fn record(&mut self, record: &[u8]) {
        self.item(RECORD, record);
    }

    /// The states go behind the records; the result is what is to be written.
    pub(crate) fn finish(&mut self, states: &[State<'_>]) -> &[u8] {
        for (_, state) in states {
            self.item(STATE, state);
        }
        &self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn item(&mut self, kind: u8, bytes: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }
}

/// Shows the records in a bundle.
pub(crate) fn records(mut bytes: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<()> {
    while let Some((kind, rest)) = bytes.split_first() {
        let (length, rest) = rest.split_first_chunk().context("a bundle ends within a length")?;
        let length = u32::from_le_bytes(*length) as usize;
        ensure!(length <= rest.len(), "a bundle ends within an item");
        let (item, rest) = rest.split_at(length);
        if *kind == RECORD {
            visit(item);
        }
        bytes = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() -> Result<()> {
        let mut bundle = Bundle::default();
        bundle.record(b"one");
        bundle.record(b"");
        let bytes = bundle.finish(&[(0, b"state")]).to_vec();
        let mut seen = Vec::new();
        records(&bytes, &mut |record| seen.push(record.to_vec()))?;
        assert_eq!(seen, [b"one".to_vec(), Vec::new()]);
        assert!(records(&bytes[..bytes.len() - 1], &mut |_| {}).is_err());
        Ok(())
    }
}
