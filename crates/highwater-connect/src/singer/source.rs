//! Any Singer tap, as a command.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use highwater::{Meta, Op, key};
use serde_json::Value;

use super::catalog::{self, Selected};
use super::message::{self, Message};
use super::names::{CatalogNames, Meant};
use crate::airbyte::Connector;
use crate::failure::{Failure, Result};
use crate::lines::Line;
use crate::output::{Handle, Output};
use crate::pipeline::StreamChoice;
use crate::process::{Heard, Talk};
use crate::reject::{NAN_TOLD, Reject};
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

/// No catalog is longer, in bytes.
const CATALOG_BYTES_MAX: u64 = 256 << 20;

/// A source that speaks Singer. Its state is one for all streams.
#[derive(Debug)]
pub struct SingerSource {
    connector: Connector,
    choices: Vec<StreamChoice>,
    hash_key: Option<String>,
    /// A catalog that a person wrote, for a tap that can't discover.
    catalog: Option<PathBuf>,
    /// Streams that are left out, although the catalog does not have them.
    leave_out: Vec<String>,
    /// Made once and used for all attempts.
    selected: Option<Chosen>,
}

/// What is read.
#[derive(Debug, Clone)]
struct Chosen {
    /// The catalog's text.
    catalog: String,
    streams: Vec<Selected>,
    names: CatalogNames,
}

impl SingerSource {
    /// Reads the streams that are chosen, or all. With `catalog`, that file is used and the tap is not asked what it has.
    pub fn new(
        connector: Connector,
        choices: Vec<StreamChoice>,
        hash_key: Option<String>,
        catalog: Option<PathBuf>,
    ) -> Self {
        SingerSource { connector, choices, hash_key, catalog, leave_out: Vec::new(), selected: None }
    }

    /// Leaves out what the tap sends of these streams. Others that its catalog does not have fail the attempt: the state that follows
    /// would pass them over.
    #[must_use]
    pub fn leave_out(self, leave_out: Vec<String>) -> Self {
        SingerSource { leave_out, ..self }
    }

    fn selected(&mut self) -> Result<&Chosen> {
        let selected = match self.selected.take() {
            Some(selected) => selected,
            None => {
                let mut catalog = self.discover()?;
                let (streams, names) =
                    catalog::select(&mut catalog, &self.choices, self.hash_key.as_deref())?;
                Chosen { catalog: catalog.to_string(), streams, names }
            }
        };
        Ok(self.selected.insert(selected))
    }

    fn discover(&self) -> Result<Value> {
        let text = match &self.catalog {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|e| Failure::config(format!("reading the catalog {}", path.display())).because(e))?,
            None => self.ask_for_catalog()?,
        };
        serde_json::from_str(&text)
            .map_err(|e| Failure::permanent("the tap's catalog is not JSON").because(e))
    }

    /// The answer is one document over many lines.
    fn ask_for_catalog(&self) -> Result<String> {
        let mut arguments = self.connector.config_argument()?;
        arguments.push("--discover".to_owned());
        let (running, _mark) = self.connector.start(&arguments, false)?;
        let mut talk = Talk::new(running, self.connector.settings().silence_timeout)?;
        let mut text = Vec::new();
        loop {
            match talk.listen().map_err(of_tap)? {
                Heard::Line(line) => {
                    text.extend_from_slice(line.bytes);
                    text.push(b'\n');
                    if text.len() as u64 > CATALOG_BYTES_MAX {
                        return Err(Failure::permanent("the tap's catalog is longer than 256 MiB"));
                    }
                }
                Heard::Nothing if self.connector.is_stopping() => return Err(Failure::cancelled()),
                Heard::Nothing => {}
                Heard::End => break,
            }
        }
        if let Some(failure) = talk.conclude(self.connector.settings().stop_timeout)? {
            return Err(of_tap(failure));
        }
        let mut catalog = String::new();
        let read = text.as_slice().read_to_string(&mut catalog);
        read.map_err(|e| Failure::permanent("the tap's catalog is not text").because(e))?;
        Ok(catalog)
    }
}

fn of_tap(failure: Failure) -> Failure {
    failure.while_doing("the tap")
}

impl Source for SingerSource {
    fn streams(&mut self) -> Result<Vec<Offer>> {
        self.selected()?.streams.iter().map(Selected::offer).collect()
    }

    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
        let mut arguments = self.connector.config_argument()?;
        let chosen = self.selected()?.clone();
        let catalog = self.connector.write("catalog.json", chosen.catalog.as_bytes())?;
        arguments.extend(["--catalog".to_owned(), catalog]);
        if let Some(state) = &from.global {
            arguments.extend(["--state".to_owned(), self.connector.write("state.json", state.as_bytes())?]);
        }
        let (running, _mark) = self.connector.start(&arguments, false)?;
        let mut talk = Talk::new(running, self.connector.settings().silence_timeout)?;
        let mut session = Session::new(self, out, &chosen)?;
        session.run(&mut talk)
    }
}

/// One read.
struct Session<'a, 'o> {
    connector: &'a Connector,
    out: &'a mut Output<'o>,
    /// In the order of the handles.
    streams: Vec<(Handle, &'a Selected)>,
    names: &'a CatalogNames,
    leave_out: &'a [String],
    /// What the names mean that are no stream's own.
    meant: HashMap<String, Meant>,
    /// Of which of them a schema or a record came.
    heard: HashSet<usize>,
    told: HashSet<String>,
    /// The last line was meant to be a message, and is not whole.
    torn: Option<Failure>,
    row: String,
    stopping_since: Option<Instant>,
    /// That of the record before, which is mostly that of the next.
    version: Option<(Handle, u64)>,
}

impl<'a, 'o> Session<'a, 'o> {
    fn new(source: &'a SingerSource, out: &'a mut Output<'o>, chosen: &'a Chosen) -> Result<Self> {
        let mut streams = Vec::new();
        for stream in &chosen.streams {
            let handle = out.find(None, &stream.name.name);
            let handle = handle
                .ok_or_else(|| Failure::permanent(format!("stream {} was not announced", stream.name)))?;
            streams.push((handle, stream));
        }
        let (told, torn) = (HashSet::new(), None);
        Ok(Session {
            connector: &source.connector,
            out,
            streams,
            names: &chosen.names,
            leave_out: &source.leave_out,
            meant: HashMap::new(),
            heard: HashSet::new(),
            told,
            torn,
            row: String::new(),
            stopping_since: None,
            version: None,
        })
    }

    fn run(&mut self, talk: &mut Talk) -> Result<()> {
        loop {
            let is_state = match talk.listen().map_err(of_tap)? {
                Heard::Line(line) => {
                    if line.fresh {
                        self.out.tick();
                    }
                    let is_state = self.take(line).map_err(|failure| at_line(failure, line.number))?;
                    if !line.fresh && !is_state {
                        continue;
                    }
                    is_state
                }
                Heard::Nothing => {
                    self.out.idle()?;
                    false
                }
                Heard::End => break,
            };
            if self.should_stop(is_state) {
                return talk.end(Duration::from_secs(1));
            }
        }
        let failure = talk.conclude(self.connector.settings().stop_timeout)?.map(of_tap);
        let failure = failure.or(self.torn.take());
        failure.or_else(|| self.unheard().map(Failure::transient)).map_or(Ok(()), Err)
    }

    /// A stream of which nothing came is believed to be empty, unless its rows are to be replaced: then silence would delete them all.
    fn unheard(&self) -> Option<String> {
        let silent = self.streams.iter().filter(|(handle, _)| !self.heard.contains(&handle.index()));
        let mut replaced = silent.filter(|(_, stream)| self.out.generation(&stream.name).minimum > 0);
        let (_, stream) = replaced.next()?;
        Some(format!(
            "the tap ended well, but sent neither schema nor record of stream {}, whose rows were to be replaced",
            stream.name
        ))
    }

    fn should_stop(&mut self, is_state: bool) -> bool {
        match self.out.urgency() {
            Urgency::None => false,
            Urgency::Now => true,
            Urgency::Soon => {
                let since = *self.stopping_since.get_or_insert_with(Instant::now);
                is_state || self.out.is_settled() || since.elapsed() > self.connector.settings().stop_timeout
            }
        }
    }

    /// Whether it was a state.
    fn take(&mut self, line: Line<'_>) -> Result<bool> {
        let message = match message::parse(line.bytes) {
            Ok(message) => message,
            Err(reject) => return self.reject(reject, line),
        };
        match &*message.kind {
            "RECORD" => self.record(&message)?,
            "SCHEMA" => self.schema(&message)?,
            "ACTIVATE_VERSION" => self.activate(&message)?,
            "STATE" => {
                let value = message.value.ok_or_else(|| Failure::permanent("a STATE has no value"))?;
                if !message::is_empty_state(value.get()) {
                    self.out.global_state(value.get())?;
                    return Ok(true);
                }
            }
            other => {
                if self.told.len() < 100 && self.told.insert(other.to_owned()) {
                    let text = format!("messages of type {other} are of no use here, and left out");
                    self.connector.reporter().note(text);
                }
            }
        }
        Ok(false)
    }

    fn reject(&mut self, reject: Reject, line: Line<'_>) -> Result<bool> {
        match reject {
            Reject::Malformed(why) => return Err(Failure::permanent(why)),
            Reject::Broken(why) if line.whole => return Err(Failure::transient(why)),
            Reject::Broken(why) => self.torn = Some(Failure::transient(why)),
            Reject::NotANumber(text) => {
                if self.told.insert("NaN".to_owned()) {
                    self.connector.reporter().warning(NAN_TOLD);
                }
                return self.take(Line { bytes: text.as_bytes(), ..line });
            }
            Reject::Noise => self.connector.noise(line.bytes),
        }
        Ok(false)
    }

    fn find(&mut self, message: &Message<'_>) -> Result<Option<(Handle, &'a Selected)>> {
        let name = message.stream.as_deref();
        let name = name.ok_or_else(|| Failure::permanent(format!("a {} names no stream", &*message.kind)))?;
        let found = match self.out.find(None, name) {
            // All of them were announced, in this order.
            Some(handle) => self.streams.get(handle.index()).copied(),
            None => self.find_by_other_name(name)?,
        };
        if found.is_none() && self.told.len() < 100 && self.told.insert(format!("stream {name}")) {
            self.connector.reporter().warning(format!(
                "the tap sends stream {name}, which it was not asked for; that is left out"
            ));
        }
        if let Some((handle, _)) = found {
            self.heard.insert(handle.index());
        }
        Ok(found)
    }

    fn find_by_other_name(&mut self, said: &str) -> Result<Option<(Handle, &'a Selected)>> {
        let meant = match self.meant.get(said) {
            Some(meant) => *meant,
            None => *self.meant.entry(said.to_owned()).or_insert(self.names.find(said)),
        };
        match meant {
            Meant::Stream(place) => Ok(self.streams.get(place).copied()),
            Meant::NotRead => Ok(None),
            Meant::Unknown if self.leave_out.iter().any(|name| name == said) => Ok(None),
            Meant::Unknown => Err(Failure::config(format!(
                "the tap sends stream {said}, which its catalog does not have (it has {}): a state behind it would pass its records over; give \
                 the tap a catalog that has it, or leave it out: leave_out = [\"{said}\"] in [source]",
                self.names.some()
            ))),
        }
    }

    fn schema(&mut self, message: &Message<'_>) -> Result<()> {
        let Some((handle, stream)) = self.find(message)? else { return Ok(()) };
        let key: Vec<_> =
            message.key_properties.iter().flatten().map(|column| vec![column.clone()]).collect();
        if !key.is_empty()
            && key != self.out.stream(handle).key()
            && self.told.insert(format!("key {}", stream.name))
        {
            self.connector.reporter().warning(format!(
                "the tap's key of stream {} is another than its catalog's; that of the catalog, or of the pipeline file, counts",
                stream.name
            ));
        }
        let Some(schema) = message.schema else { return Ok(()) };
        match &stream.filter {
            Some(filter) => {
                let schema = filter.schema(schema.get());
                let schema =
                    schema.map_err(|failure| failure.while_doing(format!("stream {}", stream.name)))?;
                self.out.set_schema(handle, &schema)
            }
            None => self.out.set_schema(handle, schema.get()),
        }
    }

    fn activate(&mut self, message: &Message<'_>) -> Result<()> {
        let Some((handle, _)) = self.find(message)? else { return Ok(()) };
        if let Some(version) = message.version {
            self.out.activate_version(handle, version);
        }
        Ok(())
    }

    fn record(&mut self, message: &Message<'_>) -> Result<()> {
        let Some((handle, stream)) = self.find(message)? else { return Ok(()) };
        if let Some(version) = message.version.filter(|version| self.version != Some((handle, *version))) {
            self.version = Some((handle, version));
            self.out.begin_version(handle, version);
        }
        let data = message.record.map(|record| record.get()).filter(|record| record.starts_with('{'));
        let data = data.ok_or_else(|| Failure::permanent("a RECORD has no object"))?;
        let mut row = std::mem::take(&mut self.row);
        let payload = match &stream.filter {
            Some(filter) => {
                filter.record(data, &mut row)?;
                row.as_str()
            }
            None => data,
        };
        let columns = self.out.stream(handle).key();
        let keyless = columns.is_empty();
        let key = if keyless { Vec::new() } else { key::of_payload(payload, columns)? };
        let bytes = payload.as_bytes();
        let op = match (message::is_deleted(data), keyless) {
            (true, _) => Op::Delete { key: &key, row: bytes },
            (false, true) => Op::Insert { key: &key, row: bytes },
            (false, false) => Op::Upsert { key: &key, row: bytes },
        };
        let meta = Meta { emitted_us: message::extracted_us(message), metadata: b"" };
        self.out.record(handle, op, meta)?;
        self.row = row;
        Ok(())
    }
}

fn at_line(failure: Failure, number: u64) -> Failure {
    let is_ours = failure.log_error().is_some() || failure.kind() == crate::FailureKind::Cancelled;
    if is_ours { failure } else { failure.while_doing(format!("line {number} of the tap's output")) }
}
