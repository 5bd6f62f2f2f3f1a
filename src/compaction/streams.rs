//! What the streams were at the compaction point.

use std::collections::BTreeMap;

use super::outline::Outline;
use crate::error::Result;
use crate::format::define::StreamName;
use crate::position::StreamId;
use crate::segment::Files;
use crate::view::{View, read_definition, read_start};

/// How a stream is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Keyed,
    /// Nothing can take a record's place: all stay.
    Keyless,
    /// Its name is gone, and so are its records.
    Dropped,
}

/// Every stream that was defined.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<StreamId, (Kind, StreamName)>);

impl Streams {
    pub(super) fn of(files: &Files, outline: &Outline) -> Result<Streams> {
        let snapshot = read_start(files, outline.first_live)?.1.snapshot;
        let view = View::load(files, &snapshot, &outline.before)?;
        let mut streams = BTreeMap::new();
        for (stream, entry) in view.all() {
            let Some(defined) = &entry.defined else { continue };
            let kind = match defined.dropped {
                true => Kind::Dropped,
                false if read_definition(files, defined.at)?.key.is_empty() => Kind::Keyless,
                false => Kind::Keyed,
            };
            streams.insert(stream, (kind, defined.name.clone()));
        }
        Ok(Streams(streams))
    }

    pub(super) fn is_keyed(&self, stream: StreamId) -> bool {
        self.0.get(&stream).is_some_and(|(kind, _)| *kind == Kind::Keyed)
    }

    /// Also one that nobody knows anything of.
    pub(super) fn is_keyless(&self, stream: StreamId) -> bool {
        !self.is_keyed(stream) && !self.is_dropped(stream)
    }

    pub(super) fn is_dropped(&self, stream: StreamId) -> bool {
        self.0.get(&stream).is_some_and(|(kind, _)| *kind == Kind::Dropped)
    }

    pub(super) fn name(&self, stream: StreamId) -> Option<StreamName> {
        self.0.get(&stream).map(|(_, name)| name.clone())
    }
}
