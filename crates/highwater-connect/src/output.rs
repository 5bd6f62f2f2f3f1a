//! What a source writes to: the log, seen from the source.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use highwater::{Commit, Log, Meta, Op, Stream, StreamName, StreamSpec, Writer};

use crate::definition::StreamDefinition;
use crate::failure::{Failure, Result};

/// Takes a source's records and states into the log. What a state covers is committed with it, together.
#[derive(Debug)]
pub struct Output<'a> {
    log: &'a Log,
    writer: Writer,
    streams: HashMap<StreamName, Stream>,
    stop: Arc<AtomicBool>,
}

impl<'a> Output<'a> {
    /// Registers the streams and owns them until it is dropped.
    pub fn new(log: &'a Log, definitions: &[StreamDefinition], stop: Arc<AtomicBool>) -> Result<Self> {
        let mut output = Output { log, writer: log.writer(&[])?, streams: HashMap::new(), stop };
        for definition in definitions {
            output.register(definition)?;
        }
        Ok(output)
    }

    fn register(&mut self, definition: &StreamDefinition) -> Result<()> {
        let mut spec = StreamSpec::new(&definition.name.name).key_paths(definition.key.clone());
        if let Some(namespace) = &definition.name.namespace {
            spec = spec.namespace(namespace);
        }
        if let Some(schema) = &definition.schema {
            spec = spec.schema(schema);
        }
        let stream = self.log.stream(spec)?;
        self.writer.add(&stream)?;
        self.streams.insert(definition.name.clone(), stream);
        Ok(())
    }

    fn stream(&self, name: &StreamName) -> Result<Stream> {
        let unknown =
            || Failure::permanent(format!("the source sent stream {name}, which it did not announce"));
        self.streams.get(name).cloned().ok_or_else(unknown)
    }

    /// Appends a record. Blocks while the log is at its cap.
    pub fn record(&mut self, stream: &StreamName, op: Op<'_>, meta: Meta<'_>) -> Result<()> {
        let stream = self.stream(stream)?;
        Ok(self.writer.append_with(&stream, op, meta)?)
    }

    /// The source can go on from here with `stream`. Blocks for a flush.
    pub fn state(&mut self, stream: &StreamName, text: &str) -> Result<()> {
        let stream = self.stream(stream)?;
        self.writer.commit(Commit::new().stream_text(&stream, text))?;
        Ok(())
    }

    /// The source can go on from here with all streams. Blocks for a flush.
    pub fn global_state(&mut self, text: &str) -> Result<()> {
        self.writer.commit(Commit::new().global_text(text))?;
        Ok(())
    }

    /// Whether the source should return, at the next state or at once.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
