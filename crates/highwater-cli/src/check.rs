//! `highwater check`: whether a pipeline file makes sense, and its parts answer.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_connect::event::Reporter;
use highwater_connect::quantity::{plural, timestamp};
use highwater_connect::runtime::{self, Checked, Found, Holding, Part, Trouble, TroubleFile};
use highwater_connect::text::tame;
use highwater_connect::{FailureKind, Pipeline};
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::run::{Watcher, listening, shown};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater check pipeline.toml
  highwater check pipeline.toml --offline        the file and its variables only
  highwater check pipeline.toml --json | jq '.parts[] | select(.well | not)'

Exit codes: 2 where the file is wrong, else 8 where a destination holds something else than the log, else 9 where the source fails,
else 10 where a destination does.";

/// Check a pipeline file, its variables, its source and its destinations
///
/// The source is asked whether it can work with its configuration, and which streams and columns it has; a destination is asked what
/// it holds, for which it may make its directory or its own tables. All are asked, whatever the others say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// Ask neither the source nor the destinations
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    let watcher = Arc::new(Watcher::start(false));
    let reporter = Reporter::new(watcher, pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let checked = runtime::check(&pipeline, args.offline, &reporter, &stop);
    if stop.is_asked() {
        return Err(Failure::with_code(Code::TryAgain, "stopped on request"));
    }
    let code = code_of(&checked);
    if args.json {
        let parts = checked.iter().map(|one| PartJson::new(one, &pipeline, &reporter)).collect();
        output::json(Json { pipeline: &pipeline.name, well: code == Code::Well, parts })?;
        return Ok(code);
    }
    if checked.iter().all(|one| one.is_asked || one.found.is_ok()) {
        terminal::say(format!("{}: well-formed, and every variable has a value", shown(&args.pipeline)));
    }
    checked.iter().for_each(|one| say(one, &pipeline, &reporter));
    Ok(code)
}

/// Why a destination that will do now, as far as it can be asked, was given up.
fn recorded(checked: &Checked, pipeline: &Pipeline) -> Option<Trouble> {
    let (Part::Destination(name), Ok(Found::Destination(_))) = (&checked.part, &checked.found) else {
        return None;
    };
    TroubleFile::new(&pipeline.work, name).current().filter(|trouble| trouble.next_us.is_none()).cloned()
}

fn say(checked: &Checked, pipeline: &Pipeline, reporter: &Reporter) {
    let of = match &checked.part {
        Part::Destination(name) => format!("destination {name}"),
        Part::File | Part::Source => "source".to_owned(),
    };
    match &checked.found {
        Ok(Found::Written) => {}
        Ok(Found::Source { streams, notes }) => {
            let streams = plural(*streams as u64, "stream");
            terminal::say(format!("{of}: works with its configuration, and has {streams} to read"));
            notes.iter().for_each(|note| terminal::say(format!("{of}: {}", reporter.shown(note))));
        }
        Ok(Found::Destination(holding)) => {
            terminal::say(format!("{of}: {holding}"));
            if let Some(trouble) = recorded(checked, pipeline) {
                let (at, text) = (timestamp(trouble.last_us), tame(&trouble.text));
                terminal::warning(format!(
                    "{of}: it was given up {at}, which only a run can find mended: {text}"
                ));
            }
        }
        Err(failure) => {
            let text = reporter.shown(&failure.to_string());
            // What is wrong in the file says where by itself.
            terminal::error(if checked.is_asked { format!("{of}: {text}") } else { text });
        }
    }
}

/// What a person has to see to first: the file, then what they have to decide, then what nothing comes from.
fn code_of(all: &[Checked]) -> Code {
    let is_any = |what: &dyn Fn(&Checked, FailureKind) -> bool| {
        all.iter().any(|one| one.found.as_ref().is_err_and(|failure| what(one, failure.kind())))
    };
    if is_any(&|one, _| !one.is_asked) {
        Code::Usage
    } else if is_any(&|_, kind| matches!(kind, FailureKind::Diverged | FailureKind::Paused)) {
        Code::Paused
    } else if is_any(&|one, _| one.part == Part::Source) {
        Code::SourceFailed
    } else if is_any(&|_, _| true) {
        Code::DestinationFailed
    } else {
        Code::Well
    }
}

#[derive(Serialize)]
struct Json<'a> {
    pipeline: &'a str,
    well: bool,
    parts: Vec<PartJson<'a>>,
}

#[derive(Serialize)]
struct PartJson<'a> {
    part: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    well: bool,
    /// Whether it was asked; what is wrong with one that was not is in the file.
    asked: bool,
    /// Of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<usize>,
    /// Of a source: what else is worth knowing of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// The last checkpoint that a destination holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<highwater::Sequence>,
    /// A destination has nothing of what it had acknowledged, and gets it again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Why a destination was given up that is well as far as it can be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

impl<'a> PartJson<'a> {
    fn new(checked: &'a Checked, pipeline: &Pipeline, reporter: &Reporter) -> Self {
        let (part, name) = match &checked.part {
            Part::File => ("file", None),
            Part::Source => ("source", None),
            Part::Destination(name) => ("destination", Some(name.as_str())),
        };
        let failure = checked.found.as_ref().err();
        let (mut streams, mut notes, mut holds, mut lost) = (None, Vec::new(), None, false);
        match &checked.found {
            Ok(Found::Source { streams: count, notes: told }) => {
                streams = Some(*count);
                notes.extend(told.iter().map(|note| reporter.shown(note)));
            }
            Ok(Found::Destination(Holding::UpTo(position))) => holds = Some(position.sequence),
            Ok(Found::Destination(Holding::Lost { .. })) => lost = true,
            _ => {}
        }
        PartJson {
            part,
            name,
            well: failure.is_none(),
            asked: checked.is_asked,
            streams,
            notes,
            holds,
            lost,
            kind: failure.map(|failure| failure.kind().name()),
            text: failure.map(|failure| reporter.shown(&failure.to_string())),
            trouble: recorded(checked, pipeline),
        }
    }
}
