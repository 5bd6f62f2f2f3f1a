//! Opening the pipeline that a command works on.

use std::path::Path;

use highwater_connect::Pipeline;

use crate::failure::Failure;
use crate::terminal;

/// Reads the file. What it takes from the environment or from secret files is shown to nobody from then on.
pub(crate) fn open(path: &Path) -> Result<Pipeline, Failure> {
    let pipeline = Pipeline::open(path)?;
    terminal::hide(pipeline.secrets());
    Ok(pipeline)
}
