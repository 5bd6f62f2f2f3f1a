//! What is known of a stream at one checkpoint, beside its records.

use highwater::{ColumnPath, StreamName};

/// A stream as it was defined when a checkpoint was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDefinition {
    /// Its name, with its namespace; an empty namespace is another than none.
    pub name: StreamName,
    /// Its key columns; none for a stream without a key.
    pub key: Vec<ColumnPath>,
    /// Its JSON schema, as the source gave it.
    pub schema: Option<String>,
    /// Which reading of the stream its records belong to.
    pub generation: Generation,
}

impl StreamDefinition {
    /// A stream without a key and a schema, in generation 0.
    pub fn new(name: StreamName) -> Self {
        StreamDefinition { name, key: Vec::new(), schema: None, generation: Generation::default() }
    }
}

/// Counts how often a stream was read from its beginning. Destinations that overwrite show only what belongs to the
/// newest generation that is complete, or may be shown before it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generation {
    /// That of the records in this checkpoint; Airbyte's `generation_id`. Never falls.
    pub number: u64,
    /// Rows of generations below this one are to go, once this generation is complete; Airbyte's
    /// `minimum_generation_id`. Equal to `number` for a refresh that replaces, 0 otherwise.
    pub minimum: u64,
    /// With this checkpoint the source has sent all that this sync has of the stream. It stays so until the next sync.
    pub is_complete: bool,
    /// Which sync; Airbyte's `sync_id`. A sync that was interrupted and goes on keeps it.
    pub sync: u64,
}

impl Generation {
    /// Whether rows of older generations have to go now: the new ones are there, and they replace.
    pub fn replaces(&self) -> bool {
        self.is_complete && self.minimum == self.number && self.number > 0
    }
}
