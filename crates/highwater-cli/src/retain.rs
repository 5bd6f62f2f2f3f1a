//! The options that say which checkpoints are to stay as they are.

use std::time::Duration;

use highwater::Retention;
use highwater_connect::quantity;

/// For commands that remove or rewrite, and for those that say what would happen then.
#[derive(Debug, clap::Args)]
pub(crate) struct Retain {
    /// So many of the newest checkpoints stay as they are, at least
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_count: u64,
    /// Every checkpoint younger than this stays as it is, like 7d, 12h or 30m
    #[arg(long, value_name = "D", value_parser = quantity::duration, default_value = "0s", hide_default_value = true)]
    min_age: Duration,
}

impl Retain {
    /// The rule for the engine.
    pub(crate) fn rule(&self) -> Retention {
        Retention { min_count: self.min_count, min_age: self.min_age }
    }
}
