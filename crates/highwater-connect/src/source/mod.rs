//! Where a log comes from.

pub mod files;
pub mod http;
pub mod sample;

use highwater::{ColumnPath, StreamName};

use crate::definition::StreamDefinition;
use crate::failure::Result;
use crate::output::Output;

/// What a source is read from. The runtime calls it from one thread.
pub trait Source: Send {
    /// Whether it could be read: what it needs is there, and lets it in. Tells what is worth knowing of that, a sentence each, for a
    /// person. It reads no record, changes nothing, and disturbs nobody who reads the same. May block.
    ///
    /// As it is here, it only asks for the streams.
    fn check(&mut self) -> Result<Vec<String>> {
        self.streams().map(|_| Vec::new())
    }

    /// The streams it will send. Called before each [`read`](Source::read). May block. Fails with
    /// [`FailureKind::Config`](crate::FailureKind::Config) if it was told to send what it does not have.
    fn streams(&mut self) -> Result<Vec<Offer>>;

    /// Reads from `from` to the end, or for ever, into `out`. Each state that it gives to `out` says: with the records
    /// up to here, go on from there. Everything behind the last state is dropped if this fails, and sent again by the next call.
    ///
    /// When it returns `Ok` without having been asked to stop, all streams are complete, and what is left of them is committed.
    ///
    /// It looks at [`Output::urgency`] now and then, and returns when that says so: at the next state, or at once. While nothing
    /// comes it calls [`Output::idle`] a few times a second.
    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()>;
}

/// A stream that a source will send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name, key and schema. Its generation is the runtime's business and is not looked at.
    pub definition: StreamDefinition,
    /// Where a new sync starts.
    pub reading: Reading,
    /// The column that tells what is new, where there is one: a state is of no use to another.
    pub cursor: Option<ColumnPath>,
    /// The source tells the schema while it is read ([`Output::set_schema`]); what stands here is not looked at.
    pub tells_schema: bool,
}

/// Where a new sync of a stream starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Where the last one ended.
    Onward,
    /// At the beginning: a new generation of all its rows.
    Anew {
        /// Within a sync, an attempt goes on where the last one failed. Otherwise each attempt is a new generation.
        is_resumable: bool,
        /// The rows of older generations go when this one is complete.
        replaces: bool,
    },
}

impl Offer {
    /// A stream that goes on where the last sync ended.
    pub fn onward(definition: StreamDefinition) -> Self {
        Self::new(definition, Reading::Onward)
    }

    /// A stream without a cursor that is known, whose schema stands in its definition.
    pub fn new(definition: StreamDefinition, reading: Reading) -> Self {
        Offer { definition, reading, cursor: None, tells_schema: false }
    }

    /// With the column that tells what is new.
    #[must_use]
    pub fn with_cursor(self, cursor: Option<ColumnPath>) -> Self {
        Offer { cursor, ..self }
    }
}

/// What the log holds of a source's cursors: the texts that the source gave, unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// That of all streams together.
    pub global: Option<String>,
    /// Those of single streams.
    pub streams: Vec<(StreamName, String)>,
    /// No stream's state is newer than that of all streams: a source that changed from one kind to the other sent this one last.
    pub is_global_newest: bool,
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
