//! Which state is meant: one stream's, or the global one.

use clap::Args;
use highwater::{LogReader, States, StreamName, StreamSpec};

use crate::failure::Failure;
use crate::known::Wanted;
use highwater_connect::text::tame;

/// Which state.
#[derive(Debug, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// The global state: that of all streams together
    #[arg(long, conflicts_with_all = ["stream", "namespace"])]
    pub(crate) global: bool,
}

/// A state's name; `None`: the global one.
pub(crate) type Name = Option<StreamName>;

impl Target {
    /// The one that is named; `None` if none is.
    pub(crate) fn find(&self, log: &LogReader) -> Result<Option<Name>, Failure> {
        if self.global {
            return Ok(Some(None));
        }
        Ok(self.wanted.find(log)?.map(|info| Some(info.name)))
    }

    /// The one that is named: it has to be.
    pub(crate) fn one(&self, log: &LogReader) -> Result<Name, Failure> {
        self.find(log)?.ok_or_else(|| Failure::usage("say which state: --stream NAME, or --global"))
    }
}

/// A state's text.
pub(crate) fn text(states: &States, name: &Name) -> Result<Option<String>, Failure> {
    let state = match name {
        None => states.global()?,
        Some(stream) => states.get_text(stream)?,
    };
    Ok(state.map(|state| state.text))
}

/// A stream of this name, with nothing known of it.
pub(crate) fn spec(name: &StreamName) -> StreamSpec {
    let spec = StreamSpec::new(&name.name);
    match &name.namespace {
        Some(namespace) => spec.namespace(namespace),
        None => spec,
    }
}

/// As it is called in messages and in what is kept of an operation.
pub(crate) fn describe(name: &Name) -> String {
    match name {
        None => "the global state".to_owned(),
        Some(stream) => tame(&stream.to_string()),
    }
}
