//! The next command to run: questions in order, from what is worst to what is well. The first that has an answer gives it.

use std::path::Path;

use highwater_connect::Pipeline;
use highwater_connect::quantity::timestamp;

use super::facts::Source;
use super::{Destination, Report};
use crate::failure::quoted;

/// In one line.
pub(super) fn command(report: &Report, given: &Path, pipeline: Option<&Pipeline>) -> String {
    let asked = Asked { report, file: quoted(given), log: quoted(&report.log) };
    let questions = if pipeline.is_some() { Asked::OF_A_PIPELINE } else { Asked::OF_A_LOG };
    questions.iter().find_map(|question| question(&asked)).unwrap_or_else(|| asked.nothing())
}

struct Asked<'a> {
    report: &'a Report,
    /// The pipeline file, or the log, as a shell takes it.
    file: String,
    log: String,
}

type Question<'a> = fn(&Asked<'a>) -> Option<String>;

impl<'a> Asked<'a> {
    const OF_A_PIPELINE: &'a [Question<'a>] = &[
        Self::diverged,
        Self::unfit_destination,
        Self::paused,
        Self::full,
        Self::failed_source,
        Self::troubled,
        Self::lacking,
        Self::stranger,
        Self::letters,
    ];

    /// Of a log alone nobody knows what writes it.
    const OF_A_LOG: &'a [Question<'a>] =
        &[Self::diverged, Self::failed_delivery, Self::failed_attempt, Self::nobody_delivers, Self::letters];

    fn is_live(&self) -> bool {
        self.report.holder.is_some()
    }

    /// Whoever seeks further than what both have loses what is between, so that is never said.
    fn diverged(&self) -> Option<String> {
        let one = self.report.known().find(|destination| destination.consumer.diverged)?;
        let (name, first) = (&one.consumer.name, self.report.first);
        // With the pipeline file the destination is asked what it holds.
        let subject = if self.report.is_of_pipeline { &self.file } else { &self.log };
        let (what, to) = match one.last_common {
            Some(last) => (format!("what came behind checkpoint {last}"), last.to_string()),
            None => (
                format!(
                    "what came with checkpoint {first} and later (nothing on record says up to where it has the same)"
                ),
                "oldest".to_owned(),
            ),
        };
        let position = match one.stores_position {
            true => ", and set the position back that it stores (docs/runbooks/move.md)",
            false => "",
        };
        Some(format!(
            "take out of {name} {what}{position}, then highwater consumer seek {subject} {name} --to {to} --reason WHY"
        ))
    }

    /// What it holds and the log don't fit, in one of several ways; the failure names what can be done in each.
    fn unfit_destination(&self) -> Option<String> {
        let (name, _) = self.report.troubles().find(|(_, trouble)| trouble.kind == "diverged")?;
        Some(format!("what the failure of {name} says (above), then highwater run {}", self.file))
    }

    fn paused(&self) -> Option<String> {
        (self.report.source() == Source::Paused).then(|| format!("highwater schema diff {}", self.file))
    }

    fn full(&self) -> Option<String> {
        let report = self.report;
        let waits_at_cap = report.at_cap && self.is_live() && report.latest().is_some();
        // The disk may be full of other things while the log has no need of it.
        let needs_disk = report.disk_is_full && report.source() != Source::Well;
        let is_full = waits_at_cap || needs_disk || report.source() == Source::Full;
        is_full.then(|| self.make_room(needs_disk))
    }

    /// It depends on who holds the oldest checkpoint.
    fn make_room(&self, needs_disk: bool) -> String {
        let (report, file) = (self.report, &self.file);
        let Some(late) = report.latest().filter(|late| report.holds_space(late)) else {
            let first = match (needs_disk, report.is_prunable) {
                (true, true) => format!("highwater prune {file}"),
                (true, false) => {
                    format!("make room on the disk (highwater du {}: what the log has of it)", self.log)
                }
                (false, _) => format!("raise storage.max_size in {file}: what is kept fills it"),
            };
            return format!("{first}; then highwater run {file}");
        };
        if late.is_stranger {
            return self.drop_or_start(late);
        }
        let check =
            if late.trouble.is_some() { format!("highwater check {file}, then ") } else { String::new() };
        format!("{check}highwater deliver {file} --only {} --until-end", late.consumer.name)
    }

    fn failed_source(&self) -> Option<String> {
        let file = &self.file;
        match self.report.source() {
            _ if self.is_live() => None,
            Source::Unfit => Some(format!(
                "what the failure says (above), or a state that the source goes on from: highwater state history {}, and \
                 highwater rewind {file} --to SEQ --reason WHY; then highwater run {file}",
                self.log
            )),
            Source::Failed => Some(format!("highwater check {file}")),
            _ => None,
        }
    }

    /// One that was given up comes before one that is tried again.
    fn troubled(&self) -> Option<String> {
        let (name, trouble) = self.report.troubles().min_by_key(|(_, trouble)| trouble.next_us.is_some())?;
        let file = &self.file;
        // What is down may be up again; what does not fit is mended as its failure says.
        let is_down = ["transient", "rate_limit", "authentication"].contains(&trouble.kind.as_str());
        let first = match is_down {
            true => format!("highwater check {file}"),
            false => format!("mend what {name} failed with (above)"),
        };
        Some(match trouble.next_us {
            _ if !self.is_live() => format!("{first}, then highwater run {file}"),
            Some(at) => format!("{first}; {name} is tried again {}", timestamp(at)),
            None => format!("{first}, then highwater deliver {file} --only {name}"),
        })
    }

    fn lacking(&self) -> Option<String> {
        let source = self.report.source();
        let may_go_well = matches!(source, Source::MayGoWell | Source::Well);
        (may_go_well && !self.is_live() && self.report.lacks_something())
            .then(|| format!("highwater run {}", self.file))
    }

    /// It holds what it lacks for ever: no run of this file delivers it.
    fn stranger(&self) -> Option<String> {
        Some(self.drop_or_start(self.report.stranger()?))
    }

    fn drop_or_start(&self, stranger: &Destination) -> String {
        let name = &stranger.consumer.name;
        format!("highwater consumer drop {} {name} --dry-run, or start what reads it", self.log)
    }

    fn letters(&self) -> Option<String> {
        let has_letters = self.report.known().any(|destination| destination.dead_letters > 0);
        has_letters.then(|| format!("highwater dead-letters list {}", self.file))
    }

    fn failed_delivery(&self) -> Option<String> {
        self.report.troubles().next()?;
        Some(format!("highwater consumer list {}, and mend what failed", self.log))
    }

    fn failed_attempt(&self) -> Option<String> {
        let has_failed = self.report.source() != Source::Well;
        (has_failed && !self.is_live()).then(|| format!("highwater runs {}", self.log))
    }

    fn nobody_delivers(&self) -> Option<String> {
        if self.is_live() {
            return None;
        }
        match self.report.latest() {
            Some(late) => Some(format!("start what delivers to {}: nobody does", late.consumer.name)),
            None => self.report.consumers.is_empty().then(|| format!("highwater info {}", self.log)),
        }
    }

    fn nothing(&self) -> String {
        let (file, source) = (&self.file, self.report.source());
        match (self.report.is_of_pipeline, self.is_live()) {
            (true, true) if !matches!(source, Source::Well) => {
                "nothing: the source is tried again".to_owned()
            }
            (_, true) => "nothing: it is at work".to_owned(),
            (true, false) => {
                format!("nothing: all is read and delivered; highwater run {file} looks for more")
            }
            (false, false) => "nothing: every consumer has everything".to_owned(),
        }
    }
}
