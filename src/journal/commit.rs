//! Committing: what a checkpoint takes in becomes one commit frame, with its place in the order.

use std::time::Duration;

use super::state::Undurable;
use super::{Journal, State, Unit};
use crate::config::Durability;
use crate::error::Result;
use crate::format::commit::{
    self, COMMIT_HEAD, Commit, CommitHead, CommitStream, Link, NewState, encode_state_part, encode_tail,
};
use crate::format::frame::{FrameBuf, Kind, frame_len};
use crate::position::{Address, CheckpointId, Position, Sequence, StreamId};
use crate::protection::Protection;
use crate::sync::MutexGuard;
use crate::view::note_directory;

/// A state longer than this goes ahead of the commit in a frame of its own.
const INLINE_STATE_MAX: usize = 64 << 10;
/// And so do all states behind this much.
const INLINE_STATES_MAX: usize = 1 << 20;

/// A state to be set, or cleared.
pub(crate) type NewStateText = Option<String>;

/// What a checkpoint takes in.
#[derive(Debug, Default)]
pub(crate) struct CommitRequest {
    pub streams: Vec<CommitStream>,
    pub states: Vec<(StreamId, NewStateText)>,
    /// Streams whose new definitions come with it, beside those above.
    pub defines: Vec<StreamId>,
    pub labels: Vec<(String, String)>,
    pub flags: u32,
    pub durability: Durability,
    /// The lowest frame that it names.
    pub low: Option<Address>,
    /// A repair commits again what was committed before.
    pub again: Option<Again>,
    /// When the caller began with it, on the monotonic clock; `None`: nobody measures.
    pub begun: Option<Duration>,
}

/// What a checkpoint was, and stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Again {
    pub sequence: Sequence,
    pub id: CheckpointId,
    pub time_us: i64,
}

/// A checkpoint that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Where it stands in the log's history.
    pub position: Position,
    /// Records in it.
    pub records: u64,
    /// Bytes of keys, metadata and payloads in it.
    pub bytes: u64,
    /// Whether it is durable: `false` only for a buffered commit.
    pub durable: bool,
}

impl Committed {
    /// Its number.
    pub fn sequence(&self) -> Sequence {
        self.position.sequence
    }
}

impl Journal {
    /// Commits. Blocks for the flush with `Durability::Sync`. An error before the commit frame has its place leaves
    /// everything as it was.
    pub(crate) fn commit(&self, unit: &Unit, request: &CommitRequest) -> Result<Committed> {
        // Pruning must not pass the frames that go ahead of the commit and that nothing names yet.
        unit.departs(self.state().head.address());
        let result = self.commit_frames(request);
        unit.landed();
        result
    }

    fn commit_frames(&self, request: &CommitRequest) -> Result<Committed> {
        let _span = tracing::debug_span!("highwater.commit").entered();
        let mut state = self.state();
        self.check(&state)?;
        self.say_opened(&mut state)?;
        let parts = self.push_state_parts(&mut state, request)?;
        let states: Vec<(StreamId, NewState<'_>)> = request
            .states
            .iter()
            .zip(&parts)
            .map(|((stream, text), part)| {
                let new = match (text, part) {
                    (None, _) => NewState::Clear,
                    (Some(_), Some(part)) => part.clone(),
                    (Some(text), None) => NewState::Inline(text),
                };
                (*stream, new)
            })
            .collect();
        let mut buf = FrameBuf::new(state.buffer());
        let prefix = buf.body_mut().len();
        encode_tail(buf.body_mut(), &request.streams, &states, &request.labels);
        let bytes = u32::try_from(frame_len(buf.body_len() as u32))
            .map_err(|_| crate::Error::too_large("a commit frame", u32::MAX.into(), buf.body_len() as u64))?;
        // Room for all of it at once: a definition without its commit would be in force too early.
        let definitions = definitions_len(&state, request);
        self.ensure_room(&mut state, bytes.saturating_add(definitions))?;
        self.push_definitions(&mut state, request)?;
        let parts = parts.iter().flatten().filter_map(|part| match part {
            NewState::Part { at, .. } => Some(*at),
            NewState::Inline(_) | NewState::Clear => None,
        });
        let low = request.low.into_iter().chain(parts).min();
        let head = self.commit_head(&state, request, low);
        buf.body_mut()[prefix..prefix + COMMIT_HEAD].copy_from_slice(&head.encode());
        let at = state.head.address();
        // What was encoded is what a reader will decode: the view follows the very same bytes.
        let decoded = Commit::decode(buf.body(), at).map_err(|e| crate::Error::invalid(e.0))?;
        state.push(buf.seal(Kind::Commit, 0));
        let end = state.head.address();
        self.committed(&mut state, &decoded, at, end);
        self.waypoint_if_due(&mut state);
        let early = Protection::AcknowledgeAfterFlush.is_off();
        match request.durability {
            Durability::Sync if !early => {
                self.join(&mut state);
                self.flush_to(&mut state, end)?;
            }
            _ => self.write_to(&mut state, end)?,
        }
        if let Some(begun) = request.begun {
            let took = self.config.environment.elapsed().saturating_sub(begun);
            state.counters.commit_duration.observe(took);
        }
        Ok(Committed {
            position: Position { log: self.log(), sequence: head.sequence, checkpoint: head.id },
            records: request.streams.iter().map(|s| s.records).sum(),
            bytes: request.streams.iter().map(|s| s.bytes).sum(),
            durable: state.durable >= end || early && request.durability == Durability::Sync,
        })
    }

    /// Large states go ahead of the commit.
    fn push_state_parts(
        &self,
        state: &mut MutexGuard<'_, State>,
        request: &CommitRequest,
    ) -> Result<Vec<Option<NewState<'static>>>> {
        let mut inline = 0;
        let mut parts = Vec::with_capacity(request.states.len());
        for (stream, text) in &request.states {
            let len = text.as_ref().map_or(0, String::len);
            let Some(text) =
                text.as_ref().filter(|_| len > INLINE_STATE_MAX || inline + len > INLINE_STATES_MAX)
            else {
                inline += len;
                parts.push(None);
                continue;
            };
            let mut buf = FrameBuf::new(state.buffer());
            encode_state_part(buf.body_mut(), text.as_bytes());
            let frame = buf.seal(Kind::Part, stream.get());
            self.ensure_room(state, frame.len())?;
            let at = state.push(frame);
            parts.push(Some(NewState::Part { at, len: len as u32, crc: crc32fast::hash(text.as_bytes()) }));
        }
        Ok(parts)
    }

    /// A stream's definition is written with the first commit that needs it.
    fn push_definitions(&self, state: &mut MutexGuard<'_, State>, request: &CommitRequest) -> Result<()> {
        if state.unwritten.is_empty() {
            return Ok(());
        }
        for stream in named_streams(request) {
            let Some(mut definition) = state.unwritten.get(&stream).cloned() else { continue };
            definition.since = state.view.last.sequence.next();
            let mut buf = FrameBuf::new(state.buffer());
            definition.encode(buf.body_mut());
            let frame = buf.seal(Kind::Define, stream.get());
            self.ensure_room(state, frame.len())?;
            let at = state.push(frame);
            state.view.define(&definition, at);
            state.unwritten.remove(&stream);
        }
        Ok(())
    }

    fn commit_head(&self, state: &State, request: &CommitRequest, low: Option<Address>) -> CommitHead {
        let last = state.view.last;
        // A clock that stepped back must not make time run backwards in the log.
        let now_us = self.config.environment.now_us().max(last.time_us);
        let again = request.again.unwrap_or_else(|| Again {
            sequence: last.sequence.next(),
            id: next_id(now_us, self.config.environment.random(), last.id),
            time_us: now_us,
        });
        let at = state.head.address();
        let buffered = if request.durability == Durability::Buffered { commit::BUFFERED } else { 0 };
        CommitHead {
            sequence: again.sequence,
            id: again.id,
            time_us: again.time_us,
            flags: request.flags | buffered,
            previous: Link::to(last.id),
            low: low.map_or(at, |low| low.min(at)),
        }
    }

    fn committed(&self, state: &mut State, commit: &Commit, at: Address, end: Address) {
        let undo =
            commit.states.iter().map(|change| (change.stream, state.view.state(change.stream))).collect();
        state.view.commit(commit, at);
        state.since_waypoint_commits += 1;
        let segment_bytes = state.head.segment.bytes();
        note_directory(&mut state.directory, commit.head.sequence, at, segment_bytes);
        state.undurable.push_back(Undurable { end, undo });
    }
}

fn named_streams(request: &CommitRequest) -> impl Iterator<Item = StreamId> {
    let named = request.streams.iter().map(|s| s.stream).chain(request.states.iter().map(|s| s.0));
    named.chain(request.defines.iter().copied())
}

/// At most so many bytes are the definitions that this commit writes.
fn definitions_len(state: &State, request: &CommitRequest) -> u32 {
    /// What a longer sequence number could add.
    const SLACK: u32 = 16;
    if state.unwritten.is_empty() {
        return 0;
    }
    let len = |stream| {
        let mut body = Vec::new();
        state.unwritten.get(&stream)?.encode(&mut body);
        Some(frame_len(body.len() as u32 + SLACK) as u32)
    };
    named_streams(request).filter_map(len).fold(0, u32::saturating_add)
}

/// A UUIDv7 that is greater than the one before it, whatever the clock does. Its last 62 bits are always fresh: a
/// checkpoint that a power cut took back must not lend its id to the next one of that number.
fn next_id(time_us: i64, random: u128, last: CheckpointId) -> CheckpointId {
    let ms = (time_us.max(0) / 1000) as u64;
    let bytes = random.to_le_bytes()[..10].try_into().unwrap_or([0; 10]);
    let id = uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid();
    if id > last.0 {
        return CheckpointId(id);
    }
    // One more in what stands in front of the random bits: milliseconds, the version, 12 bits.
    let (high, fresh) = (last.0.as_u64_pair().0, id.as_u64_pair().1);
    let count = (high >> 16 << 12 | high & 0xFFF) + 1;
    CheckpointId(uuid::Uuid::from_u64_pair(count >> 12 << 16 | 0x7000 | count & 0xFFF, fresh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_up_though_the_clock_goes_back() {
        let mut last = CheckpointId::NONE;
        for (time, random) in [(5_000_000, 9), (5_000_000, 3), (1_000_000, 7), (1_000_000, u128::MAX)] {
            let id = next_id(time, random, last);
            assert!(id.0.as_u128() > last.0.as_u128());
            assert_eq!(id.0.get_version_num(), 7);
            last = id;
        }
    }

    #[test]
    fn the_same_place_in_the_log_never_gets_the_same_id_twice() {
        let last = next_id(5_000_000, 9, CheckpointId::NONE);
        let (lost, next) = (next_id(1_000_000, 3 << 64, last), next_id(1_000_000, 4 << 64, last));
        assert_ne!(lost, next);
        assert!(lost.0 > last.0 && next.0 > last.0);
    }
}
