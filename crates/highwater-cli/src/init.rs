//! `highwater init`: a pipeline file to begin with.

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Code, Failure};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater init pipeline.toml
  highwater init pipeline.toml && highwater check pipeline.toml";

/// What is written. A test reads it, with each of its blocks switched on.
const TEMPLATE: &str = include_str!("init.toml");

/// Write a pipeline file with comments, to begin with
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file to write, which must not be there
    #[arg(default_value = "pipeline.toml")]
    pipeline: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let path = &args.pipeline;
    let made = std::fs::File::options().write(true).create_new(true).open(path);
    if made.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists) {
        let text = format!("{} is there already, and is left as it is", path.display());
        return Err(Failure::error(text).hint("highwater init NAME.toml    writes another file"));
    }
    let written = made.and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    written.map_err(|e| Failure::io(format!("writing {}", path.display()), &e))?;
    terminal::say(format!("wrote {}; next: highwater check {}", path.display(), path.display()));
    Ok(Code::Well)
}

#[cfg(test)]
mod tests;
