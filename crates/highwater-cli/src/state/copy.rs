//! `highwater state copy`: from another log, an earlier checkpoint, or another stream.

use std::path::{Path, PathBuf};

use highwater::{ErrorKind, LogReader, Position, StreamInfo, StreamName, StreamSpec};
use highwater_connect::json_text as json;

use super::change::{NewState, Plan, Writing};
use super::target::{self, Name, Target};
use crate::failure::{Code, Failure};
use crate::known;
use crate::place;
use highwater_connect::airbyte::message::{self, StateKind};

const EXAMPLES: &str = "\
Examples:
  highwater copy-state new-shop.hw --from old-shop.hw --register --reason 'moved to this machine'
  highwater state copy shop.hw --stream users --to-stream people --reason renamed
  highwater state copy shop.hw --at 41 --stream users --reason 'as it was before the bad run'";

/// Copy states from another log, an earlier checkpoint, or another stream
///
/// A state that says itself whose it is (Airbyte's) gets the other name. `highwater copy-state` is the same as `highwater state copy`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Copy {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The log to copy from. Default: the same
    #[arg(long, value_name = "LOG")]
    from: Option<PathBuf>,
    /// The states as of this checkpoint of it: its number, its UUID, or a time (the last one committed by then)
    #[arg(long, value_name = "SEQ|ID|TIME")]
    at: Option<String>,
    /// Register streams that the log does not know, as the other log has them, and make the log if it is not there: a new one
    /// goes on where an old one stopped
    #[arg(long, requires = "from")]
    register: bool,
    #[command(flatten)]
    target: Target,
    /// The stream that gets the state. Default: the one of the same name
    #[arg(long, value_name = "NAME", requires = "stream")]
    to_stream: Option<String>,
    /// Its namespace
    #[arg(long, value_name = "NS", requires = "to_stream")]
    to_namespace: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

pub(crate) fn copy(args: &Copy) -> Result<Code, Failure> {
    let log = args.log()?;
    let from = args.from.as_ref().unwrap_or(&args.log);
    let (at, found) = args.read(from).map_err(|failure| failure.of_log(from))?;
    let ours = log.as_ref().map(LogReader::state).transpose()?;
    let mut register = Vec::new();
    let states = found.into_iter().map(|Found { name, text, theirs }| {
        let (name, text) = args.renamed(log.as_ref(), name, text)?;
        if let Some(stream) = &name {
            register.extend(args.unknown(log.as_ref(), stream, theirs)?);
        }
        let old = ours.as_ref().map_or(Ok(None), |ours| target::text(ours, &name))?;
        Ok(NewState { old, name, new: Some(text) })
    });
    let states = states.collect::<Result<Vec<_>, Failure>>()?;
    args.writing.write(Plan {
        path: &args.log,
        log: log.as_ref(),
        register,
        verb: "copy",
        states,
        from: at,
        // A log that is made for it has nothing that one might not want to lose.
        asks: log.is_some(),
    })
}

/// A state of the other log.
struct Found {
    name: Name,
    text: String,
    /// Its stream, as it is registered there.
    theirs: Option<StreamInfo>,
}

impl Copy {
    /// The log that gets the states; `None`: it is made.
    fn log(&self) -> Result<Option<LogReader>, Failure> {
        match known::open_if_there(&self.log)? {
            None if !self.register => {
                let text = format!("there is no log at {}", self.log.display());
                Err(Failure::not_found(text).hint("check the path; with --register a new log is made"))
            }
            log => Ok(log),
        }
    }

    fn read(&self, from: &Path) -> Result<(Option<Position>, Vec<Found>), Failure> {
        let other = known::open(from)?;
        let theirs = match &self.at {
            Some(at) => other.state_at(place::find(&other, at)?)?,
            None => other.state()?,
        };
        let texts: Vec<(Name, String)> = match self.target.find(&other)? {
            Some(name) => {
                let none =
                    || Failure::not_found(format!("there is no state of {} there", target::describe(&name)));
                let text = target::text(&theirs, &name)?.ok_or_else(none)?;
                vec![(name, text)]
            }
            None => {
                let global = theirs.global()?.map(|state| (None, state.text));
                let streams = super::of_sources(theirs.all()?).into_iter();
                global.into_iter().chain(streams.map(|(name, state)| (Some(name), state.text))).collect()
            }
        };
        let found = texts.into_iter().map(|(name, text)| {
            let theirs = name.as_ref().map(|name| other.find_stream(name)).transpose()?;
            Ok(Found { name, text, theirs })
        });
        Ok((theirs.position(), found.collect::<Result<_, Failure>>()?))
    }

    /// How a stream that the log does not know is registered, if that was asked for.
    fn unknown(
        &self,
        log: Option<&LogReader>,
        stream: &StreamName,
        theirs: Option<StreamInfo>,
    ) -> Result<Option<StreamSpec>, Failure> {
        let Some(log) = log else { return Ok(named(theirs, stream)) };
        match log.find_stream(stream) {
            Ok(_) => Ok(None),
            Err(error) if *error.kind() == ErrorKind::NotFound && self.register => Ok(named(theirs, stream)),
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                Err(Failure::from(error).hint("--register makes streams that the log does not know"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn renamed(&self, log: Option<&LogReader>, name: Name, text: String) -> Result<(Name, String), Failure> {
        let Some(stream) = &self.to_stream else { return Ok((name, text)) };
        let wanted = known::Wanted { stream: Some(stream.clone()), namespace: self.to_namespace.clone() };
        let known = log.map_or(Ok(None), |log| wanted.find(log));
        let to = match known {
            Ok(Some(info)) => info.name,
            Err(failure) if !(self.register && failure.is_not_found()) => return Err(failure),
            _ => StreamName { namespace: self.to_namespace.clone(), name: stream.clone() },
        };
        let text = match message::State::parse(&text) {
            Ok(state) if state.kind == StateKind::Stream => {
                json::merge(&text, &descriptor(&to)).map_err(Failure::error)?
            }
            _ => text,
        };
        Ok((Some(to), text))
    }
}

/// As the other log has it, under this name.
fn named(theirs: Option<StreamInfo>, name: &StreamName) -> Option<StreamSpec> {
    theirs.map(|info| with_schema(target::spec(name).key_paths(info.key), info.schema))
}

/// The patch that gives an Airbyte state another name.
fn descriptor(to: &StreamName) -> String {
    let descriptor = serde_json::json!({"name": to.name, "namespace": to.namespace});
    serde_json::json!({"stream": {"stream_descriptor": descriptor}}).to_string()
}

fn with_schema(spec: StreamSpec, schema: Option<String>) -> StreamSpec {
    match schema {
        Some(schema) => spec.schema(schema),
        None => spec,
    }
}
