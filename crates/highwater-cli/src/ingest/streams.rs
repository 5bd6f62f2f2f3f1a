//! The streams of one run, found by name without an allocation, with what is counted for each.

use std::collections::HashSet;

use highwater::{ErrorKind, Log, Stream, StreamName, StreamSpec, Writer};
use highwater_connect::Names;
use highwater_connect::airbyte::catalog::Configured;
use highwater_connect::airbyte::trace::Status;

use crate::failure::Failure;

/// One stream of the run.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: StreamName,
    /// Registered when its first record or state comes; a status alone makes no stream.
    pub(crate) stream: Option<Stream>,
    pub(crate) status: Option<Status>,
    pub(crate) counts: Counts,
}

/// What is counted for a stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) records: u64,
    pub(crate) deletes: u64,
    pub(crate) bytes: u64,
    pub(crate) states: u64,
    /// Records since its last STATE: what the source's own count is compared with.
    pub(crate) since_state: u64,
}

/// All streams of the run.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    names: Names,
    entries: Vec<Entry>,
}

impl Streams {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(crate) fn entry(&mut self, namespace: Option<&str>, name: &str) -> &mut Entry {
        let index = self.names.find_or_add(namespace, name);
        if index == self.entries.len() {
            let name = StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() };
            self.entries.push(Entry { name, stream: None, status: None, counts: Counts::default() });
        }
        &mut self.entries[index]
    }
}

/// Registers streams with the log, each when it is first needed.
#[derive(Debug)]
pub(crate) struct Registry<'a> {
    pub(crate) log: &'a Log,
    pub(crate) allow_key_change: bool,
    /// `None` without a catalog.
    pub(crate) catalog: Option<HashSet<StreamName>>,
}

impl Registry<'_> {
    /// Those of the catalog are registered before anything is read: a key that changed shows at once.
    pub(crate) fn configured(
        &self,
        configured: &[Configured],
        streams: &mut Streams,
        writer: &mut Writer,
    ) -> Result<(), Failure> {
        for stream in configured {
            let spec = if self.allow_key_change { stream.spec().allow_key_change() } else { stream.spec() };
            let registered = self.log.stream(spec)?;
            writer.add(&registered)?;
            streams.entry(stream.name.namespace.as_deref(), &stream.name.name).stream = Some(registered);
        }
        Ok(())
    }

    /// Registers a stream that no catalog describes; whether it should have been in one.
    pub(crate) fn met(&self, entry: &mut Entry, writer: &mut Writer) -> Result<bool, Failure> {
        let stream = as_known(self.log, &entry.name)?;
        writer.add(&stream)?;
        entry.stream = Some(stream);
        Ok(self.catalog.as_ref().is_some_and(|catalog| !catalog.contains(&entry.name)))
    }
}

/// A stream as the log knows it, with the key it has there; without a key if it is new.
pub(crate) fn as_known(log: &Log, name: &StreamName) -> Result<Stream, Failure> {
    let spec = || match &name.namespace {
        Some(namespace) => StreamSpec::new(&name.name).namespace(namespace),
        None => StreamSpec::new(&name.name),
    };
    match log.stream(spec()) {
        Err(error) if *error.kind() == ErrorKind::StreamChanged => {
            let key = log.find_stream(name)?.key;
            Ok(log.stream(spec().key_paths(key))?)
        }
        registered => Ok(registered?),
    }
}
