//! What a command line names: a log's directory, or a pipeline file, which stands for its log.

use std::path::{Path, PathBuf};

use highwater_connect::Pipeline;
use highwater_connect::rules::Rules;

use crate::failure::Failure;
use crate::terminal;

/// The pipeline, where its file is named.
pub(crate) fn pipeline(typed: &Path) -> Result<Option<Pipeline>, Failure> {
    if !typed.is_file() {
        return Ok(None);
    }
    let no_pipeline = |failure| {
        Failure::usage(format!("a log is a directory, and a file has to be a pipeline's: {failure}"))
            .hint("ls -la PIPELINE")
    };
    let pipeline = Pipeline::open(typed).map_err(no_pipeline)?;
    terminal::hide(pipeline.secrets());
    Ok(Some(pipeline))
}

/// The log's directory.
pub(crate) fn directory(typed: &Path) -> Result<PathBuf, Failure> {
    Ok(pipeline(typed)?.map_or_else(|| typed.to_owned(), |pipeline| pipeline.log))
}

/// What the log's pipeline says about it: its file, where that is named, or else what its last run has written down. `None`: no
/// pipeline is known.
pub(crate) fn rules(typed: &Path) -> Result<Option<Rules>, Failure> {
    match pipeline(typed)? {
        Some(pipeline) => Ok(Some(Rules::of(&pipeline)?)),
        None => Ok(Rules::beside(typed)?),
    }
}
