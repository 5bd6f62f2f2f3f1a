//! `highwater dead-letters`: the records that destinations refused, and what becomes of them.

mod change;
mod list;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use highwater_connect::letters::{DeadLetters, Letter, LettersMax};
use highwater_connect::pipeline::work_directory;
use highwater_connect::text::{tame, there_are};

use crate::failure::{Code, Failure};
use crate::known;

const EXAMPLES: &str = "\
Examples:
  highwater dead-letters list pipeline.toml
  highwater dead-letters show pipeline.toml 17
  highwater dead-letters retry pipeline.toml --all --destination warehouse
  highwater dead-letters drop pipeline.toml 17 18 --reason 'days that do not exist'";

/// List, show, retry and drop the records that destinations refused
///
/// A destination that refuses a record goes on with the others; the record is kept beside the log, with the reason, until somebody
/// decides. With on_reject = "fail" its delivery stops instead.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    List(list::Args),
    Show(show::Args),
    Retry(change::Retry),
    Drop(change::Drop),
}

pub(crate) fn run(command: &Command) -> Result<Code, Failure> {
    match command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Retry(args) => change::retry(args),
        Command::Drop(args) => change::drop_letters(args),
    }
}

/// Whose dead letters.
#[derive(Debug, clap::Args)]
struct Of {
    /// The pipeline file, or the log's directory
    pipeline: PathBuf,
    /// Of this destination; needed where several have some
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
}

impl Of {
    /// The pipeline's own directory, and the destinations that there are.
    fn place(&self) -> Result<(PathBuf, Vec<String>), Failure> {
        let (work, mut known) = if self.pipeline.is_dir() {
            let consumers = known::open(&self.pipeline)?.consumers()?;
            let names = consumers.into_iter().map(|consumer| consumer.name);
            (work_directory(&self.pipeline), names.collect::<Vec<_>>())
        } else {
            let pipeline = known::pipeline(&self.pipeline)?;
            let names = pipeline.destination_names().map(str::to_owned).collect();
            (pipeline.work, names)
        };
        known.extend(DeadLetters::destinations(&work)?);
        Ok((work, known))
    }

    /// The destinations that are meant, with their letters.
    fn all(&self) -> Result<Vec<Mail>, Failure> {
        let (work, known) = self.place()?;
        let names = match &self.destination {
            Some(name) if !known.contains(name) => {
                let text = format!("there is no destination {}; {}", tame(name), there_are(&known));
                return Err(Failure::not_found(text));
            }
            Some(name) => vec![name.clone()],
            None => DeadLetters::destinations(&work)?,
        };
        names.into_iter().map(|name| Mail::read(&work, name)).collect()
    }

    /// The one destination that is meant.
    fn one(&self) -> Result<Mail, Failure> {
        let mut all = self.all()?;
        if self.destination.is_none() {
            all.retain(|mail| !mail.letters.is_empty());
        }
        if all.len() > 1 {
            let names: Vec<String> = all.iter().map(|mail| tame(&mail.destination)).collect();
            let text =
                format!("several destinations have dead letters ({}): say --destination", names.join(", "));
            return Err(Failure::usage(text));
        }
        all.pop().ok_or_else(|| Failure::not_found("there are no dead letters"))
    }
}

/// One destination's letters.
struct Mail {
    destination: String,
    store: DeadLetters,
    letters: Vec<Letter>,
}

impl Mail {
    fn read(work: &Path, destination: String) -> Result<Self, Failure> {
        let store = DeadLetters::new(work, &destination, LettersMax::default());
        let letters = store.list()?;
        Ok(Mail { destination, store, letters })
    }
}

/// Which letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// Their numbers
    #[arg(value_name = "NUMBER", required_unless_present_any = ["all", "stream"])]
    numbers: Vec<u64>,
    /// All of the destination
    #[arg(long, conflicts_with = "numbers")]
    all: bool,
    /// All of this stream of the destination
    #[arg(long, value_name = "NAME", conflicts_with_all = ["numbers", "all"])]
    stream: Option<String>,
}

impl Which {
    /// By their numbers. A number that there is not is an error: it may be mistyped.
    fn choose(&self, mail: &Mail) -> Result<BTreeMap<u64, Letter>, Failure> {
        let is_wanted = |letter: &&Letter| match &self.stream {
            _ if self.all => true,
            Some(stream) => letter.stream.name == *stream || letter.stream.to_string() == *stream,
            None => self.numbers.contains(&letter.number),
        };
        let wanted = mail.letters.iter().filter(is_wanted);
        let chosen: BTreeMap<u64, Letter> = wanted.map(|letter| (letter.number, letter.clone())).collect();
        if let Some(unknown) = self.numbers.iter().find(|number| !chosen.contains_key(number)) {
            return Err(no_letter(&mail.destination, *unknown));
        }
        if chosen.is_empty() {
            return Err(Failure::not_found(format!("{} has no such dead letters", tame(&mail.destination))));
        }
        Ok(chosen)
    }
}

fn no_letter(destination: &str, number: u64) -> Failure {
    Failure::not_found(format!("{} has no dead letter {number}", tame(destination)))
        .hint("highwater dead-letters list PIPELINE")
}
