//! Reading everything and checking it: every frame of every live segment, every record, every state.

use serde::Serialize;

use crate::consumer::read_state;
use crate::error::{Error, ErrorKind, Result};
use crate::format::BLOCK;
use crate::format::commit::Commit;
use crate::format::frame::{Fault, Header, Kind};
use crate::format::note::{Opened, Recovered, Repaired};
use crate::origin::{Horizon, Origin};
use crate::pin;
use crate::position::{Address, SegmentId};
use crate::reader::Reader;
use crate::recovery::Survey;
use crate::segment::Walker;
use crate::view::read_start;

/// So many problems are told; a file full of junk has no need for more.
const PROBLEMS_MAX: usize = 1000;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// Checkpoints whose records were all read and compared with their digests.
    pub checkpoints: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of keys, metadata and payloads in them.
    pub bytes: u64,
    /// Segments and base files that were read.
    pub segments: u64,
    /// States that were read.
    pub states: u64,
    /// What is damaged: file, byte, expected and found.
    pub problems: Vec<String>,
    /// Consumers whose files are among that: each goes on once it is moved or dropped.
    pub damaged_consumers: Vec<String>,
    /// What the next opening for writing will drop behind the last checkpoint: the usual trace of a crash.
    pub torn: Option<String>,
}

impl Verification {
    /// Whether nothing that was committed is damaged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// The first problem as an error, if there is one.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.problems.first() else { return Ok(()) };
        let more = match self.problems.len() {
            1 => String::new(),
            problems => format!(" (and {} more)", problems - 1),
        };
        Err(Error::new(ErrorKind::Corrupt, format!("{first}{more}")))
    }

    fn note(&mut self, error: &Error) -> Result<()> {
        // What this build can't understand is no damage: nobody knows what it says.
        if *error.kind() == ErrorKind::Unsupported {
            return Err(error.clone());
        }
        let text = error.to_string();
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&text) {
            self.problems.push(text);
        }
        Ok(())
    }
}

/// Verifies what `origin` shows. `progress` is told the bytes read so far.
pub(crate) fn verify(origin: &Origin, progress: &mut dyn FnMut(u64)) -> Result<Verification> {
    let horizon = origin.horizon()?;
    let mut found = Verification::default();
    if let Origin::Foreign(foreign) = origin {
        found.torn =
            foreign.unconfirmed().filter(|unconfirmed| unconfirmed.torn).map(|unconfirmed| unconfirmed.text);
    }
    let mut read = 0;
    verify_frames(origin, &horizon, &mut found, &mut |bytes| {
        read += bytes;
        progress(read);
    })?;
    verify_bases(origin, &horizon, &mut found)?;
    verify_checkpoints(origin, &horizon, &mut found)?;
    verify_states(origin, &mut found)?;
    verify_holds(origin, &mut found)?;
    Ok(found)
}

/// What consumers and pins say of themselves.
fn verify_holds(origin: &Origin, found: &mut Verification) -> Result<()> {
    let storage = &*origin.files().storage;
    let survey = Survey::of(storage)?;
    for name in &survey.consumers {
        if let Err(error) = read_state(storage, name) {
            found.note(&error)?;
            found.damaged_consumers.push(name.clone());
        }
    }
    for name in &survey.pins {
        pin::read(storage, name).map_or_else(|error| found.note(&error), |_| Ok(()))?;
    }
    Ok(())
}

/// Walks every frame from the first live segment to the end: checksums, epochs, and that segments follow each other.
fn verify_frames(
    origin: &Origin,
    horizon: &Horizon,
    found: &mut Verification,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let files = origin.files();
    let mut epoch = 0;
    let mut previous_end = Address::NONE;
    for id in horizon.retained.first_live.0..=horizon.end.segment().0 {
        let id = SegmentId(id);
        if Address::new(id, BLOCK) >= horizon.end {
            break;
        }
        found.segments += 1;
        let result = verify_segment(origin, horizon, id, &mut epoch, previous_end, progress);
        match result {
            Ok(end) => previous_end = end,
            Err(error) => {
                previous_end = Address::NONE;
                // Damage in a segment that was pruned meanwhile is none.
                if id >= origin.horizon()?.retained.first_live {
                    found.note(&error)?;
                }
            }
        }
        files.forget(id);
    }
    Ok(())
}

fn verify_segment(
    origin: &Origin,
    horizon: &Horizon,
    id: SegmentId,
    epoch: &mut u32,
    previous_end: Address,
    progress: &mut dyn FnMut(u64),
) -> Result<Address> {
    let files = origin.files();
    let segment = files.get(id)?;
    let (_, start) = read_start(files, id)?;
    if !previous_end.is_none() && start.previous_end != previous_end {
        let what = format!(
            "the start frame says that the segment before ends at {}, it ends at {previous_end}",
            start.previous_end
        );
        return Err(segment.damaged(BLOCK, what));
    }
    let mut walker = Walker::new(segment.clone(), BLOCK);
    while walker.address() < horizon.end {
        let offset = walker.offset();
        if walker.is_at_end() {
            return Err(segment.damaged(offset, "the segment ends without a seal"));
        }
        let header = walker.header()?.map_err(|fault| segment.refuses(offset, fault))?;
        if header.epoch < *epoch {
            return Err(segment.damaged(offset, Fault::Stale { epoch: header.epoch, at_least: *epoch }));
        }
        *epoch = header.epoch;
        walker.check(&header)?.map_err(|fault| segment.refuses(offset, fault))?;
        check_content(&mut walker, &header)?.map_err(|what| segment.damaged(offset, what))?;
        walker.step(&header);
        progress(header.frame_len());
        if header.kind == Kind::Seal {
            return Ok(walker.address());
        }
    }
    Ok(walker.address())
}

/// Decodes what a checksum can't vouch for.
fn check_content(walker: &mut Walker, header: &Header) -> Result<Result<(), String>> {
    if !matches!(header.kind, Kind::Commit | Kind::Opened | Kind::Recovery | Kind::Repaired) {
        return Ok(Ok(()));
    }
    let at = walker.address();
    Ok(match walker.body(header)? {
        Ok(body) if header.kind == Kind::Opened => Opened::decode(&body).map(drop).map_err(|e| e.to_string()),
        Ok(body) if header.kind == Kind::Recovery => {
            Recovered::decode(&body).map(drop).map_err(|e| e.to_string())
        }
        Ok(body) if header.kind == Kind::Repaired => {
            Repaired::decode(&body).map(drop).map_err(|e| e.to_string())
        }
        Ok(body) => Commit::decode(&body, at).map(drop).map_err(|e| e.to_string()),
        Err(fault) => Err(fault.to_string()),
    })
}

fn verify_bases(origin: &Origin, horizon: &Horizon, found: &mut Verification) -> Result<()> {
    let files = origin.files();
    // Those of the base checkpoint are read with it: they hold nothing else.
    found.segments += horizon.retained.compacted.as_ref().map_or(0, |base| base.files.len() as u64);
    for base in &horizon.retained.bases {
        found.segments += 1;
        let walk = || -> Result<()> {
            let segment = files.get(base.id)?;
            let mut walker = Walker::new(segment.clone(), BLOCK);
            while !walker.is_at_end() {
                let offset = walker.offset();
                let header = match walker.header()? {
                    Ok(header) => header,
                    Err(fault) => return Err(segment.refuses(offset, fault)),
                };
                walker.check(&header)?.map_err(|fault| segment.damaged(offset, fault))?;
                walker.step(&header);
                if header.kind == Kind::Index {
                    break; // a base file ends with its index
                }
            }
            Ok(())
        };
        if let Err(error) = walk() {
            found.note(&error)?;
        }
    }
    Ok(())
}

/// Reads every checkpoint's records, which compares them with the commit's counts and digests.
fn verify_checkpoints(origin: &Origin, horizon: &Horizon, found: &mut Verification) -> Result<()> {
    let mut next = horizon.retained.first_sequence;
    while next <= horizon.last.sequence {
        let mut reader = match Reader::new(origin.clone(), next) {
            Ok(reader) => reader,
            Err(error) => match error.kind() {
                // Pruned while we read: what is gone can't be damaged.
                ErrorKind::Gap { last, .. } => {
                    next = last.next();
                    continue;
                }
                _ => return found.note(&error),
            },
        };
        loop {
            match reader.next() {
                Ok(Some(checkpoint)) if checkpoint.sequence() <= horizon.last.sequence => {
                    match verify_records(&checkpoint) {
                        Ok(records) => {
                            found.checkpoints += 1;
                            found.records += records;
                            found.bytes = found.bytes.saturating_add(checkpoint.byte_count());
                        }
                        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. }) => {}
                        Err(error) => found.note(&error)?,
                    }
                }
                Ok(_) => return Ok(()),
                Err(error) => match error.kind() {
                    ErrorKind::Gap { last, .. } => {
                        next = last.next();
                        break;
                    }
                    _ => return found.note(&error),
                },
            }
        }
    }
    Ok(())
}

fn verify_records(checkpoint: &crate::Checkpoint) -> Result<u64> {
    let mut records = 0;
    for record in checkpoint.records() {
        record?;
        records += 1;
    }
    if records != checkpoint.record_count() {
        let what = format!(
            "checkpoint {}: {} records are on record, {records} were found",
            checkpoint.sequence(),
            checkpoint.record_count()
        );
        return Err(Error::new(ErrorKind::Corrupt, what));
    }
    Ok(records)
}

fn verify_states(origin: &Origin, found: &mut Verification) -> Result<()> {
    let states = match crate::states::States::now(origin) {
        Ok(states) => states,
        Err(error) => return found.note(&error),
    };
    for result in states.each() {
        match result {
            Ok(_) => found.states += 1,
            Err(error) => found.note(&error)?,
        }
    }
    for stream in crate::log_reader::definitions(origin) {
        if let Err(error) = stream {
            found.note(&error)?;
        }
    }
    Ok(())
}
