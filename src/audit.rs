//! What happened to a log beside the work of pipelines: recoveries, prunings, repairs, operations by hand. It is read from the
//! frames that told of it at the time.

use serde::Serialize;

use crate::error::Result;
use crate::format::BLOCK;
use crate::format::commit::Commit;
use crate::format::frame::{Header, Kind};
use crate::format::note::{Opened, Pruned, Recovered, Repaired};
use crate::format::snapshot::Retained;
use crate::format::wire::Decoded;
use crate::notes::{self, Note, What};
use crate::origin::Origin;
use crate::position::{Address, Position, Sequence};
use crate::reader::OperationRecord;
use crate::segment::{Files, Walker};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditEntry {
    /// When, in microseconds since 1970-01-01 UTC.
    pub time_us: i64,
    /// The last checkpoint before it.
    pub after: Sequence,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// Somebody opened the log, found it as a clean close or a kill at rest leaves it, and wrote.
    Opening {
        /// Which process, of which program, on which machine.
        who: String,
    },
    /// An opening dropped what no commit named, or what was torn, or wrote again what was not on the device.
    Recovery {
        /// Which process, of which program, on which machine.
        who: String,
        /// Frames that were dropped.
        dropped_frames: u64,
        /// Their bytes.
        dropped_bytes: u64,
        /// Bytes that were written again.
        rewritten_bytes: u64,
        /// Why the end was torn; empty if it was not.
        why: String,
    },
    /// Old segments went.
    Pruning {
        /// The oldest checkpoint that was kept.
        first: Sequence,
        /// Consumers that fell behind further than they may and were left behind, with what they had acknowledged.
        detached: Vec<(String, Sequence)>,
    },
    /// Old checkpoints were made into one, or a log that begins with such a one was pruned.
    Compaction {
        /// The base checkpoint.
        first: Sequence,
    },
    /// A repair changed the log, and perhaps gave checkpoints up.
    Repair {
        /// Its number; what it set aside bears it.
        repair: u32,
        /// The first checkpoint that was lost; `None`: none was.
        first: Option<Sequence>,
        /// The last one.
        last: Option<Sequence>,
        /// What follows was kept, and the numbers stay empty.
        skipped: bool,
        /// Where the damage was, and what.
        why: String,
    },
    /// Somebody moved a consumer, or dropped it.
    Consumer {
        /// Its name.
        consumer: String,
        /// The last checkpoint that it had acknowledged, if that was known.
        from: Option<Sequence>,
        /// The checkpoint behind which it stands; `None`: it was dropped.
        to: Option<Sequence>,
        /// Who did it, where that was said.
        who: Option<String>,
        /// Why.
        why: Option<String>,
    },
    /// Somebody had the log pruned, compacted or repaired: what that did is told by the entry before it.
    Work {
        /// What they asked for.
        work: String,
        /// Who did it.
        who: Option<String>,
        /// Why.
        why: Option<String>,
    },
    /// Somebody worked on the log by hand.
    Operation {
        /// The checkpoint that it is.
        position: Position,
        /// What, who, why, from where.
        #[serde(flatten)]
        record: OperationRecord,
    },
}

/// Reads the record from the oldest frame that is kept on; tells entry by entry, in the order in which it happened. Notes of those
/// who did not write the log come between the frames, by the checkpoint that was the last then.
pub(crate) fn audit(origin: &Origin, tell: &mut dyn FnMut(AuditEntry)) -> Result<()> {
    let first_live = origin.horizon()?.retained.first_live;
    let pruned = crate::view::read_start(origin.files(), first_live)?.1.snapshot.last.sequence;
    let notes = notes::read(&*origin.files().storage)?.into_iter();
    let mut notes = notes.filter(|note| is_all_that_is_left(note, pruned)).map(of_note).peekable();
    frames(origin, &mut |entry| {
        // A restored log is shorter than the one whose notes it has.
        let is_restore = entry.is_restore();
        let is_earlier = |note: &AuditEntry| {
            (note.after, note.time_us) < (entry.after, entry.time_us)
                || is_restore && note.time_us < entry.time_us
        };
        while let Some(note) = notes.next_if(is_earlier) {
            tell(note);
        }
        tell(entry);
    })?;
    notes.for_each(tell);
    Ok(())
}

impl AuditEntry {
    fn is_restore(&self) -> bool {
        matches!(&self.event, AuditEvent::Operation { record, .. } if record.verb() == "restore")
    }
}

/// Whether no frame tells of it: checkpoints up to `pruned` went with their segments.
fn is_all_that_is_left(note: &Note, pruned: Sequence) -> bool {
    !matches!(&note.what, What::Operation { position, .. } if position.sequence > pruned)
}

fn of_note(note: Note) -> AuditEntry {
    let Note { time_us, after, what, who, why } = note;
    let event = match what {
        What::Consumer { consumer, from, to } => AuditEvent::Consumer { consumer, from, to, who, why },
        What::Work { work } => AuditEvent::Work { work, who, why },
        What::Operation { operation, position, from } => {
            AuditEvent::Operation { position, record: OperationRecord { what: operation, who, why, from } }
        }
    };
    AuditEntry { time_us, after, event }
}

fn frames(origin: &Origin, tell: &mut dyn FnMut(AuditEntry)) -> Result<()> {
    let horizon = origin.horizon()?;
    let files = origin.files();
    let mut walker = Walker::new(files.get(horizon.retained.first_live)?, BLOCK);
    let begin = crate::view::read_start(files, horizon.retained.first_live)?.1.snapshot;
    let mut before = Before { last: begin.last.sequence, retained: begin.retained };
    while walker.address() < horizon.end {
        let at = walker.address();
        let header = walker.header()?.map_err(|fault| files.damaged(at, fault))?;
        if is_of_interest(header.kind) {
            let body = walker.body(&header)?.map_err(|fault| files.damaged(at, fault))?;
            let entry = read(files, &header, &body, at, &mut before)
                .map_err(|malformed| files.damaged(at, malformed))?;
            entry.into_iter().for_each(&mut *tell);
        }
        walker.step(&header);
        if header.kind == Kind::Seal {
            let next = walker.segment().id().next();
            if Address::new(next, BLOCK) >= horizon.end {
                break;
            }
            walker = Walker::new(files.get(next)?, BLOCK);
        }
    }
    Ok(())
}

fn is_of_interest(kind: Kind) -> bool {
    matches!(kind, Kind::Commit | Kind::Opened | Kind::Recovery | Kind::Pruned | Kind::Repaired)
}

/// What held before a frame.
struct Before {
    last: Sequence,
    /// The most that was let go so far.
    retained: Retained,
}

impl Before {
    /// What a frame says of what is kept; whether that let something go. A repair and a restore say again what held.
    fn take(&mut self, retained: Retained) -> bool {
        let base = |retained: &Retained| retained.compacted.as_ref().map(|base| base.commit);
        let is_less = retained.first_live > self.retained.first_live
            || retained.first_sequence > self.retained.first_sequence
            || base(&retained) != base(&self.retained);
        let (first_live, first_sequence) = (self.retained.first_live, self.retained.first_sequence);
        self.retained = Retained {
            first_live: retained.first_live.max(first_live),
            first_sequence: retained.first_sequence.max(first_sequence),
            ..retained
        };
        is_less
    }
}

/// What a frame tells; `before` follows.
fn read(
    files: &Files,
    header: &Header,
    body: &[u8],
    at: Address,
    before: &mut Before,
) -> Decoded<Option<AuditEntry>> {
    let after = before.last;
    let entry = |time_us, event| Some(AuditEntry { time_us, after, event });
    Ok(match header.kind {
        Kind::Commit => {
            let commit = Commit::decode(body, at)?;
            before.last = commit.head.sequence;
            let record = OperationRecord::of(commit.head.flags, &commit.labels);
            let position =
                Position { log: files.log, sequence: commit.head.sequence, checkpoint: commit.head.id };
            record.and_then(|record| entry(commit.head.time_us, AuditEvent::Operation { position, record }))
        }
        Kind::Opened => {
            let Opened { time_us, who } = Opened::decode(body)?;
            entry(time_us, AuditEvent::Opening { who })
        }
        Kind::Recovery => {
            let note = Recovered::decode(body)?;
            let event = AuditEvent::Recovery {
                dropped_frames: note.dropped_frames,
                dropped_bytes: note.dropped_bytes,
                rewritten_bytes: note.rewritten_bytes,
                why: note.why,
                who: note.who,
            };
            entry(note.time_us, event)
        }
        Kind::Pruned => {
            let note = Pruned::decode(body)?;
            let (first, is_compacted) = (note.retained.first_sequence, note.retained.compacted.is_some());
            let is_less = before.take(note.retained);
            let event = match is_compacted {
                true => AuditEvent::Compaction { first },
                false => AuditEvent::Pruning { first, detached: note.detached.clone() },
            };
            entry(note.time_us, event).filter(|_| is_less || !note.detached.is_empty())
        }
        Kind::Repaired => {
            let note = Repaired::decode(body)?;
            let (first, last) = note.lost().unzip();
            let Repaired { time_us, repair, skipped, why, .. } = note;
            entry(time_us, AuditEvent::Repair { repair, first, last, skipped, why })
        }
        _ => None,
    })
}
