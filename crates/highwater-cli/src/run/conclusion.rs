//! How a run ended: every failure by its name, one exit code for all of them, and the next command.

use std::path::Path;

use highwater::{ErrorKind, LogReader, Sequence, Start};
use highwater_connect::event::Reporter;
use highwater_connect::runtime::Outcome;
use highwater_connect::{Failure as Why, FailureKind, Pipeline};
use serde::Serialize;

use crate::failure::{Code, Failure, quoted};
use crate::terminal;

/// What failed, as far as it is told.
#[derive(Debug, Serialize)]
struct Failed {
    /// `source`, a destination's name, or `pipeline`: it could not begin.
    of: String,
    kind: &'static str,
    text: String,
    #[serde(skip)]
    code: Code,
}

/// How it ended.
#[derive(Debug, Serialize)]
pub(crate) struct Conclusion {
    /// `complete`, `stopped`, or `failed`.
    outcome: &'static str,
    #[serde(serialize_with = "number")]
    exit_code: Code,
    /// The source first, and then the destinations.
    failures: Vec<Failed>,
    /// Destinations that another process delivers.
    elsewhere: Vec<String>,
}

fn number<S: serde::Serializer>(code: &Code, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u8(*code as u8)
}

/// Of several failures the one counts that a person has to do most about; what may go well by itself comes last.
const SEVEREST_FIRST: [Code; 6] =
    [Code::Damage, Code::Paused, Code::DiskFull, Code::SourceFailed, Code::DestinationFailed, Code::TryAgain];

impl Conclusion {
    /// Of a run.
    pub(crate) fn of(outcome: Outcome, reporter: &Reporter) -> Self {
        let source = outcome.source.iter().map(|why| failed("source", why, Code::SourceFailed, reporter));
        let destinations = outcome.destinations.iter();
        let destinations =
            destinations.map(|(name, why)| failed(name, why, Code::DestinationFailed, reporter));
        let failures = source.chain(destinations).collect();
        Self::new(failures, outcome.is_stopped, outcome.elsewhere)
    }

    /// Of what could not begin, and of one destination alone, with the code that it ends with.
    pub(crate) fn failed(of: &str, why: &Why, code: Code, reporter: &Reporter) -> Self {
        let failure = Failed { code, ..failed(of, why, code, reporter) };
        Conclusion { exit_code: code, ..Self::new(vec![failure], false, Vec::new()) }
    }

    fn new(failures: Vec<Failed>, is_stopped: bool, elsewhere: Vec<String>) -> Self {
        let rank = |code: Code| SEVEREST_FIRST.iter().position(|known| *known == code);
        let severest = failures.iter().map(|failed| failed.code).min_by_key(|code| rank(*code));
        let (outcome, exit_code) = match (severest, is_stopped) {
            (Some(code), _) => ("failed", code),
            (None, true) => ("stopped", Code::TryAgain),
            (None, false) => ("complete", Code::Well),
        };
        Conclusion { outcome, exit_code, failures, elsewhere }
    }

    /// Tells of every failure, and gives what the command ends with.
    pub(crate) fn conclude(&self, file: &Path, pipeline: &Pipeline) -> Result<Code, Failure> {
        let given_up: Vec<&Failed> = self.failures.iter().filter(|failed| failed.of != "source").collect();
        for Failed { of, text, .. } in &given_up {
            terminal::error(format!("destination {of}: {text}"));
        }
        let source = self.failures.iter().find(|failed| failed.of == "source");
        if let Some(Failed { text, .. }) = source.filter(|_| !given_up.is_empty()) {
            terminal::error(format!("source: {text}"));
        }
        let last = match (source, given_up.as_slice()) {
            (Some(Failed { text, .. }), []) => format!("source: {text}"),
            (None, []) if self.outcome == "complete" => return Ok(Code::Well),
            (None, []) => "stopped on request; run it again to go on".to_owned(),
            (source, given_up) => {
                let is_kept = given_up.iter().all(|failed| is_kept(&pipeline.log, failed));
                given_up_text(source.is_some(), given_up, is_kept)
            }
        };
        Err(Failure::with_code(self.exit_code, last).hint(self.next(file)).of(&pipeline.log))
    }

    /// The next command.
    fn next(&self, file: &Path) -> String {
        let file = quoted(file);
        let is_schema = self.failures.iter().any(|failed| failed.kind == "paused");
        match self.exit_code {
            Code::Damage => "cp -a LOG LOG.copy && highwater verify LOG".to_owned(),
            Code::Paused if is_schema => format!("highwater schema diff {file}"),
            Code::DiskFull => format!("highwater status {file}, and highwater du LOG"),
            Code::SourceFailed | Code::DestinationFailed => format!("highwater check {file}"),
            Code::TryAgain if self.failures.is_empty() => format!("highwater run {file}"),
            _ => format!("highwater status {file}"),
        }
    }
}

fn failed(of: &str, why: &Why, otherwise: Code, reporter: &Reporter) -> Failed {
    let text = reporter.shown(&why.to_string());
    Failed { of: of.to_owned(), kind: why.kind().name(), text, code: code_of(why, otherwise) }
}

/// What a failure of one part means for whoever started the run.
pub(crate) fn code_of(why: &Why, otherwise: Code) -> Code {
    match (why.log_error().map(highwater::Error::kind), why.kind()) {
        (Some(ErrorKind::Corrupt), _) => Code::Damage,
        (Some(ErrorKind::Full), _) | (_, FailureKind::Full) => Code::DiskFull,
        (_, FailureKind::Diverged | FailureKind::Paused) => Code::Paused,
        (_, kind) if kind.is_worth_a_retry() => Code::TryAgain,
        _ => otherwise,
    }
}

/// Whether the log holds everything that the destination lacks, so that it goes on once it works again.
fn is_kept(log: &Path, failed: &Failed) -> bool {
    let is_kept = || -> Result<bool, highwater::Error> {
        let log = LogReader::open(log)?;
        let consumers = log.consumers()?;
        let known = consumers.iter().find(|consumer| consumer.name == failed.of && !consumer.diverged);
        let Some(known) = known else { return Ok(false) };
        let start = match known.acknowledged {
            Sequence::NONE => Start::Earliest,
            acknowledged => Start::After(acknowledged),
        };
        log.check_start(start).map(|_| true)
    };
    failed.kind != FailureKind::Diverged.name() && is_kept().unwrap_or(false)
}

fn given_up_text(is_source: bool, given_up: &[&Failed], is_kept: bool) -> String {
    let names: Vec<&str> = given_up.iter().map(|failed| failed.of.as_str()).collect();
    let too = if is_source { "the source failed; " } else { "" };
    let then = match (is_kept, given_up.len()) {
        (true, 1) => "what it lacks is in the log",
        (true, _) => "what they lack is in the log",
        (false, _) => "a person has to decide how it goes on",
    };
    match names.as_slice() {
        [one] => format!("{too}destination {one} was given up; {then}"),
        many => format!("{too}destinations {} were given up; {then}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(source: Option<Why>, destinations: Vec<Why>) -> u8 {
        let named = |(n, why): (usize, Why)| (format!("d{n}"), why);
        let destinations = destinations.into_iter().enumerate().map(named).collect();
        let outcome = Outcome { source, destinations, ..Outcome::default() };
        Conclusion::of(outcome, &Reporter::silent()).exit_code as u8
    }

    #[test]
    fn the_worst_of_several_failures_counts() {
        let (transient, config) = (|| Why::transient("down"), || Why::config("wrong"));
        assert_eq!(code(None, vec![]), 0);
        assert_eq!(code(None, vec![transient(), transient()]), 75);
        assert_eq!(code(None, vec![transient(), config()]), 10);
        assert_eq!(code(Some(transient()), vec![config()]), 10);
        assert_eq!(code(Some(config()), vec![config(), transient()]), 9);
        assert_eq!(code(Some(Why::full("no")), vec![config()]), 7);
        assert_eq!(code(Some(Why::full("no")), vec![transient(), Why::diverged("other")]), 8);
        assert_eq!(code(Some(transient()), vec![config(), Why::paused("decide")]), 8);
    }
}
