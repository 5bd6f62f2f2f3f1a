//! Finding a log, and a stream in it, by what a person typed.

use std::path::Path;

use clap::Args;
use highwater::{Checkpoint, Config, ErrorKind, Log, LogReader, Reader, StreamInfo, StreamName};
use highwater_connect::text::tame;
use highwater_connect::{Pipeline, bookkeeping};
use highwater_serve::Subject;

use crate::failure::Failure;
use crate::given;
use crate::terminal;

/// Opens a log for reading.
pub(crate) fn open(typed: &Path) -> Result<LogReader, Failure> {
    LogReader::open(given::directory(typed)?).map_err(|error| {
        let is_not_run = typed.is_file() && *error.kind() == ErrorKind::NotFound;
        let failure = no_log(error);
        if is_not_run { failure.hint("highwater run PIPELINE    makes it") } else { failure }
    })
}

/// The same of one that need not be there yet.
pub(crate) fn open_if_there(typed: &Path) -> Result<Option<LogReader>, Failure> {
    match LogReader::open(given::directory(typed)?) {
        Ok(log) => Ok(Some(log)),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(no_log(error)),
    }
}

/// Opens a log for writing, and says what a crash has cost; a mistyped path makes none.
pub(crate) fn open_to_write(typed: &Path) -> Result<Log, Failure> {
    let (log, recovery) = Log::open(given::directory(typed)?, Config { create: false, ..Config::default() })?;
    if !recovery.is_clean() {
        terminal::say(&recovery);
    }
    Ok(log)
}

/// Reads a pipeline file. What it takes from the environment or from secret files is shown to nobody from then on.
pub(crate) fn pipeline(path: &Path) -> Result<Pipeline, Failure> {
    check_there(path, "no pipeline file")?;
    let pipeline = Pipeline::open(path)?;
    terminal::hide(pipeline.secrets());
    Ok(pipeline)
}

/// A log's directory, or a pipeline file.
pub(crate) fn subject(path: &Path) -> Result<Subject, Failure> {
    check_there(path, "neither a log nor a pipeline file")?;
    Ok(Subject::open(path)?)
}

/// Mostly the path is wrong.
fn check_there(path: &Path, what: &str) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let failure = Failure::not_found(format!("there is {what} at {}", path.display()));
    Err(failure.hint("check the path; a pipeline file is made by: highwater init"))
}

/// The next checkpoint. Where a repair has left a gap it says so, and goes on behind it.
pub(crate) fn next(reader: &mut Reader) -> Result<Option<Checkpoint>, Failure> {
    loop {
        match reader.next() {
            Ok(found) => return Ok(found),
            Err(error) => match reader.pass_gap() {
                Some(_) => terminal::say(format!("highwater: {error}")),
                None => return Err(error.into()),
            },
        }
    }
}

/// What to do when a log can't be opened at all: mostly the path is wrong.
pub(crate) fn no_log(error: highwater::Error) -> Failure {
    let is_missing = *error.kind() == ErrorKind::NotFound;
    let failure = Failure::from(error);
    if is_missing {
        failure.hint("check the path; a log is made by: highwater run PIPELINE, or highwater ingest LOG")
    } else {
        failure
    }
}

/// Which stream is meant.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Only this stream. Without --namespace: the one that has no namespace, or else the only one of that name
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// The stream's namespace; an empty one ("") is another than none
    #[arg(long, value_name = "NS", requires = "stream")]
    pub(crate) namespace: Option<String>,
}

impl Wanted {
    /// The stream that is meant, if one is named.
    pub(crate) fn find(&self, log: &LogReader) -> Result<Option<StreamInfo>, Failure> {
        let Some(wanted) = &self.stream else { return Ok(None) };
        let name = StreamName { namespace: self.namespace.clone(), name: wanted.clone() };
        match log.find_stream(&name) {
            Ok(found) => return Ok(Some(found)),
            Err(error) if *error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let streams = log.streams()?;
        match choose(streams.iter().map(|info| &info.name), wanted, self.namespace.as_deref()) {
            Choice::One(n) => Ok(streams.into_iter().nth(n)),
            Choice::None => Err(unknown(&name, &streams)),
            Choice::Several => Err(Failure::usage(format!(
                "several streams are named {}; say which with --namespace",
                tame(wanted)
            ))),
        }
    }
}

/// What the runtime keeps in the log for itself is not for a person to write: with another text no run can read it any more.
pub(crate) fn refuse_ours(name: &StreamName) -> Result<(), Failure> {
    if !bookkeeping::is_ours(name) {
        return Ok(());
    }
    let text =
        format!("{} is the runtime's own, and not a source's: no hand may write it", tame(&name.to_string()));
    Err(Failure::usage(text).hint("highwater info LOG    lists the streams that have a state of a source"))
}

/// Where in the list it is.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    One(usize),
    None,
    Several,
}

fn choose<'a>(
    names: impl Iterator<Item = &'a StreamName> + Clone,
    wanted: &str,
    namespace: Option<&str>,
) -> Choice {
    let is_exact = |name: &StreamName| name.name == wanted && name.namespace.as_deref() == namespace;
    if let Some(n) = names.clone().position(is_exact) {
        return Choice::One(n);
    }
    if namespace.is_some() {
        return Choice::None;
    }
    // As the tables show it, with its namespace in front, is good enough, too.
    let mut alike = names.enumerate().filter(|(_, name)| name.name == wanted || name.to_string() == wanted);
    match (alike.next(), alike.next()) {
        (None, _) => Choice::None,
        (Some((n, _)), None) => Choice::One(n),
        (Some(_), Some(_)) => Choice::Several,
    }
}

/// So many streams are named in a message.
const NAMED_MAX: usize = 20;

fn unknown(wanted: &StreamName, streams: &[StreamInfo]) -> Failure {
    let of_sources: Vec<&StreamName> =
        streams.iter().map(|info| &info.name).filter(|name| !bookkeeping::is_ours(name)).collect();
    let mut known: Vec<String> =
        of_sources.iter().take(NAMED_MAX).map(|name| tame(&name.to_string())).collect();
    if of_sources.len() > NAMED_MAX {
        known.push(format!("and {} more", of_sources.len() - NAMED_MAX));
    }
    let known =
        if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    Failure::not_found(format!("the log has no stream {}; {known}", tame(&wanted.to_string())))
        .hint("highwater info LOG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[(Option<&str>, &str)]) -> Vec<StreamName> {
        let name = |(namespace, name): &(Option<&str>, &str)| StreamName {
            namespace: namespace.map(str::to_owned),
            name: (*name).to_owned(),
        };
        list.iter().map(name).collect()
    }

    #[test]
    fn a_name_alone_means_the_one_without_a_namespace_or_the_only_one() {
        let names =
            names(&[(Some("a"), "x"), (Some("b"), "x"), (None, "y"), (Some("a"), "y"), (Some(""), "z")]);
        let chosen = |wanted, namespace| choose(names.iter(), wanted, namespace);
        assert_eq!(chosen("x", None), Choice::Several);
        assert_eq!(chosen("x", Some("b")), Choice::One(1));
        assert_eq!(chosen("y", None), Choice::One(2));
        assert_eq!(chosen("b.x", None), Choice::One(1));
        assert_eq!(chosen("z", None), Choice::One(4));
        assert_eq!(chosen("y", Some("")), Choice::None);
        assert_eq!(chosen("q", None), Choice::None);
    }
}
