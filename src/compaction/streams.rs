//! What the streams were at the compaction point.

use std::collections::BTreeMap;

use super::outline::Outline;
use crate::error::Result;
use crate::format::BLOCK;
use crate::format::define::StreamName;
use crate::format::frame::Kind as FrameKind;
use crate::position::StreamId;
use crate::segment::{Files, Walker};
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
        let view = view_at(files, outline)?;
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

/// The view behind the last checkpoint that is taken in.
fn view_at(files: &Files, outline: &Outline) -> Result<View> {
    let segment = outline.at.segment();
    let snapshot = read_start(files, segment)?.1.snapshot;
    let mut view = View::load(files, &snapshot, &outline.before)?;
    let mut walker = Walker::new(files.get(segment)?, BLOCK);
    while walker.address() < outline.at {
        let at = walker.address();
        let header = walker.header()?.map_err(|fault| files.damaged(at, fault))?;
        if header.kind == FrameKind::Define {
            view.define(&read_definition(files, at)?, at);
        }
        walker.step(&header);
    }
    Ok(view)
}
