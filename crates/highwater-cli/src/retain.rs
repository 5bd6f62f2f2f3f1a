//! Which checkpoints are to stay as they are: as the command line says, or else the log's pipeline.

use std::path::Path;
use std::time::Duration;

use highwater::Retention;
use highwater_connect::quantity::{self, count, time};

use crate::failure::Failure;
use crate::given;
use crate::terminal;

/// For commands that remove or rewrite, and for those that say what would happen then.
#[derive(Debug, clap::Args)]
pub(crate) struct Retain {
    /// So many of the newest checkpoints stay as they are, at least. Default: as the pipeline says; of a log without one, 1
    #[arg(long, value_name = "N")]
    min_count: Option<u64>,
    /// Every checkpoint younger than this stays as it is, like 7d, 12h or 1h30m. Default: as the pipeline says; of a log without one, 0s
    #[arg(long, value_name = "D", value_parser = quantity::duration)]
    min_age: Option<Duration>,
}

impl Retain {
    /// The rule for the engine. What the command line leaves open is what the log's pipeline says, which is told; and so is it when less
    /// is to be kept than that.
    pub(crate) fn rule(&self, typed: &Path) -> Result<Retention, Failure> {
        let rules = match given::rules(typed) {
            // Both are said, so nobody has to know.
            Err(_) if self.min_count.is_some() && self.min_age.is_some() => None,
            Err(failure) => return Err(failure.hint("highwater prune PIPELINE --min-count N --min-age D")),
            Ok(rules) => rules,
        };
        let Some(rules) = rules else { return Ok(self.over(Retention::default())) };
        let of_pipeline = rules.retention();
        let rule = self.over(of_pipeline);
        let pipeline = format!("pipeline {} keeps {}", rules.pipeline, describe(&of_pipeline));
        if rule.min_count < of_pipeline.min_count || rule.min_age < of_pipeline.min_age {
            terminal::warning(format!("{pipeline}; here it is less: {}", describe(&rule)));
        } else {
            terminal::note(pipeline);
        }
        Ok(rule)
    }

    fn over(&self, default: Retention) -> Retention {
        Retention {
            min_count: self.min_count.unwrap_or(default.min_count),
            min_age: self.min_age.unwrap_or(default.min_age),
        }
    }
}

fn describe(rule: &Retention) -> String {
    let newest = match rule.min_count {
        0 | 1 => "the newest checkpoint".to_owned(),
        n => format!("the newest {} checkpoints", count(n)),
    };
    if rule.min_age.is_zero() {
        newest
    } else {
        format!("{newest}, and those younger than {}", time(rule.min_age))
    }
}
