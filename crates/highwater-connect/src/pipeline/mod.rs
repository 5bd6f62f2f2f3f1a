//! The pipeline file: one source, one log, some destinations.

mod alerts;
mod choice;
mod delivery;
mod fingerprint;
mod metrics;
mod nearest;
mod policy;
mod resume;
mod section;
mod variables;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub use alerts::{AlertKind, AlertPolicy};
pub use choice::{Columns, StreamChoice, SyncMode};
pub use delivery::{BreakerPolicy, Delivery, OnReject};
pub(crate) use fingerprint::{FILE as FINGERPRINT_KEY, SECRET, together};
pub use metrics::Metrics;
pub use nearest::nearest;
pub use policy::{CheckpointPolicy, LookbackPolicy, RetryPolicy, SchemaPolicy, Storage};
pub use resume::Resume;
pub use section::Section;
pub use variables::{Secrets, Variables};

use crate::failure::{Failure, Result};
use crate::letters::DeadLetters;
use crate::text::there_are;

/// The version of the file that is understood.
const VERSION: u64 = 1;
/// No pipeline file is longer, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A pipeline file, read. Parts of it are read when they are needed ([`source`](Pipeline::source),
/// [`destination`](Pipeline::destination)), so that a delivery in another process does not need the source's secrets.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Names it in messages.
    pub name: String,
    /// The log's directory.
    pub log: PathBuf,
    /// The directory of the pipeline's own files: configurations for connectors, what they write. Made with mode 0700.
    pub work: PathBuf,
    /// How the log is kept.
    pub storage: Storage,
    /// When checkpoints are made.
    pub checkpoint: CheckpointPolicy,
    /// How the source is tried again; destinations start from it.
    pub retry: RetryPolicy,
    /// What becomes of changed schemas.
    pub schema: SchemaPolicy,
    /// How far before its end a sync begins; not at all, if `None`.
    pub lookback: Option<LookbackPolicy>,
    /// What is verified before a run goes on.
    pub resume: Resume,
    variables: Variables,
    source: Table,
    streams: Vec<Table>,
    hash_key: Option<String>,
    metrics: Table,
    destinations: Vec<(String, Table)>,
    alerts: Table,
}

impl Pipeline {
    /// Reads a pipeline file. Fails with [`FailureKind::Config`](crate::FailureKind::Config), and says where it is wrong.
    pub fn open(path: &Path) -> Result<Pipeline> {
        let cant = |e: std::io::Error| Failure::config(format!("reading {}", path.display())).because(e);
        let length = std::fs::metadata(path).map_err(cant)?.len();
        if length > FILE_BYTES_MAX {
            return Err(Failure::config(format!("{} is longer than 4 MiB", path.display())));
        }
        let text = std::fs::read_to_string(path).map_err(cant)?;
        let base = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = std::path::absolute(base).map_err(cant)?;
        Self::parse(&text, &base).map_err(|failure| failure.while_doing(path.display()))
    }

    /// Reads the text of a pipeline file whose relative paths start from `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Pipeline> {
        // Where the work directory is depends on the log, whose place may itself be a variable of the environment.
        let early = Variables::new(base, base);
        // What is wrong is often quoted, and nobody has the secrets yet who could hide them.
        let shown = |failure: Failure| early.secrets().hide(&failure.to_string()).into_owned();
        Self::read(text, base, &early).map_err(|failure| Failure::new(failure.kind(), shown(failure)))
    }

    fn read(text: &str, base: &Path, early: &Variables) -> Result<Pipeline> {
        let table: Table = text.parse().map_err(|e| not_toml(text, &e))?;
        let mut section = Section::new("", table, early);
        match section.count("version")? {
            Some(VERSION) => {}
            Some(other) => {
                return Err(section.wrong("version", format!("{other} is not known; this is {VERSION}")));
            }
            None => return Err(section.wrong("version", "is missing; write version = 1")),
        }
        let name = section.needed_text("name")?;
        let log = base.join(section.needed_text("log")?);
        let work = work_directory(&log);
        let retry = RetryPolicy::read(section.section("retry")?, RetryPolicy::default())?;
        let storage = Storage::read(section.section("storage")?)?;
        let pipeline = Pipeline {
            name,
            lookback: LookbackPolicy::read(section.section("lookback")?, &storage)?,
            checkpoint: CheckpointPolicy::read(section.section("checkpoint")?, &storage)?,
            storage,
            retry,
            schema: schema_policy(section.section("schema")?)?,
            resume: section
                .choice("resume", &[("soft", Resume::Soft), ("hard", Resume::Hard)])?
                .unwrap_or_default(),
            variables: Variables::new(base, &work),
            source: section.table("source")?,
            streams: section.tables("streams")?,
            hash_key: section.raw_text("hash_key")?,
            metrics: section.table("metrics")?,
            destinations: section.named_tables("destinations")?,
            alerts: section.table("alerts")?,
            log,
            work,
        };
        section.finish()?;
        pipeline.check_names()?;
        pipeline.check_directories()?;
        Ok(pipeline)
    }

    /// They are names of consumers, and of files.
    fn check_names(&self) -> Result<()> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        match self.destinations.iter().find(|(name, _)| name.is_empty() || !name.chars().all(is_plain)) {
            Some((name, _)) => Err(Failure::config(format!(
                "destinations.{name:?}: a name has letters, digits, - and _ only"
            ))),
            None => Ok(()),
        }
    }

    /// A directory of files belongs to one destination: two would take each other's files for their own.
    fn check_directories(&self) -> Result<()> {
        let mut taken: Vec<(PathBuf, &str)> = Vec::new();
        for (name, table) in &self.destinations {
            let text = |key: &str| table.get(key).and_then(Value::as_str);
            let (Some("jsonl" | "parquet"), Some(path)) = (text("type"), text("path")) else { continue };
            let path: PathBuf = self.variables.base().join(path).components().collect();
            if let Some((_, other)) = taken.iter().find(|(known, _)| *known == path) {
                return Err(Failure::config(format!(
                    "destinations.{name}.path: destination {other} writes to {} already; each needs a directory of its own",
                    path.display()
                )));
            }
            taken.push((path, name));
        }
        Ok(())
    }

    /// What variables stand for, with the secrets that were met.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The secrets that were met so far.
    pub fn secrets(&self) -> &Secrets {
        self.variables.secrets()
    }

    /// The table `source`.
    pub fn source(&self) -> Section<'_> {
        Section::new("source", self.source.clone(), &self.variables)
    }

    /// The streams that are chosen; none: all that the source has.
    pub fn streams(&self) -> Result<Vec<StreamChoice>> {
        let section = |(n, table): (usize, &Table)| {
            Section::new(format!("streams[{n}]"), table.clone(), &self.variables)
        };
        let choices: Vec<StreamChoice> =
            self.streams.iter().enumerate().map(section).map(StreamChoice::read).collect::<Result<_>>()?;
        if self.hash_key.is_none() && choices.iter().any(|choice| !choice.columns.hash.is_empty()) {
            return Err(Failure::config("hash_key: is missing, and a stream has columns to hash"));
        }
        Ok(choices)
    }

    /// The key of hashed columns.
    pub fn hash_key(&self) -> Result<Option<String>> {
        let resolve = |text: &String| {
            let key = self.variables.resolve(text).map_err(|failure| failure.while_doing("hash_key"))?;
            Ok(self.secrets().remember(key))
        };
        self.hash_key.as_ref().map(resolve).transpose()
    }

    /// Where a run's metrics go.
    pub fn metrics(&self) -> Result<Metrics> {
        Metrics::read(Section::new("metrics", self.metrics.clone(), &self.variables))
    }

    /// The destinations' names, in the order of the alphabet.
    pub fn destination_names(&self) -> impl Iterator<Item = &str> {
        self.destinations.iter().map(|(name, _)| name.as_str())
    }

    /// The table of one destination, with what is the same for all types already taken from it.
    pub fn destination(&self, name: &str) -> Result<(Delivery, Section<'_>)> {
        let Some((_, table)) = self.destinations.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = self.destination_names().collect();
            return Err(Failure::config(match nearest(name, &known) {
                Some(near) => format!("there is no destination {name}; did you mean {near}?"),
                None => format!("there is no destination {name}; {}", there_are(&known)),
            }));
        };
        let mut section = Section::new(format!("destinations.{name}"), table.clone(), &self.variables);
        let delivery = Delivery::read(&mut section, self.retry)?;
        Ok((delivery, section))
    }

    /// Who is alerted of what; `None` if nobody is.
    pub fn alerts(&self) -> Result<Option<AlertPolicy>> {
        AlertPolicy::read(Section::new("alerts", self.alerts.clone(), &self.variables))
    }

    /// The dead letters of one destination.
    pub fn dead_letters(&self, destination: &str, delivery: &Delivery) -> DeadLetters {
        DeadLetters::new(&self.work, destination, delivery.letters_max)
    }
}

fn schema_policy(mut section: Section<'_>) -> Result<SchemaPolicy> {
    let policy = section.choice("on_change", &SchemaPolicy::NAMES)?.unwrap_or_default();
    section.finish()?;
    Ok(policy)
}

/// The directory of what belongs to a log's pipeline and not to the log: beside it, since a log's directory is its own.
pub fn work_directory(log: &Path) -> PathBuf {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".connect");
    log.with_file_name(name)
}

fn not_toml(text: &str, error: &toml::de::Error) -> Failure {
    let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    // Without the excerpt that the parser prints: it may show a secret.
    Failure::config(format!("line {line}: {}", error.message()))
}

#[cfg(test)]
mod tests;
