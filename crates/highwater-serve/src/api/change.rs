//! Changing states by hand: what the command line does, by the same functions of the engine, and so with the same record of who
//! did it and why. Refused while a process writes the log, and when somebody was quicker.

use highwater::{Config, Log, LogReader, Operation, Position, Rewinding, Sequence, StreamName};
use highwater_connect::json_text::{self as json, Change};
use highwater_connect::text::tame;
use highwater_connect::{Place, Twice};
use serde::{Deserialize, Serialize};

use super::{App, Refused, check_stream, which};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rewind {
    /// The checkpoint whose states come back.
    to: To,
    /// Only this stream's state.
    stream: Option<String>,
    namespace: Option<String>,
    /// The last checkpoint when it was decided; needed to do it.
    expected: Option<u64>,
    by: String,
    reason: String,
    /// Only tell what it means.
    #[serde(default)]
    dry_run: bool,
}

/// A checkpoint by its number, or in the words that the command line takes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum To {
    Number(u64),
    Typed(String),
}

impl To {
    fn find(&self, log: &LogReader) -> Result<Sequence, Refused> {
        let typed = match self {
            To::Number(number) => return Ok(Sequence::new(*number)),
            To::Typed(typed) => typed,
        };
        let found = typed.parse::<Place>().map_err(Refused::question)?.find(log)?;
        found.ok_or_else(|| {
            Refused::new(404, "not_found", format!("the log keeps no checkpoint of {}", tame(typed)))
        })
    }
}

#[derive(Serialize)]
pub(crate) struct Rewound {
    /// Whether it happened, or only would.
    done: bool,
    /// The checkpoint that it is.
    sequence: Option<Sequence>,
    #[serde(flatten)]
    plan: Rewinding,
    /// What the destinations make of what is read again.
    twice: Vec<Twice>,
}

pub(crate) fn rewind(app: &App, asked: Rewind) -> Result<Rewound, Refused> {
    let only = asked.stream.map(|name| StreamName { namespace: asked.namespace, name });
    let log = app.log()?;
    refuse_ours(only.as_ref())?;
    check_stream(log, only.as_ref())?;
    log.refresh()?;
    let plan = log.plan_rewind(asked.to.find(log)?, only.as_ref())?;
    let again: Vec<_> = plan.again.iter().map(|tally| tally.stream.clone()).collect();
    let twice = highwater_connect::twice(log, app.subject.rules().as_ref(), &again)?;
    if asked.dry_run || plan.is_empty() {
        return Ok(Rewound { done: false, sequence: None, plan, twice });
    }
    check_expected(asked.expected, Some(plan.end))?;
    let made = write(app, |log| log.rewind(&plan, &asked.by, &asked.reason))?;
    Ok(Rewound { done: true, sequence: Some(made), plan, twice })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    stream: Option<String>,
    namespace: Option<String>,
    #[serde(default)]
    global: bool,
    /// The new state, as JSON text; `null` clears it.
    text: Option<String>,
    expected: Option<u64>,
    by: String,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
pub(crate) struct Done {
    done: bool,
    sequence: Option<Sequence>,
    /// The last checkpoint before it.
    end: Sequence,
    changes: Vec<Change>,
    /// The same for people: what was there, too.
    lines: Vec<String>,
}

pub(crate) fn set(app: &App, asked: Set) -> Result<Done, Refused> {
    let name = which(asked.stream, asked.namespace, asked.global)?;
    refuse_ours(name.as_ref())?;
    check_stream(app.log()?, name.as_ref())?;
    if let Some(text) = &asked.text {
        json::check(text).map_err(|e| Refused::question(format!("the state is not JSON: {e}")))?;
    }
    let states = app.log()?.state()?;
    let old = match &name {
        Some(name) => states.get_text(name)?,
        None => states.global()?,
    };
    let old = old.map(|state| state.text);
    let end = states.position();
    let changes = json::diff(old.as_deref(), asked.text.as_deref());
    let lines = changes.iter().map(Change::to_string).collect();
    let number = end.map_or(Sequence::NONE, |end| end.sequence);
    if asked.dry_run || old == asked.text {
        return Ok(Done { done: false, sequence: None, end: number, changes, lines });
    }
    check_expected(asked.expected, end)?;
    let described = name.as_ref().map_or("the global state".to_owned(), |name| tame(&name.to_string()));
    let verb = if asked.text.is_some() { "edit" } else { "clear" };
    let operation = Operation::new(format!("{verb} {described}"), asked.by, asked.reason).expecting(end);
    let operation = match (&name, asked.text) {
        (Some(name), Some(text)) => operation.set(name, text),
        (Some(name), None) => operation.clear(name),
        (None, Some(text)) => operation.set_global(text),
        (None, None) => operation.clear_global(),
    };
    let made = write(app, |log| log.operate(operation))?;
    Ok(Done { done: true, sequence: Some(made), end: number, changes, lines })
}

/// What the runtime keeps in the log for itself is not for a person to write: with another text no run can read it any more.
fn refuse_ours(name: Option<&StreamName>) -> Result<(), Refused> {
    match name {
        Some(name) if name.is_of_runtime() => Err(Refused::question(format!(
            "{} is the runtime's own, and not a source's: no hand may write it",
            tame(&name.to_string())
        ))),
        _ => Ok(()),
    }
}

/// Whoever decides has to say what they have seen.
fn check_expected(expected: Option<u64>, end: Option<Position>) -> Result<(), Refused> {
    let end = end.map_or(0, |end| end.sequence.get());
    match expected {
        None => Err(Refused::question("say what you have seen: expected=N, the log's last checkpoint")),
        Some(expected) if expected == end => Ok(()),
        Some(expected) => {
            let text =
                format!("checkpoint {expected} was the last when this was decided, and it is {end} now");
            Err(Refused::new(409, "outdated", text))
        }
    }
}

/// Opens the log for writing, which nobody else may do meanwhile.
fn write(
    app: &App,
    act: impl FnOnce(&Log) -> highwater::Result<highwater::Committed>,
) -> Result<Sequence, Refused> {
    let (log, _) = Log::open(&app.subject.log, Config { create: false, ..Config::default() })?;
    let made = act(&log)?;
    log.close()?;
    app.log()?.refresh()?;
    app.forget();
    Ok(made.sequence())
}
