//! Where a log comes from.

use highwater::StreamName;

use crate::definition::StreamDefinition;
use crate::failure::Result;
use crate::output::Output;

/// What a source is read from. The runtime calls it from one thread.
pub trait Source: Send {
    /// The streams it will send, with their keys and schemas. Called before each [`read`](Source::read). May block.
    fn streams(&mut self) -> Result<Vec<StreamDefinition>>;

    /// Reads from `from` to the end, or for ever, into `out`. Each state that it gives to `out` says: with the records
    /// up to here, go on from there. Everything behind the last state is dropped if this fails, and sent again by the next call.
    ///
    /// It looks at [`Output::is_stopping`] now and then, and returns when that says so; or gets
    /// [`FailureKind::Cancelled`](crate::FailureKind::Cancelled) from the next call of `out`, and passes it on.
    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()>;
}

/// What the log holds of a source's cursors: the texts that the source gave, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// That of all streams together.
    pub global: Option<String>,
    /// Those of single streams.
    pub streams: Vec<(StreamName, String)>,
}

impl State {
    /// Whether the source begins at its beginning.
    pub fn is_empty(&self) -> bool {
        self.global.is_none() && self.streams.is_empty()
    }

    /// The state of one stream.
    pub fn of(&self, stream: &StreamName) -> Option<&str> {
        self.streams.iter().find(|(name, _)| name == stream).map(|(_, text)| text.as_str())
    }
}
