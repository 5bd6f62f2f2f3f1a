//! `highwater ingest`: messages from standard input into the log.

mod airbyte;
mod console;
mod debug_storage;
mod jsonl;
mod phases;
mod states;
mod streams;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use highwater::{Compression, Config, Log, Recovery, StreamName};
use highwater_connect::airbyte::catalog;
use highwater_connect::quantity;

use crate::failure::{Code, Failure};
use crate::terminal;
use console::Console;
use debug_storage::DebugStorage;
use phases::Phases;

const EXAMPLES: &str = "\
Examples:
  source-faker read --config c.json --catalog cat.json | highwater ingest shop.hw --catalog cat.json
  highwater state get shop.hw > state.json      before the next run: what the source takes with --state
  highwater ingest events.hw --format jsonl --stream events --key id < events.jsonl
  tail -f app.log.json | highwater ingest app.hw --format jsonl --stream app --every-seconds 5

airbyte: each STATE is a checkpoint, and is written to standard output, unchanged, once it is durable.
jsonl: run again on the same input, it skips the lines that are committed.";

/// Read messages from standard input into a log, which is made if it is not there
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory
    pub(crate) log: PathBuf,
    /// airbyte: Airbyte protocol messages; jsonl: one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Airbyte)]
    format: Format,
    /// Airbyte: the configured catalog, which gives keys and schemas
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Airbyte: at the end of the input, commit what is left of every stream, not only of those that are COMPLETE
    #[arg(long)]
    assume_complete: bool,
    /// jsonl: the stream's name
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// jsonl: the stream's namespace
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// jsonl: the key columns
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    key: Vec<String>,
    /// jsonl: a checkpoint after so many records. Default: 10000 when no --every-... is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every_records: Option<u64>,
    /// jsonl: a checkpoint after so many bytes of records, like 8MiB
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    every_bytes: Option<u64>,
    /// jsonl: a checkpoint after so many seconds, also when no line comes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every_seconds: Option<u64>,
    /// Take the key as it is given now, although the log has another for that stream
    #[arg(long)]
    allow_key_change: bool,
    /// The size that the log's files grow to, like 64MiB
    #[arg(long, value_name = "SIZE", value_parser = segment_size)]
    segment_bytes: Option<u32>,
    /// How records are stored: none, lz4, zstd or zstd:LEVEL
    #[arg(long, value_name = "CODEC", default_value_t)]
    compression: Compression,
    /// Wait so many seconds for another process to give the log up
    #[arg(long, value_name = "SECONDS")]
    lock_wait: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Airbyte,
    Jsonl,
}

/// The engine has these limits, too; here they make a usage error.
fn segment_size(text: &str) -> Result<u32, String> {
    let size = quantity::size(text)?;
    u32::try_from(size)
        .ok()
        .filter(|size| (64 << 10..=2 << 30).contains(size))
        .ok_or_else(|| "expected 64KiB to 2GiB".to_owned())
}

/// Who finds another at work can wait for it.
fn not_opened(error: highwater::Error) -> Failure {
    let is_locked = *error.kind() == highwater::ErrorKind::Locked;
    let failure = Failure::from(error);
    if is_locked { failure.hint("the same with --lock-wait 60, which waits for its end") } else { failure }
}

fn read_catalog(path: &std::path::Path) -> Result<Vec<catalog::Configured>, Failure> {
    let doing = || format!("reading the catalog {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| Failure::io(doing(), &e))?;
    catalog::parse(&text).map_err(|e| Failure::error(format!("{}: {e}", doing())))
}

/// How often a checkpoint is made when nothing is said about it.
const EVERY_RECORDS: u64 = 10_000;

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    args.check()?;
    let catalog = args.catalog.as_deref().map(read_catalog).transpose()?;
    let phases = Phases::from_environment()?;
    let is_debugged = phases.is_some();
    let phases = Arc::new(phases.unwrap_or_default());
    let (log, recovery) = args.open(is_debugged.then(|| phases.clone()))?;
    terminal::say(&recovery);
    match args.format {
        Format::Airbyte => args.airbyte(&log, catalog.as_deref(), &phases)?,
        Format::Jsonl => args.jsonl(&log)?,
    }
    log.close()?;
    Ok(Code::Well)
}

impl Args {
    /// What makes sense with one format only.
    fn check(&self) -> Result<(), Failure> {
        let has_every = self.every_records.or(self.every_bytes).or(self.every_seconds).is_some();
        let is_jsonl = self.format == Format::Jsonl;
        let misplaced = [
            (
                has_every && !is_jsonl,
                "--every-... is for --format jsonl: with airbyte only a STATE makes a checkpoint",
            ),
            (
                self.stream.is_some() && !is_jsonl,
                "--stream is for --format jsonl: with airbyte each record names its stream",
            ),
            (self.namespace.is_some() && !is_jsonl, "--namespace is for --format jsonl"),
            (
                !self.key.is_empty() && !is_jsonl,
                "--key is for --format jsonl: with airbyte the --catalog gives the keys",
            ),
            (self.catalog.is_some() && is_jsonl, "--catalog is for --format airbyte"),
            (self.assume_complete && is_jsonl, "--assume-complete is for --format airbyte"),
            (self.stream.is_none() && is_jsonl, "--format jsonl needs --stream NAME"),
            (self.every_bytes == Some(0), "--every-bytes is at least 1"),
        ];
        match misplaced.iter().find(|(is_so, _)| *is_so) {
            Some((_, text)) => Err(Failure::usage(*text).hint("highwater ingest --help")),
            None => Ok(()),
        }
    }

    fn open(&self, debug: Option<Arc<Phases>>) -> Result<(Log, Recovery), Failure> {
        let mut config = Config { compression: self.compression, ..Config::default() };
        if let Some(seconds) = self.lock_wait {
            config.lock_wait = Duration::from_secs(seconds);
        }
        if let Some(size) = self.segment_bytes {
            config.segment_bytes = size;
        }
        let Some(phases) = debug else { return Log::open(&self.log, config).map_err(not_opened) };
        std::fs::create_dir_all(&self.log)
            .map_err(|e| Failure::io(format!("making {}", self.log.display()), &e))?;
        Ok(Log::open_on(Arc::new(DebugStorage::new(&self.log, phases)), config)?)
    }

    fn airbyte(
        &self,
        log: &Log,
        catalog: Option<&[catalog::Configured]>,
        phases: &Phases,
    ) -> Result<(), Failure> {
        let console = Console::start();
        let mut session = airbyte::Session::new(log, catalog, self.allow_key_change, &console, phases)?;
        let ended =
            session.run(std::io::stdin().lock()).and_then(|()| session.complete(self.assume_complete));
        console.finish();
        session.summarize(ended.is_ok());
        ended
    }

    fn jsonl(&self, log: &Log) -> Result<(), Failure> {
        let name =
            StreamName { namespace: self.namespace.clone(), name: self.stream.clone().unwrap_or_default() };
        let stream = jsonl::register(log, &name, &self.key, self.allow_key_change)?;
        let time = self.every_seconds.map(Duration::from_secs);
        let records =
            self.every_records.or((self.every_bytes.is_none() && time.is_none()).then_some(EVERY_RECORDS));
        let every = jsonl::Every { records, bytes: self.every_bytes, time };
        let console = Console::start();
        let mut session = jsonl::Session::new(log, stream, every, &console)?;
        let ended = session.run();
        console.finish();
        session.summarize();
        ended
    }
}
