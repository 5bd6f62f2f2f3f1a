//! The next command to run: of all that is not well, what a person has to do first.

use std::path::Path;

use highwater_connect::Pipeline;
use highwater_connect::quantity::timestamp;

use super::{Destination, Report};
use crate::failure::quoted;

/// How the last attempt to read the source ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It is under way, was killed, was stopped, or came to its end.
    Well,
    /// It may go well the next time.
    MayGoWell,
    /// Something has to be mended first.
    Failed,
    Paused,
    Full,
}

/// In one line.
pub(super) fn command(report: &Report, given: &Path, pipeline: Option<&Pipeline>) -> String {
    match pipeline {
        Some(pipeline) => of_pipeline(report, &quoted(given), pipeline),
        None => of_log(report, &quoted(given)),
    }
}

fn of_pipeline(report: &Report, file: &str, pipeline: &Pipeline) -> String {
    let (is_live, source) = (report.holder.is_some(), report.source());
    let waits_at_cap = report.at_cap && is_live && report.latest().is_some();
    if let Some(diverged) = report.diverged() {
        return diverged_text(report, diverged);
    }
    if let Some((destination, _)) = report.troubled().filter(|(_, trouble)| trouble.kind == "diverged") {
        let name = &destination.consumer.name;
        return format!(
            "take out of {name} what is not of this log, then highwater run {file} --resume hard"
        );
    }
    match source {
        Source::Paused => return format!("highwater schema diff {file}"),
        Source::Full => return make_room(report, file, pipeline),
        Source::Failed if !is_live => return format!("highwater check {file}"),
        _ if waits_at_cap => return make_room(report, file, pipeline),
        _ => {}
    }
    if let Some((destination, trouble)) = report.troubled() {
        let name = &destination.consumer.name;
        return match trouble.next_us {
            _ if !is_live => format!("highwater check {file}, then highwater run {file}"),
            Some(at) => format!("highwater check {file}; {name} is tried again {}", timestamp(at)),
            None => format!("highwater check {file}, then highwater deliver {file} --only {name}"),
        };
    }
    match source {
        Source::MayGoWell | Source::Well if !is_live && report.lacks_something() => {
            format!("highwater run {file}")
        }
        _ if report.has_letters() => format!("highwater dead-letters list {file}"),
        Source::Failed | Source::MayGoWell if is_live => "nothing: the source is tried again".to_owned(),
        _ if is_live => "nothing: it is at work".to_owned(),
        _ => format!("nothing: all is read and delivered; highwater run {file} looks for more"),
    }
}

/// Of a log alone nobody knows what writes it.
fn of_log(report: &Report, log: &str) -> String {
    if let Some(diverged) = report.diverged() {
        return diverged_text(report, diverged);
    }
    match (report.source(), &report.holder) {
        _ if report.troubled().is_some() => format!("highwater consumer list {log}, and mend what failed"),
        (Source::Failed | Source::Paused | Source::Full | Source::MayGoWell, None) => {
            format!("highwater runs {log}")
        }
        (_, Some(_)) => "nothing: it is at work".to_owned(),
        (_, None) => match report.latest() {
            Some(late) => format!("start what delivers to {}: nobody does", late.consumer.name),
            None if report.consumers.is_empty() => format!("highwater info {log}"),
            None if report.has_letters() => format!("highwater dead-letters list {log}"),
            None => "nothing: every consumer has everything".to_owned(),
        },
    }
}

/// It depends on who holds the oldest checkpoint.
fn make_room(report: &Report, file: &str, pipeline: &Pipeline) -> String {
    let Some(late) = report.latest().filter(|late| report.holds_space(late)) else {
        return format!("raise storage.max_size in {file}: what is kept fills it; then highwater run {file}");
    };
    let name = &late.consumer.name;
    if !pipeline.destination_names().any(|known| known == name) {
        return format!(
            "highwater consumer drop {} {name} --dry-run, or start what reads it",
            quoted(&report.log)
        );
    }
    let check = if late.trouble.is_some() { format!("highwater check {file}, then ") } else { String::new() };
    format!("{check}highwater deliver {file} --only {name} --until-end")
}

fn diverged_text(report: &Report, diverged: &Destination) -> String {
    let (log, name) = (quoted(&report.log), &diverged.consumer.name);
    let end = report.status.end.map_or(0, |end| end.sequence.get());
    format!(
        "take out of {name} what is not of this log, then highwater consumer seek {log} {name} --to {end} --reason WHY"
    )
}

impl Report {
    fn source(&self) -> Source {
        let end = self.last_attempt.as_ref().and_then(|attempt| attempt.end.as_ref());
        match end.map(|end| end.outcome.as_str()) {
            None | Some("complete" | "stopped" | "cancelled") => Source::Well,
            Some("transient" | "rate_limit") => Source::MayGoWell,
            Some("paused") => Source::Paused,
            Some("full") => Source::Full,
            Some(_) => Source::Failed,
        }
    }

    /// The consumer that lacks most.
    fn latest(&self) -> Option<&Destination> {
        let late = self.consumers.iter().filter(|destination| destination.consumer.lag_checkpoints > 0);
        late.min_by_key(|destination| destination.consumer.acknowledged)
    }

    /// How the last attempt ended is itself a checkpoint behind what it brought, and holds next to nothing.
    fn holds_space(&self, late: &Destination) -> bool {
        let end = self.last_attempt.as_ref().and_then(|attempt| attempt.end.as_ref());
        end.is_none_or(|end| late.consumer.acknowledged < end.last)
    }

    fn troubled(&self) -> Option<(&Destination, &highwater_connect::runtime::Trouble)> {
        self.consumers.iter().find_map(|destination| Some((destination, destination.trouble.as_ref()?)))
    }

    fn diverged(&self) -> Option<&Destination> {
        self.consumers.iter().find(|destination| destination.consumer.diverged)
    }

    fn has_letters(&self) -> bool {
        self.consumers.iter().any(|destination| destination.dead_letters > 0)
    }

    fn lacks_something(&self) -> bool {
        !self.sync_ended
            || self.source() == Source::MayGoWell
            || !self.not_begun.is_empty()
            || self.latest().is_some()
    }
}
