//! Which sources can go on from whose states.

use super::Format;
use crate::failure::{Failure, Result};
use crate::pipeline::Pipeline;

/// Fails with [`FailureKind::Config`](crate::FailureKind::Config) where the pipeline's source can't go on from states of this format.
pub fn check_source(pipeline: &Pipeline, format: Format) -> Result<()> {
    let of_type = pipeline.source().needed_text("type")?;
    let takes: &[Format] = match of_type.as_str() {
        "airbyte" => &[Format::Airbyte],
        // One for all streams, in which a tap finds what it likes; of dlt's a stream has its own.
        "singer" => &[Format::Singer, Format::Meltano, Format::Fivetran],
        // Their states are of our making.
        _ => &[],
    };
    if takes.contains(&format) {
        return Ok(());
    }
    let takes: Vec<&str> = takes.iter().map(|format| format.name()).collect();
    let takes = if takes.is_empty() {
        "none but its own".to_owned()
    } else {
        format!("those of {}", takes.join(", "))
    };
    Err(Failure::config(format!(
        "the pipeline's source, of type {of_type}, can't go on from states of {}: it takes {takes}",
        format.name()
    )))
}
