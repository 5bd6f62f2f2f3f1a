//! States of other tools, to go on where they stopped instead of reading everything again.
//!
//! | Format | What is read | Looked up in |
//! |---|---|---|
//! | Airbyte | the list of states that a source takes; STATE messages, a line each; a connection's state as the API (`/v1/state/get`) and the settings page show it: `stream`, `global`, `legacy` | protocol 0.18, platform API |
//! | Singer | a tap's state file; STATE messages, a line each | the specification |
//! | Meltano | `meltano state get`; a `state.json` of a file backend (`completed`, `partial`) | Meltano 4.4.1 |
//! | dlt | a pipeline's `state.json`, state engine version 4 | dlt 1.31 |
//! | Fivetran | `files/state.json` of the Connector SDK; the answer of `GET /v1/connections/{id}/state` | SDK 3.0, REST API v1 |
//!
//! What is not understood is refused, with the place. States are kept to the letter, but for dlt's marks of types
//! (`\u{f027}2026-11-26T...`), which no other program knows: what they mark stays, as text.

mod airbyte;
mod dlt;
mod fivetran;
pub(crate) mod object;
mod singer;
mod source;

use highwater::StreamName;

pub use self::source::check_source;
use crate::failure::{Failure, Result};

/// Whose state it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Airbyte's.
    Airbyte,
    /// A Singer tap's.
    Singer,
    /// Meltano's, around a Singer tap's.
    Meltano,
    /// dlt's.
    Dlt,
    /// Fivetran's.
    Fivetran,
}

impl Format {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Airbyte => "airbyte",
            Format::Singer => "singer",
            Format::Meltano => "meltano",
            Format::Dlt => "dlt",
            Format::Fivetran => "fivetran",
        }
    }
}

/// A state that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedState {
    /// Whose it is; `None`: that of all streams.
    pub stream: Option<StreamName>,
    /// JSON.
    pub text: String,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Never empty, each stream once.
    pub states: Vec<ImportedState>,
    /// What was left out, and why, for people.
    pub notes: Vec<String>,
}

/// Reads the text of a state file. `source` names one of several sources, where a file may hold several (dlt).
///
/// Fails with [`FailureKind::Config`](crate::FailureKind::Config) where it is not what the format says, with the place.
///
/// ```
/// use highwater_connect::import::{Format, parse};
/// let found = parse(Format::Meltano, r#"{"singer_state": {"bookmarks": {"users": {"id": 7}}}}"#, None)?;
/// assert_eq!(found.states[0].text, r#"{"bookmarks": {"users": {"id": 7}}}"#);
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
pub fn parse(format: Format, text: &str, source: Option<&str>) -> Result<Imported> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Failure::config("the file is empty"));
    }
    let imported = match format {
        Format::Airbyte => airbyte::parse(text),
        Format::Singer => singer::tap(text),
        Format::Meltano => singer::meltano(text),
        Format::Dlt => dlt::parse(text, source),
        Format::Fivetran => fivetran::parse(text),
    }?;
    if imported.states.is_empty() {
        return Err(Failure::config("there is no state in it"));
    }
    check_once(&imported.states)?;
    Ok(imported)
}

fn check_once(states: &[ImportedState]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match states.iter().find(|state| !seen.insert(&state.stream)) {
        None => Ok(()),
        Some(twice) => {
            let whose = twice.stream.as_ref().map_or("all streams".to_owned(), ToString::to_string);
            Err(Failure::config(format!("there are two states of {whose}")))
        }
    }
}

/// That of all streams.
fn global(text: &str) -> ImportedState {
    ImportedState { stream: None, text: text.to_owned() }
}

#[cfg(test)]
mod tests;
