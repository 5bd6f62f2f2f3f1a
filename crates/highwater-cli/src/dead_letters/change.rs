//! `highwater dead-letters retry` and `drop`: what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater::ErrorKind;
use highwater_connect::event::Reporter;
use highwater_connect::letters::Letter;
use highwater_connect::quantity::plural;
use highwater_connect::runtime;
use highwater_connect::text::tame;
use serde::Serialize;

use super::{Mail, Of, Which};
use crate::by::By;
use crate::doing::Doing;
use crate::failure::{Code, Failure};
use crate::known;
use crate::run::{Watcher, listening};
use crate::terminal;

/// Give dead letters to their destination again
///
/// What it takes now goes from the dead letters, in such a way that nothing is applied twice. Where a newer record of the same key
/// has arrived meanwhile, nothing is changed and the letter goes. What it refuses again stays, and the exit code is 10. It needs the
/// pipeline file, and nobody may deliver to the destination meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    doing: Doing,
}

/// Drop dead letters for good: the destination never gets them
#[derive(Debug, clap::Args)]
pub(crate) struct Drop {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    doing: Doing,
}

#[derive(Default, Serialize)]
struct Json {
    done: bool,
    destination: String,
    numbers: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
}

impl Json {
    /// Nothing is done yet.
    fn of(mail: &Mail, wanted: &BTreeMap<u64, Letter>) -> Self {
        let (destination, numbers) = (mail.destination.clone(), wanted.keys().copied().collect());
        Json { destination, numbers, ..Json::default() }
    }
}

/// So many letters are shown before somebody is asked.
const SHOWN_MAX: usize = 10;

/// Says what is meant, and asks; whether it is to be done.
fn begin(
    mail: &Mail,
    wanted: &BTreeMap<u64, Letter>,
    doing: &Doing,
    question: &str,
) -> Result<bool, Failure> {
    let letters = plural(wanted.len() as u64, "dead letter");
    terminal::say(format!("{} of destination {}:", letters, tame(&mail.destination)));
    for letter in wanted.values().take(SHOWN_MAX) {
        let (stream, reason) = (tame(&letter.stream.to_string()), tame(&letter.reason));
        terminal::say(format!("  {}: {stream}, checkpoint {}: {reason}", letter.number, letter.sequence()));
    }
    if wanted.len() > SHOWN_MAX {
        terminal::say(format!("  and {} more", wanted.len() - SHOWN_MAX));
    }
    doing.is_wanted(question)
}

pub(super) fn retry(args: &Retry) -> Result<Code, Failure> {
    let mail = args.of.one()?;
    let wanted = args.which.choose(&mail)?;
    let mut told = Json::of(&mail, &wanted);
    if args.of.pipeline.is_dir() {
        return Err(Failure::usage(
            "the destination is described in the pipeline file: name that, not the log",
        ));
    }
    let pipeline = known::pipeline(&args.of.pipeline)?;
    if !begin(&mail, &wanted, &args.doing, "Give them to the destination again?")? {
        return args.doing.print(&told, None);
    }
    let reporter = Reporter::new(Arc::new(Watcher::start(false)), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let tried = runtime::second_try(&pipeline, &mail.destination, &wanted, &reporter, &stop);
    let tried = tried.map_err(|failure| failed(&mail.destination, failure))?;
    told.done = true;
    (told.taken, told.superseded, told.refused) =
        (Some(tried.taken), Some(tried.superseded), Some(tried.refused));
    let sentence = format!(
        "{} taken, {} had been overtaken by newer ones, {} refused again",
        tried.taken, tried.superseded, tried.refused
    );
    args.doing.print(&told, Some(&sentence))?;
    Ok(if tried.refused > 0 { Code::DestinationFailed } else { Code::Well })
}

fn failed(destination: &str, failure: highwater_connect::Failure) -> Failure {
    if failure.log_error().is_some_and(|error| *error.kind() == ErrorKind::ConsumerBusy) {
        return Failure::locked(format!("somebody delivers to destination {} now", tame(destination)));
    }
    failure.into()
}

pub(super) fn drop_letters(args: &Drop) -> Result<Code, Failure> {
    let mail = args.of.one()?;
    let wanted = args.which.choose(&mail)?;
    let mut told = Json::of(&mail, &wanted);
    if !begin(&mail, &wanted, &args.doing, "Drop them?")? {
        return args.doing.print(&told, None);
    }
    let mut open = mail.store.open()?;
    for letter in wanted.values() {
        open.remove(letter)?;
    }
    let who = args.by.who();
    open.commit(&[("action", "dropped"), ("who", who.as_str()), ("why", args.by.reason.as_str())])?;
    open.tidy()?;
    told.done = true;
    let sentence = format!("{} dropped", plural(wanted.len() as u64, "dead letter"));
    args.doing.print(&told, Some(&sentence))
}
