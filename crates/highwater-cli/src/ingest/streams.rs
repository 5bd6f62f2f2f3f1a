//! The streams of one run, found by name without an allocation, with what is counted for each.

use std::collections::{HashMap, HashSet};

use highwater::{ErrorKind, Log, Stream, StreamName, StreamSpec, Writer};
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
    entries: Vec<Entry>,
    /// By name, those without a namespace.
    plain: HashMap<String, usize>,
    /// By namespace, then by name.
    spaced: HashMap<String, HashMap<String, usize>>,
    /// Mostly the next record is of the same stream as the one before.
    last: usize,
}

impl Streams {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    pub(crate) fn entry(&mut self, namespace: Option<&str>, name: &str) -> &mut Entry {
        let index = self.find(namespace, name).unwrap_or_else(|| self.add(namespace, name));
        self.last = index;
        &mut self.entries[index]
    }

    fn find(&self, namespace: Option<&str>, name: &str) -> Option<usize> {
        let is_last = |entry: &Entry| entry.name.name == name && entry.name.namespace.as_deref() == namespace;
        if self.entries.get(self.last).is_some_and(is_last) {
            return Some(self.last);
        }
        match namespace {
            None => self.plain.get(name).copied(),
            Some(namespace) => self.spaced.get(namespace)?.get(name).copied(),
        }
    }

    fn add(&mut self, namespace: Option<&str>, name: &str) -> usize {
        let index = self.entries.len();
        let full = StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() };
        self.entries.push(Entry { name: full, stream: None, status: None, counts: Counts::default() });
        let by_name = match namespace {
            None => &mut self.plain,
            Some(namespace) => self.spaced.entry(namespace.to_owned()).or_default(),
        };
        by_name.insert(name.to_owned(), index);
        index
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_namespace_are_different_streams() {
        let mut streams = Streams::default();
        for (n, namespace) in [None, Some(""), Some("a"), None, Some("a"), Some("")].into_iter().enumerate() {
            streams.entry(namespace, "s").counts.records += 1 << (4 * n);
        }
        let counted: Vec<_> =
            streams.iter().map(|entry| (entry.name.namespace.as_deref(), entry.counts.records)).collect();
        assert_eq!(counted, [(None, 0x1001), (Some(""), 0x10_0010), (Some("a"), 0x1_0100)]);
    }
}
