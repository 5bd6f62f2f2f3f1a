//! A record on its way into a table.

use std::borrow::Cow;

use highwater::{OpKind, Sequence};

use super::table::Own;
use super::value::Value;
use crate::op;

/// A longer key would not fit PostgreSQL's index.
const KEY_BYTES_MAX: usize = 1024;

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: Sequence,
    /// Among the checkpoint's records of the stream.
    pub(crate) index: u64,
    pub(crate) generation: u64,
}

/// What becomes of the table's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is this.
    Put,
    /// Some of its columns are these.
    Patch,
    /// It goes; in a table of versions, the current one ends.
    Remove,
    /// It stays, marked as deleted.
    Bury,
}

/// A record, as a table takes it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) place: Place,
    /// When it was committed, as text.
    pub(crate) committed: &'a str,
    pub(crate) action: Action,
    pub(crate) op: OpKind,
    pub(crate) key: Option<&'a str>,
    /// One for each column of the stream's; `None` where the record has no such member.
    pub(crate) values: &'a [Option<Value<'a>>],
    pub(crate) extra: Option<&'a str>,
}

impl Row<'_> {
    /// What a column of ours holds.
    pub(crate) fn own(&self, own: Own) -> Value<'_> {
        let place = &self.place;
        match own {
            Own::Extra => self.extra.map_or(Value::Null, Value::Json),
            Own::Key => self.key.map_or(Value::Null, |key| Value::Text(Cow::Borrowed(key))),
            Own::Op => Value::Text(Cow::Borrowed(op::name(self.op))),
            Own::Deleted => Value::Boolean(self.op == OpKind::Delete),
            Own::CommittedAt | Own::ValidFrom => Value::Text(Cow::Borrowed(self.committed)),
            Own::ValidTo => Value::Null,
            Own::Generation => Value::Integer(saturating(place.generation)),
            Own::Checkpoint => Value::Integer(saturating(place.sequence.get())),
            Own::Row => Value::Integer(saturating(place.index)),
        }
    }
}

/// Databases have no unsigned integers. Nobody counts so far.
pub(crate) fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A key as it is stored: as it is, since canonical keys are JSON arrays, or `#` and a hash of it where it is too long.
pub(crate) fn key_text(key: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(key) {
        Ok(text) if key.len() <= KEY_BYTES_MAX && !text.contains('\0') && !text.starts_with('#') => {
            text.into()
        }
        _ => format!("#{}", blake3::hash(key).to_hex()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_and_stay_apart() {
        assert_eq!(key_text(b"[1,\"a\"]"), "[1,\"a\"]");
        let long = |last: &str| format!("[\"{}{last}\"]", "x".repeat(5000));
        let odd = [long("a").into_bytes(), long("b").into_bytes(), b"\xff".to_vec(), b"a\0".to_vec()];
        let texts: std::collections::BTreeSet<_> = odd.iter().map(|key| key_text(key)).collect();
        assert_eq!(texts.len(), 4);
        assert!(texts.iter().all(|text| text.len() == 65 && text.starts_with('#')));
        assert_ne!(key_text(key_text(&odd[0]).as_bytes()), key_text(&odd[0]));
    }
}
