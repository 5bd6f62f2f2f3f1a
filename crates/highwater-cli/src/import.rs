//! `highwater import`: states of other tools.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use highwater::LogReader;
use highwater_connect::import::{self, Format, ImportedState};
use highwater_connect::text::tame;

use crate::failure::{Code, Failure};
use crate::given;
use crate::known;
use crate::state::{NewState, Plan, Writing, target};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater import shop.hw state.json --from airbyte --reason 'moved from the platform' --dry-run
  meltano state get prod:tap-postgres-to-target-x | highwater import shop.hw - --from meltano --reason 'moved here'
  highwater import shop.hw ~/.dlt/pipelines/shop/state.json --from dlt --source shop --reason 'moved here'

airbyte: the list of states that a source takes, STATE messages a line each, or a connection's state as the platform shows it.
singer: a tap's state file (with \"bookmarks\"), or STATE messages. meltano: what `meltano state get` prints, or a state.json of a file backend.
dlt: a pipeline's state.json (engine version 4): a state per resource. fivetran: files/state.json of the Connector SDK, or what the
API answers. What is not understood is refused, with its place, and with a pipeline file what its source can't go on from: a source of type
airbyte takes airbyte's states, singer those of singer, meltano and fivetran. A log that is not there yet is made.";

/// Take over the states of another tool, so that nothing is read again that it has read
///
/// The states become a checkpoint, which says who did it and why. Streams that the log does not know are registered without a key;
/// the first run gives them theirs. With a [lookback], a run goes back behind them only once they are older than its window.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    /// The state's file; - for standard input
    file: PathBuf,
    /// The tool that it comes from
    #[arg(long, value_enum)]
    from: Tool,
    /// Which source, where the file holds several (dlt)
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    writing: Writing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    Airbyte,
    Singer,
    Meltano,
    Dlt,
    Fivetran,
}

impl Tool {
    fn format(self) -> Format {
        match self {
            Tool::Airbyte => Format::Airbyte,
            Tool::Singer => Format::Singer,
            Tool::Meltano => Format::Meltano,
            Tool::Dlt => Format::Dlt,
            Tool::Fivetran => Format::Fivetran,
        }
    }
}

/// No state file is longer, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    if let Some(pipeline) = given::pipeline(&args.log)? {
        import::check_source(&pipeline, args.from.format())
            .map_err(|failure| Failure::usage(failure.to_string()))?;
    }
    let text = read(&args.file)?;
    let found = import::parse(args.from.format(), &text, args.source.as_deref())
        .map_err(|failure| Failure::error(format!("{}: {failure}", args.file.display())))?;
    found.notes.iter().for_each(|note| terminal::note(tame(note)));
    let log = known::open_if_there(&args.log)?;
    let mut register = Vec::new();
    let mut states = Vec::new();
    for ImportedState { stream, text } in found.states {
        if let Some(name) = stream.as_ref().filter(|name| !knows(log.as_ref(), name)) {
            register.push(target::spec(name));
        }
        let old = match &log {
            Some(log) => target::text(&log.state()?, &stream)?,
            None => None,
        };
        states.push(NewState { name: stream, old, new: Some(text) });
    }
    let plan = Plan {
        path: &args.log,
        log: log.as_ref(),
        register,
        verb: "import",
        states,
        from: None,
        // A log that has states has a source that goes on from them.
        asks: log.is_some(),
    };
    args.writing.write(plan)
}

fn knows(log: Option<&LogReader>, name: &highwater::StreamName) -> bool {
    log.is_some_and(|log| log.find_stream(name).is_ok())
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let mut text = String::new();
    let reading = if path.as_os_str() == "-" {
        std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    reading.map_err(|e| Failure::io(format!("reading {}", path.display()), &e))?;
    Ok(text)
}
