//! From one valid frame to the next, over whatever lies between.

use std::sync::Arc;

use bytes::Bytes;

use super::{Salvage, no_damage};
use crate::error::{Error, ErrorKind, Result};
use crate::format::frame::{Fault, HEADER, Header, Kind};
use crate::format::{ALIGN, BLOCK, names};
use crate::position::{Address, SegmentId};
use crate::segment::{OpenFault, Segment, Walker};
use crate::view::read_start;

/// Behind damage so many times a segment's bytes are looked at, in the search for what is whole.
const EFFORT_MAX: u64 = 8;
/// So much is searched at first: the next frame is often near, and a file may be made of holes;
const GLANCE: u32 = 4 << 10;
/// then more and more, and at most this, at once.
const PIECE: u32 = 1 << 20;

/// Bytes of the log that can't be read as frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    pub from: Address,
    pub to: Address,
    pub file: String,
    /// What was found where it begins.
    pub what: String,
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} byte {}: {}", self.file, self.from.offset(), self.what)
    }
}

/// What stands next in the log.
#[derive(Debug)]
pub(crate) enum Item {
    /// A valid frame; with its body, if it is not records, a part or filling.
    Frame {
        header: Header,
        at: Address,
        body: Option<Bytes>,
    },
    Hole(Hole),
}

type Visit<'a> = &'a mut dyn FnMut(Item) -> Result<()>;

impl Salvage {
    /// Everything that the log holds, in order: base files, then segments.
    pub(crate) fn scan(&self, visit: Visit<'_>) -> Result<()> {
        for base in &self.retained.bases {
            self.scan_segment(base.id, &mut 0, visit)?;
        }
        let (mut epoch, mut expected) = (0, self.retained.first_live);
        for id in self.survey.segments.range(expected.min(self.last)..=self.last).copied() {
            if expected < id {
                visit(Item::Hole(missing(expected, id)))?;
            }
            self.scan_segment(id, &mut epoch, visit)?;
            expected = id.next();
        }
        if expected <= self.last {
            visit(Item::Hole(missing(expected, self.last.next())))?;
        }
        Ok(())
    }

    pub(super) fn scan_segment(&self, id: SegmentId, epoch: &mut u32, visit: Visit<'_>) -> Result<()> {
        let segment = match self.files.get(id) {
            Ok(segment) => segment,
            Err(error) if *error.kind() == ErrorKind::Corrupt => {
                let (from, to) = (Address::new(id, 0), Address::new(id.next(), 0));
                return visit(Item::Hole(Hole {
                    from,
                    to,
                    file: names::segment(id),
                    what: error.what().to_owned(),
                }));
            }
            Err(error) => return Err(error),
        };
        let end = self.end_of(&segment)?;
        // Frames do not overlap, so an honest file costs each byte twice at most. One made to look like frames everywhere
        // would cost each byte as often as it has headers.
        let mut effort = EFFORT_MAX.saturating_mul(segment.bytes().into());
        let mut walker = Walker::new(segment.clone(), BLOCK);
        while walker.offset() < end && !walker.is_at_end() {
            let at = walker.offset();
            match check(&mut walker, self.least_epoch(segment.address(at), *epoch))? {
                Ok((header, body)) => {
                    *epoch = header.epoch;
                    visit(Item::Frame { header, at: segment.address(at), body })?;
                    walker.step(&header);
                    let is_end =
                        if id.is_base() { header.kind == Kind::Index } else { header.kind == Kind::Seal };
                    if is_end {
                        return Ok(());
                    }
                }
                Err(fault @ (Fault::UnknownKind(_) | Fault::UnknownFlags(_))) => {
                    let what = format!("{} byte {at}: {fault}: use a newer highwater", segment.name());
                    return Err(Error::new(ErrorKind::Unsupported, what));
                }
                Err(fault) => {
                    // A head that is whole tells, though its body is not: nothing behind it is older.
                    if let Ok(header) = walker.header()? {
                        *epoch = header.epoch.max(*epoch);
                    }
                    let next = self.find_frame(&segment, at + ALIGN, end, *epoch, &mut effort)?;
                    if id == self.last && !self.was_durable(segment.address(at), next) {
                        return Ok(()); // the end of the log, perhaps torn
                    }
                    let next = match next {
                        Some((to, _)) if id == self.last && !self.was_flushed(&segment, to, end)? => None,
                        next => next,
                    };
                    let to = next.map_or(end, |(offset, _)| offset);
                    visit(Item::Hole(hole(&segment, at, to, &fault)))?;
                    walker = Walker::new(segment.clone(), to);
                }
            }
        }
        if id == self.last || walker.offset() >= end && end < segment.bytes() {
            return Ok(());
        }
        // Neither a seal nor anything else is where it has to be.
        let what = "the segment ends without its last frame";
        let at = walker.offset();
        visit(Item::Hole(Hole {
            to: Address::new(id.next(), 0),
            what: what.into(),
            ..hole(&segment, at, end, &Fault::Zeros)
        }))
    }

    /// Where frames end: a later segment's start frame says it.
    fn end_of(&self, segment: &Arc<Segment>) -> Result<u32> {
        let id = segment.id();
        if id.is_base() || id == self.last {
            return Ok(segment.bytes());
        }
        let next = no_damage(read_start(&self.files, id.next()))?;
        let end = next.map(|(_, start)| start.previous_end).filter(|end| end.segment() == id);
        Ok(end.map_or(segment.bytes(), |end| end.offset().min(segment.bytes())))
    }

    /// Frames behind what the mark says was flushed are its opening's, or a later one's: older ones there were dropped.
    fn least_epoch(&self, at: Address, seen: u32) -> u32 {
        let behind = self.mark.filter(|mark| at >= mark.durable && !at.segment().is_base());
        behind.map_or(seen, |mark| mark.epoch.max(seen))
    }

    /// The next valid frame at or behind `from`, and before `end`.
    fn find_frame(
        &self,
        segment: &Arc<Segment>,
        from: u32,
        end: u32,
        epoch: u32,
        effort: &mut u64,
    ) -> Result<Option<(u32, Header)>> {
        find_frame_header(segment, from, end, epoch, &mut |offset, header| {
            let is_old = header.epoch < self.least_epoch(segment.address(offset), epoch);
            if is_old || *effort < header.frame_len() {
                return Ok(false);
            }
            *effort -= header.frame_len();
            Ok(Walker::new(segment.clone(), offset).check(header)?.is_ok())
        })
    }

    /// Whether the last segment was flushed up to `to`. Behind that, what does not follow from frame to frame is no part of the
    /// log: a power cut left it, and the opening after that dropped it.
    fn was_flushed(&self, segment: &Segment, to: u32, end: u32) -> Result<bool> {
        let at = segment.address(to);
        if self.mark.is_some_and(|mark| mark.durable >= at) {
            return Ok(true);
        }
        let proof = find_frame_header(segment, to, end, 0, &mut |offset, header| {
            Ok(header.durable >= at && header.epoch >= self.least_epoch(segment.address(offset), 0))
        })?;
        Ok(proof.is_some())
    }

    /// Whether what stands at `at`, in the last segment, was ever flushed: the mark knows, or a frame behind it.
    fn was_durable(&self, at: Address, next: Option<(u32, Header)>) -> bool {
        self.mark.is_some_and(|mark| mark.durable > at) || next.is_some_and(|(_, header)| header.durable > at)
    }
}

/// Segments that are not there: one hole, however many the names of the others leave room for.
fn missing(from: SegmentId, to: SegmentId) -> Hole {
    let what = OpenFault::Missing.into_error(from).what().to_owned();
    Hole { from: Address::new(from, 0), to: Address::new(to, 0), file: names::segment(from), what }
}

fn hole(segment: &Segment, from: u32, to: u32, fault: &Fault) -> Hole {
    let (from, to) = (segment.address(from), segment.address(to));
    Hole { from, to, file: segment.name().to_owned(), what: fault.to_string() }
}

/// Whether a segment's first block holds a frame of this epoch or a later one.
pub(super) fn any_frame(segment: &Segment, epoch: u32) -> Result<bool> {
    let end = (BLOCK * 2).min(segment.bytes());
    Ok(find_frame_header(segment, BLOCK, end, epoch, &mut |_, _| Ok(true))?.is_some())
}

/// The frame at which the walker stands, if everything about it is valid.
fn check(walker: &mut Walker, epoch: u32) -> Result<Result<(Header, Option<Bytes>), Fault>> {
    let header = match walker.header()? {
        Ok(header) if header.epoch < epoch => {
            return Ok(Err(Fault::Stale { epoch: header.epoch, at_least: epoch }));
        }
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    if matches!(header.kind, Kind::Data | Kind::Part | Kind::Pad) {
        return Ok(walker.check(&header)?.map(|()| (header, None)));
    }
    Ok(walker.body(&header)?.map(|body| (header, Some(body))))
}

fn find_frame_header(
    segment: &Segment,
    from: u32,
    end: u32,
    epoch: u32,
    accept: &mut dyn FnMut(u32, &Header) -> Result<bool>,
) -> Result<Option<(u32, Header)>> {
    let (mut at, mut piece) = (from, GLANCE);
    let mut buf = Vec::new();
    while at < end {
        buf.resize(piece.min(end - at) as usize + HEADER, 0);
        let filled = read(segment, &mut buf, at)?;
        let starts = (0..filled.saturating_sub(HEADER - 1)).step_by(ALIGN as usize);
        for start in starts.take_while(|start| *start < piece as usize) {
            let offset = at + start as u32;
            let Some(bytes) = buf[start..].first_chunk::<HEADER>().filter(|bytes| Kind::may_be(bytes[0]))
            else {
                continue;
            };
            if offset < end
                && let Ok(header) = segment.frame_header(bytes, offset)
                && header.epoch >= epoch
                && accept(offset, &header)?
            {
                return Ok(Some((offset, header)));
            }
        }
        if filled < buf.len() {
            return Ok(None);
        }
        at += piece;
        piece = (piece * 2).min(PIECE);
    }
    Ok(None)
}

/// As much as there is.
fn read(segment: &Segment, buf: &mut [u8], at: u32) -> Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match segment.read_some(&mut buf[filled..], at + filled as u32)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
