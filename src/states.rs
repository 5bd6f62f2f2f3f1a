//! The states of a log, as of one checkpoint.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::format::commit::StateAt;
use crate::format::define::StreamName;
use crate::locate::{self, Met};
use crate::origin::{Origin, gap, lost};
use crate::position::{Position, Sequence, StreamId};
use crate::segment::Walker;
use crate::streams::Stream;
use crate::view::{View, read_start};

/// A state's text, and the checkpoint that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateText {
    /// The JSON text, exactly as it was given.
    pub text: String,
    /// The checkpoint that set it.
    pub since: Sequence,
}

/// The states as of one checkpoint. It remembers where they lie and reads a text when it is asked for.
#[derive(Debug, Clone)]
pub struct States {
    origin: Origin,
    position: Option<Position>,
    /// By number, lowest first.
    entries: Vec<(StreamId, Option<StreamName>, StateAt)>,
}

impl States {
    /// At the high-water mark.
    pub(crate) fn now(origin: &Origin) -> Result<States> {
        let (last, mut entries) = origin.states()?;
        entries.sort_unstable_by_key(|(id, ..)| *id);
        Ok(States { origin: origin.clone(), position: position(origin, last.sequence, last.id), entries })
    }

    /// At any retained checkpoint.
    pub(crate) fn at(origin: &Origin, sequence: Sequence) -> Result<States> {
        let horizon = origin.horizon()?;
        if sequence == Sequence::NONE {
            return Err(Error::not_found("there is no checkpoint 0: they are counted from 1"));
        }
        if sequence < horizon.retained.first_sequence {
            return Err(gap(sequence, &horizon.retained));
        }
        if sequence > horizon.last.sequence {
            return Err(Error::not_found(format!(
                "there is no checkpoint {sequence} in this log; the last is {}",
                horizon.last.sequence
            )));
        }
        let retained = &horizon.retained;
        if retained.compacted.is_some()
            && retained.base_index.is_none()
            && sequence == retained.first_sequence
        {
            // A repair has begun the log anew behind a base checkpoint: it saved the records, and no states as old as that.
            return Err(gap(sequence, retained));
        }
        let files = origin.files();
        let segment =
            locate::segment_of(files, horizon.retained.first_live, horizon.last.at.segment(), sequence)?;
        let (_, start) = read_start(files, segment)?;
        let mut view = View::load(files, &start.snapshot, &horizon.retained)?;
        let mut walker = Walker::new(files.get(segment)?, 0);
        while view.last.sequence < sequence {
            match locate::next(files, &mut walker, horizon.end)? {
                Some(Met::Commit(commit, at)) if commit.head.sequence <= sequence => view.commit(&commit, at),
                Some(Met::Lost(note)) if note.last < sequence => {}
                Some(Met::Lost(note)) => return Err(lost(sequence, &note)),
                _ => {
                    return Err(files.damaged(walker.address(), format!("checkpoint {sequence} is missing")));
                }
            }
        }
        let entries = origin.with_view(|now| {
            // Today's name, as everywhere; one that was dropped since has only an old one.
            let named = |stream| now.name(stream).or_else(|| view.name(stream)).cloned();
            let set = view.all().filter(|(stream, _)| !view.is_dropped(*stream));
            set.filter_map(|(stream, entry)| Some((stream, named(stream), entry.state?))).collect()
        });
        Ok(States { origin: origin.clone(), position: position(origin, sequence, view.last.id), entries })
    }

    /// The checkpoint; `None` for an empty log.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// A stream's state, as a value.
    pub fn get<T: DeserializeOwned>(&self, stream: &Stream) -> Result<Option<T>> {
        stream.check_log(self.origin.log())?;
        let Some(text) = self.with_number(stream.id())? else { return Ok(None) };
        parse(&text.text).map(Some)
    }

    /// A stream's state, as the text that was given.
    pub fn get_text(&self, stream: &StreamName) -> Result<Option<StateText>> {
        // By today's name, as everywhere; a look at each of a hundred thousand names is the way for those of old only.
        let id = self.origin.with_view(|view| view.find(stream));
        if let Some((id, Some(name), at)) = id.and_then(|id| self.entry(id))
            && name == stream
        {
            return self.text(*id, at).map(Some);
        }
        let found = self
            .entries
            .iter()
            .find(|(id, name, _)| *id != StreamId::GLOBAL && name.as_ref() == Some(stream));
        found.map(|(id, _, at)| self.text(*id, at)).transpose()
    }

    /// The global state.
    pub fn global(&self) -> Result<Option<StateText>> {
        self.with_number(StreamId::GLOBAL)
    }

    /// The states of all streams, in the order in which the streams were registered.
    pub fn all(&self) -> Result<Vec<(StreamName, StateText)>> {
        let streams = self.entries.iter().filter_map(|(id, name, at)| Some((*id, name.as_ref()?, at)));
        streams.map(|(id, name, at)| Ok((name.clone(), self.text(id, at)?))).collect()
    }

    /// Which state was set by which checkpoint; the global one has no name.
    pub(crate) fn sinces(&self) -> impl Iterator<Item = (StreamId, Option<&StreamName>, Sequence)> {
        self.entries.iter().map(|(id, name, at)| (*id, name.as_ref(), at.since))
    }

    /// A state's text by its stream's number, which outlives names.
    pub(crate) fn text_of(&self, stream: StreamId) -> Result<Option<String>> {
        Ok(self.with_number(stream)?.map(|state| state.text))
    }

    /// Whether the stream was dropped since, or meanwhile.
    pub(crate) fn is_dropped(&self, stream: StreamId) -> bool {
        self.origin.with_view(|view| view.is_dropped(stream))
    }

    /// Every text, for verification.
    pub(crate) fn each(&self) -> impl Iterator<Item = Result<StateText>> {
        self.entries.iter().map(|(id, _, at)| self.text(*id, at))
    }

    fn entry(&self, stream: StreamId) -> Option<&(StreamId, Option<StreamName>, StateAt)> {
        let place = self.entries.binary_search_by_key(&stream, |(id, ..)| *id).ok()?;
        self.entries.get(place)
    }

    fn with_number(&self, stream: StreamId) -> Result<Option<StateText>> {
        self.entry(stream).map(|(id, _, at)| self.text(*id, at)).transpose()
    }

    fn text(&self, stream: StreamId, at: &StateAt) -> Result<StateText> {
        let text = match self.origin.state_text(at) {
            Err(error) if *error.kind() == ErrorKind::Corrupt => self.moved(stream, at, error)?,
            other => other?,
        };
        Ok(StateText { text, since: at.since })
    }

    /// Pruning may have moved a text since this was made.
    fn moved(&self, stream: StreamId, at: &StateAt, error: Error) -> Result<String> {
        let horizon = self.origin.horizon()?;
        if horizon.retained.holds(at.frame) {
            return Err(error);
        }
        match self.origin.state(stream) {
            Some(now) if now.since == at.since => self.origin.state_text(&now),
            _ => Err(gap(at.since, &horizon.retained)),
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|e| Error::invalid(format!("the stored state is not of the wanted type: {e}")))
}

fn position(origin: &Origin, sequence: Sequence, checkpoint: crate::CheckpointId) -> Option<Position> {
    (sequence > Sequence::NONE).then(|| Position { log: origin.log(), sequence, checkpoint })
}
