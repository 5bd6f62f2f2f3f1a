//! The states of a log at one checkpoint.

use highwater::{LogReader, Sequence, StateText, StreamName};
use highwater_connect::airbyte::message::{self, State, StateKind};

use crate::failure::Failure;

/// The states at one checkpoint.
pub(crate) struct Found {
    pub(super) sequence: Sequence,
    pub(super) global: Option<StateText>,
    pub(super) streams: Vec<(StreamName, StateText)>,
    is_global_newest: bool,
}

impl Found {
    /// Of one stream only, or of all; at the last checkpoint unless another is named.
    pub(crate) fn read(
        log: &LogReader,
        at: Option<Sequence>,
        only: Option<&StreamName>,
    ) -> Result<Self, Failure> {
        let states = match at {
            Some(sequence) => log.state_at(sequence)?,
            None => log.state()?,
        };
        let sequence = states.position().map_or(Sequence::NONE, |position| position.sequence);
        let (global, streams) = match only {
            Some(name) => {
                (None, states.get_text(name)?.map(|text| (name.clone(), text)).into_iter().collect())
            }
            None => (states.global()?, super::of_sources(states.all()?)),
        };
        let is_global_newest = log.is_global_newest(&states)?;
        Ok(Found { sequence, global, streams, is_global_newest })
    }

    /// Which kind the source sent last, and so understands.
    pub(crate) fn kind(&self) -> Option<StateKind> {
        match &self.global {
            Some(global) if self.is_global_newest => Some(message::global_kind(&global.text)),
            _ if self.streams.is_empty() => None,
            _ => Some(StateKind::Stream),
        }
    }

    /// Those of them that no Airbyte source has sent, and so none would take: they bear no name.
    pub(super) fn foreign(&self) -> usize {
        let is_of = |text: &str, is_stream: bool| {
            State::parse(text).is_ok_and(|state| (state.kind == StateKind::Stream) == is_stream)
        };
        match (self.kind(), &self.global) {
            (Some(StateKind::Global | StateKind::Legacy), Some(global)) => {
                usize::from(!is_of(&global.text, false))
            }
            _ => self.streams.iter().filter(|(_, state)| !is_of(&state.text, true)).count(),
        }
    }
}
