//! `highwater state copy`: from another log, an earlier checkpoint, or another stream.

use std::path::PathBuf;

use highwater::{ErrorKind, LogReader, Sequence, StreamName, StreamSpec};
use highwater_connect::json_text as json;

use super::change::{NewState, Plan, Writing};
use super::target::{self, Name, Target};
use crate::failure::{Code, Failure};
use crate::known;
use highwater_connect::airbyte::message::{self, StateKind};

const EXAMPLES: &str = "\
Examples:
  highwater state copy shop.hw --from old-shop.hw --register --reason 'moved to this machine'
  highwater state copy shop.hw --stream users --to-stream people --reason renamed
  highwater state copy shop.hw --at 41 --stream users --reason 'as it was before the bad run'";

/// Copy states from another log, an earlier checkpoint, or another stream
///
/// A state that says itself whose it is (Airbyte's) gets the other name.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Copy {
    /// The log's directory
    pub(crate) log: PathBuf,
    /// The log to copy from. Default: the same
    #[arg(long, value_name = "LOG")]
    from: Option<PathBuf>,
    /// The states as of this checkpoint of it
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
    /// Register streams that the log does not know, as the other log has them: a new log goes on where an old one stopped
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
    let log = known::open(&args.log)?;
    let from = args.from.as_ref().unwrap_or(&args.log);
    let other = known::open(from).map_err(|failure| failure.of_log(from))?;
    let of_other = |error: highwater::Error| Failure::from(error).of_log(from);
    let theirs = match args.at {
        Some(at) => other.state_at(Sequence::new(at)).map_err(of_other)?,
        None => other.state().map_err(of_other)?,
    };
    let wanted = args.target.find(&other).map_err(|failure| failure.of_log(from))?;
    let found: Vec<(Name, String)> = match wanted {
        Some(name) => {
            let text = target::text(&theirs, &name)?;
            let none =
                || Failure::not_found(format!("there is no state of {} there", target::describe(&name)));
            vec![(name.clone(), text.ok_or_else(none)?)]
        }
        None => {
            let global = theirs.global()?.map(|state| (None, state.text));
            let streams =
                super::of_sources(theirs.all()?).into_iter().map(|(name, state)| (Some(name), state.text));
            global.into_iter().chain(streams).collect()
        }
    };
    let ours = log.state()?;
    let mut register = Vec::new();
    let states = found.into_iter().map(|(name, text)| {
        let (name, text) = args.renamed(&log, name, text)?;
        if let Some(stream) = &name {
            register.extend(args.unknown(&log, &other, stream)?);
        }
        Ok(NewState { old: target::text(&ours, &name)?, name, new: Some(text) })
    });
    let states = states.collect::<Result<Vec<_>, Failure>>()?;
    let from = theirs.position();
    args.writing.write(Plan { register, from, ..Plan::on(&args.log, &log, "copy", states) })
}

impl Copy {
    /// How a stream that the log does not know is registered, if that was asked for.
    fn unknown(
        &self,
        log: &LogReader,
        other: &LogReader,
        stream: &StreamName,
    ) -> Result<Option<StreamSpec>, Failure> {
        match log.find_stream(stream) {
            Ok(_) => Ok(None),
            Err(error) if *error.kind() == ErrorKind::NotFound && self.register => {
                let info = other.find_stream(stream)?;
                Ok(Some(with_schema(target::spec(&info.name).key_paths(info.key), info.schema)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn renamed(&self, log: &LogReader, name: Name, text: String) -> Result<(Name, String), Failure> {
        let Some(stream) = &self.to_stream else { return Ok((name, text)) };
        let wanted = known::Wanted { stream: Some(stream.clone()), namespace: self.to_namespace.clone() };
        let Some(to) = wanted.find(log)?.map(|info| info.name) else { return Ok((name, text)) };
        let text = match message::State::parse(&text) {
            Ok(state) if state.kind == StateKind::Stream => {
                json::merge(&text, &descriptor(&to)).map_err(Failure::error)?
            }
            _ => text,
        };
        Ok((Some(to), text))
    }
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
