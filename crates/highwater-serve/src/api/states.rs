//! The history of one state, and what differs between two of its versions.

use highwater::{LogReader, OperationRecord, Sequence, StreamName};
use highwater_connect::json_text::{self as json, Change};
use serde::{Deserialize, Serialize};

use super::{App, Refused, check_stream, checkpoints, limit, which};

/// So much of a state is answered, in bytes: a page is for people.
const TEXT_MAX: usize = 256 << 10;

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    stream: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    global: bool,
    /// Only changes below this checkpoint.
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(crate) struct History {
    /// `null`: the global state.
    stream: Option<StreamName>,
    /// The newest first.
    entries: Vec<Entry>,
    /// There are older ones.
    more: bool,
    /// Older checkpoints are not known: pruned, or too many.
    known_from: u64,
}

/// A checkpoint that changed the state.
#[derive(Serialize)]
struct Entry {
    sequence: Sequence,
    time_us: i64,
    state: Option<Text>,
    operation: Option<OperationRecord>,
}

/// A state; `null` where it was cleared.
#[derive(Serialize)]
struct Text {
    /// Laid out for people.
    pretty: String,
    /// There is more of it.
    cut: bool,
}

pub(crate) fn history(app: &App, question: Question) -> Result<History, Refused> {
    let name = which(question.stream, question.namespace, question.global)?;
    let log = app.log()?;
    check_stream(log, name.as_ref())?;
    let limit = limit(question.limit)?;
    let first = log.first().get();
    let (mut found, from) = {
        let index = app.index();
        (index.changes(name.as_ref(), question.before.unwrap_or(u64::MAX), limit + 1), index.from)
    };
    found.retain(|sequence| *sequence >= first);
    let more = found.len() > limit;
    found.truncate(limit);
    let entries = found.into_iter().map(|sequence| entry(log, sequence, name.as_ref()));
    let entries = entries.collect::<Result<_, _>>()?;
    Ok(History { stream: name, entries, more, known_from: from.max(first) })
}

fn entry(log: &LogReader, sequence: u64, name: Option<&StreamName>) -> Result<Entry, Refused> {
    let checkpoint = checkpoints::read(log, sequence)?;
    Ok(Entry {
        sequence: checkpoint.sequence(),
        time_us: checkpoint.time_us(),
        state: checkpoint.state_text(name)?.map(|text| Text::of(&text)),
        operation: checkpoint.operation(),
    })
}

impl Text {
    fn of(text: &str) -> Text {
        let cut = text.len() > TEXT_MAX;
        let end = text.floor_char_boundary(TEXT_MAX.min(text.len()));
        let pretty = if cut { text[..end].to_owned() } else { json::pretty(text).trim_end().to_owned() };
        Text { pretty, cut }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Two {
    stream: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    global: bool,
    from: u64,
    to: u64,
}

#[derive(Serialize)]
pub(crate) struct Difference {
    stream: Option<StreamName>,
    from: Version,
    to: Version,
    /// What makes the one of the other: a JSON Patch, with what was there before.
    changes: Vec<Step>,
}

/// The state as it was at a checkpoint.
#[derive(Serialize)]
struct Version {
    sequence: u64,
    /// The checkpoint that had set it.
    since: Option<Sequence>,
    state: Option<Text>,
}

/// One step of a JSON Patch.
#[derive(Serialize)]
struct Step {
    #[serde(flatten)]
    patch: Change,
    /// As it reads.
    text: String,
}

pub(crate) fn difference(app: &App, two: Two) -> Result<Difference, Refused> {
    let name = which(two.stream, two.namespace, two.global)?;
    let log = app.log()?;
    check_stream(log, name.as_ref())?;
    let [old, new] = [two.from, two.to].map(|at| state_at(log, at, name.as_ref()));
    let (old, new) = (old?, new?);
    let text = |state: &Option<highwater::StateText>| state.as_ref().map(|state| state.text.clone());
    let changes = json::diff(text(&old).as_deref(), text(&new).as_deref());
    Ok(Difference {
        stream: name,
        from: Version::of(two.from, old),
        to: Version::of(two.to, new),
        changes: changes.into_iter().take(1000).map(Step::of).collect(),
    })
}

impl Version {
    fn of(sequence: u64, state: Option<highwater::StateText>) -> Version {
        let since = state.as_ref().map(|state| state.since);
        Version { sequence, since, state: state.map(|state| Text::of(&state.text)) }
    }
}

impl Step {
    fn of(patch: Change) -> Step {
        Step { text: patch.to_string(), patch }
    }
}

/// A state as it was; 0: before the first checkpoint.
fn state_at(
    log: &LogReader,
    sequence: u64,
    name: Option<&StreamName>,
) -> Result<Option<highwater::StateText>, Refused> {
    if sequence == 0 {
        return Ok(None);
    }
    let states = log.state_at(Sequence::new(sequence))?;
    Ok(match name {
        Some(name) => states.get_text(name)?,
        None => states.global()?,
    })
}
