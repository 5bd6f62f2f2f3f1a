//! Doing what a person may want to think about first: it is said what it means, it is asked, it is done, and told.

use highwater::{LogReader, Sequence};
use serde::Serialize;

use crate::ask;
use crate::failure::{Code, Failure};
use crate::output;

/// Whether and how it is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Doing {
    /// Only say what it means
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A checkpoint that a command makes, or would.
#[derive(Serialize)]
struct Json<'a, T> {
    /// Whether it happened, or only would.
    done: bool,
    /// The checkpoint that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
    #[serde(flatten)]
    plan: &'a T,
}

impl Doing {
    /// Whether it is only to be said what it means.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// Asks, where nobody has said --yes; whether it is to be done.
    pub(crate) fn is_wanted(&self, question: &str) -> Result<bool, Failure> {
        if self.dry_run {
            return Ok(false);
        }
        if !self.yes {
            ask::confirm(question)?;
        }
        Ok(true)
    }

    /// The same, where it takes the log for itself, if there is one yet: nobody is asked in vain.
    pub(crate) fn is_wanted_alone(&self, log: Option<&LogReader>, question: &str) -> Result<bool, Failure> {
        if !self.dry_run && !self.yes {
            log.map_or(Ok(()), refuse_beside_writer)?;
        }
        self.is_wanted(question)
    }

    /// What came of it: JSON, or the sentence, if there is one.
    pub(crate) fn print(&self, json: &impl Serialize, sentence: Option<&str>) -> Result<Code, Failure> {
        output::told(self.json, json, sentence)?;
        Ok(Code::Well)
    }

    /// The same of a checkpoint that was made, if it was.
    pub(crate) fn print_checkpoint(
        &self,
        plan: &impl Serialize,
        made: Option<Sequence>,
        what: &str,
    ) -> Result<Code, Failure> {
        let json = Json { done: made.is_some(), sequence: made, plan };
        let sentence = made.map(|made| format!("checkpoint {made}: {what}"));
        self.print(&json, sentence.as_deref())
    }
}

/// Before somebody is asked or given an editor in vain.
pub(crate) fn refuse_beside_writer(log: &LogReader) -> Result<(), Failure> {
    if !log.is_live()? {
        return Ok(());
    }
    Err(Failure::locked(format!("{} is being written by {}", log.path().display(), log.holder())))
}
