//! What a checkpoint says of the operation that made it: labels with a reserved beginning, believed only where the commit
//! has the flag that no pipeline can set.

use serde::Serialize;

use super::Checkpoint;
use crate::format::commit::ADMINISTRATIVE;
use crate::position::Position;

/// What was done: `rewind to 41`. The first word is the verb.
pub(crate) const WHAT: &str = "highwater";
/// Who did it.
pub(crate) const WHO: &str = "highwater.who";
/// Why.
pub(crate) const WHY: &str = "highwater.why";
/// The checkpoint that the new states come from.
pub(crate) const FROM: &str = "highwater.from";

/// An operation that somebody did on the log by hand, as its checkpoint tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperationRecord {
    /// What was done, beginning with the verb: `rewind to 41`, `rename a to b`.
    pub what: String,
    /// Who did it. A rename, or an operation of an earlier version, does not say.
    pub who: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// The checkpoint that the new states come from, in this log or in another.
    pub from: Option<Position>,
}

impl OperationRecord {
    pub(crate) fn of(flags: u32, labels: &[(String, String)]) -> Option<Self> {
        if flags & ADMINISTRATIVE == 0 {
            return None;
        }
        let label = |wanted| labels.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone());
        Some(OperationRecord {
            what: label(WHAT).unwrap_or_default(),
            who: label(WHO),
            why: label(WHY),
            from: label(FROM).and_then(|text| text.parse().ok()),
        })
    }

    /// The first word of what was done: `rewind`, `set`, `rename`.
    pub fn verb(&self) -> &str {
        self.what.split(' ').next().unwrap_or_default()
    }
}

impl Checkpoint {
    /// The operation that made it; `None` if a pipeline did.
    pub fn operation(&self) -> Option<OperationRecord> {
        OperationRecord::of(self.commit.head.flags, self.labels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_alone_are_not_believed() {
        let labels = vec![(WHAT.to_owned(), "rewind to 41".to_owned()), (WHO.to_owned(), "me".to_owned())];
        assert_eq!(OperationRecord::of(0, &labels), None);
        let record = OperationRecord::of(ADMINISTRATIVE, &labels).unwrap();
        assert_eq!(
            (record.verb(), record.who.as_deref(), record.why.as_deref()),
            ("rewind", Some("me"), None)
        );
    }
}
