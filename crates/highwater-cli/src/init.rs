//! `highwater init`: a pipeline file to begin with.

use std::io::Write;
use std::path::PathBuf;

use crate::failure::{Code, Failure};
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater init pipeline.toml
  highwater init pipeline.toml && highwater check pipeline.toml";

/// What is written. It is a pipeline file that a test reads.
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
    let written = made.and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    written.map_err(|e| Failure::io(format!("writing {}", path.display()), &e))?;
    terminal::say(format!("wrote {}; next: highwater check {}", path.display(), path.display()));
    Ok(Code::Well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_connect::event::Reporter;
    use highwater_connect::{Pipeline, Stop};
    use std::path::Path;

    #[test]
    fn the_template_is_a_pipeline_file() {
        let pipeline = Pipeline::parse(TEMPLATE, Path::new("/base")).unwrap();
        assert!(pipeline.streams().unwrap().is_empty());
        for name in pipeline.destination_names() {
            let (_, section) = pipeline.destination(name).unwrap();
            let (reporter, stop) = (Reporter::silent(), Stop::default());
            highwater_connect::runtime::destination(&pipeline, name, section, &reporter, &stop).unwrap();
        }
        let mut source = pipeline.source();
        assert_eq!(source.needed_text("type").unwrap(), "airbyte");
        highwater_connect::airbyte::Settings::read(source).unwrap();
    }
}
