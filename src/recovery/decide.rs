//! What an opening does with what it found: a pure function, one labelled row per case. DESIGN.md, "Recovery",
//! justifies each row.

use crate::position::Address;
use crate::protection::Protection;

/// What stands where the chain of valid frames ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace {
    /// A valid frame of a kind, or with a flag, that this version does not know.
    Unknown,
    /// Never written.
    Zeros,
    /// A valid frame of an earlier opening.
    LowerEpoch,
    /// The segment's end.
    SegmentEnd,
    /// Something else: a torn frame, junk, or what an earlier use of the segment left.
    Other,
    /// The segment is sealed, and the next is missing.
    NextMissing,
    /// The segment is sealed, and the next one's header is not valid.
    NextInvalid,
}

/// What recovery knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// The greatest trustworthy durable mark: everything below was flushed.
    pub durable: Address,
    /// The end of the last frame that settles what is before it.
    pub accepted: Address,
    /// The end of the chain of valid frames; never below `accepted`.
    pub end: Address,
    /// The last settling frame was a clean close.
    pub closed: bool,
    pub trace: Trace,
    /// The mark tells of another last checkpoint below its end than is there, or no frame ends where it does.
    pub contradicts_mark: bool,
}

/// The row of the recovery table that applies. Read errors (row 2) never come this far, and missing files in front
/// (row 3) are found in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// 1: newer than this code. Refused.
    Unknown,
    /// 3: a sealed segment without its successor. Damage.
    MissingSegment,
    /// 5: a sealed segment's successor has no valid header, though it was flushed before the seal. Damage.
    InvalidSegment,
    /// 7: the chain ends below what was flushed. Damage.
    BelowMark,
    /// 8: below the mark's end the history is another than the mark says. Damage.
    OtherHistory,
    /// 10: nothing is behind the last settled frame.
    Clean,
    /// 11: whole frames that no checkpoint takes in are behind it; they are dropped.
    Uncommitted,
    /// 12: a torn write is behind it; it is dropped.
    Torn,
}

impl Row {
    /// Nothing is accepted: the opening fails.
    pub(crate) fn refuses(self) -> bool {
        matches!(
            self,
            Row::Unknown | Row::MissingSegment | Row::InvalidSegment | Row::BelowMark | Row::OtherHistory
        )
    }
}

/// The first row that matches.
pub(crate) fn decide(e: &Evidence) -> Row {
    match e.trace {
        Trace::Unknown => Row::Unknown,
        Trace::NextMissing => Row::MissingSegment,
        Trace::NextInvalid => Row::InvalidSegment,
        _ if e.end < e.durable && !Protection::DamageIsNoTear.is_off() => Row::BelowMark,
        _ if e.contradicts_mark => Row::OtherHistory,
        // What was flushed behind the last settled frame is whole, uncommitted, and stays where it is.
        Trace::Zeros | Trace::LowerEpoch | Trace::SegmentEnd if e.end <= e.accepted.max(e.durable) => {
            Row::Clean
        }
        Trace::Other if e.closed && e.end == e.accepted => Row::Clean,
        Trace::Zeros | Trace::LowerEpoch | Trace::SegmentEnd => Row::Uncommitted,
        Trace::Other => Row::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: [Trace; 7] = [
        Trace::Unknown,
        Trace::Zeros,
        Trace::LowerEpoch,
        Trace::SegmentEnd,
        Trace::Other,
        Trace::NextMissing,
        Trace::NextInvalid,
    ];

    /// Every order of the three places, with every trace: damage if and only if a mark lies above the end (or a file
    /// is missing), and never anything dropped that a mark covers.
    #[test]
    fn every_case_has_one_row_and_the_right_one() {
        let mut seen = std::collections::HashSet::new();
        for trace in TRACES {
            for (durable, accepted, end) in
                (0..4u64).flat_map(|d| (0..4).flat_map(move |a| (a..4).map(move |e| (d, a, e))))
            {
                for (closed, contradicts_mark) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    let evidence = Evidence {
                        durable: Address(durable),
                        accepted: Address(accepted),
                        end: Address(end),
                        closed,
                        trace,
                        contradicts_mark,
                    };
                    let row = decide(&evidence);
                    seen.insert(format!("{row:?}"));
                    match trace {
                        Trace::Unknown => assert_eq!(row, Row::Unknown),
                        Trace::NextMissing => assert_eq!(row, Row::MissingSegment),
                        Trace::NextInvalid => assert_eq!(row, Row::InvalidSegment),
                        _ => {
                            assert_eq!(row == Row::BelowMark, end < durable, "{evidence:?}");
                            let sound = end >= durable && !contradicts_mark;
                            assert_eq!(row == Row::OtherHistory, end >= durable && !sound, "{evidence:?}");
                            let torn = trace == Trace::Other && !(closed && end == accepted);
                            assert_eq!(row == Row::Torn, sound && torn, "{evidence:?}");
                            if row == Row::Clean {
                                assert!(end <= accepted || end <= durable, "{evidence:?}");
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen.len(), 8, "a row that no case reaches: {seen:?}");
    }
}
