//! What a person sees.

use std::io::Write;
use std::time::Duration;

use highwater_connect::quantity::{bytes, count, plural, time, timestamp};
use highwater_connect::runs::now_us;
use highwater_connect::runtime::Trouble;
use highwater_connect::text::tame;

use super::{Destination, NotBegun, Report};
use crate::failure::Failure;
use crate::output;

impl Report {
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut out = output::buffered();
        self.print_source(&mut out)?;
        self.print_log(&mut out)?;
        self.print_destinations(&mut out)?;
        writeln!(out, "next         {}", self.next)?;
        Ok(out.flush()?)
    }

    fn print_source(&self, out: &mut impl Write) -> std::io::Result<()> {
        let sync = match (self.sync, self.sync_ended) {
            (0, _) => "has not been read".to_owned(),
            (sync, true) => format!("sync {sync} has come to its end"),
            (sync, false) => format!("sync {sync} is not at its end"),
        };
        writeln!(out, "source       {sync}")?;
        let Some(attempt) = &self.last_attempt else { return Ok(()) };
        let how = match &attempt.end {
            None if self.holder.is_some() => "is under way".to_owned(),
            None => "left no end: it was killed, or a repair or a restore gave its end up".to_owned(),
            Some(end) => format!(
                "ended {}: {}, {}",
                timestamp(end.ended_us),
                tame(&end.outcome),
                plural(end.records, "record")
            ),
        };
        writeln!(out, "             the last attempt began {} and {how}", timestamp(attempt.started_us))?;
        match attempt.end.as_ref().and_then(|end| end.error.as_ref()) {
            Some(error) => writeln!(out, "             {}", tame(error)),
            None => Ok(()),
        }
    }

    fn print_log(&self, out: &mut impl Write) -> std::io::Result<()> {
        let status = &self.status;
        let last = status.end.map_or(0, |end| end.sequence.get());
        let age = status.last_checkpoint_age.map_or(String::new(), |age| format!(", {} ago", time(age)));
        writeln!(out, "log          {}: checkpoint {}{age}", self.log.display(), count(last))?;
        let cap = match self.max_size {
            Some(max) => {
                let percent = status.size_bytes * 100 / max.max(1);
                format!(", {} of at most {} ({percent} %)", bytes(status.size_bytes), bytes(max))
            }
            None => String::new(),
        };
        writeln!(out, "             {} on disk{cap}", bytes(status.disk_bytes))?;
        if self.at_cap {
            writeln!(out, "             full: no further file fits; {}", tame(&self.held_by))?;
        }
        if self.disk_is_full {
            writeln!(out, "             full: no further file fits on the disk")?;
        }
        if let (Some(max), Some(growth), false) = (self.max_size, self.growth_bytes, self.at_cap) {
            let left = max.saturating_sub(status.size_bytes) as f64 / growth.max(f64::MIN_POSITIVE);
            if let Ok(left) = Duration::try_from_secs_f64(left) {
                writeln!(
                    out,
                    "             full in {} as it grew so far, if nothing more is delivered",
                    time(left)
                )?;
            }
        }
        let writer = self.holder.as_deref().map_or("nobody writes it now".to_owned(), tame);
        writeln!(out, "             {writer}")
    }

    fn print_destinations(&self, out: &mut impl Write) -> std::io::Result<()> {
        for destination in &self.consumers {
            let consumer = &destination.consumer;
            let lag = match consumer.lag_checkpoints {
                _ if consumer.diverged => {
                    "has diverged: this log does not hold that, and it gets nothing".to_owned()
                }
                0 => "has everything".to_owned(),
                lag => format!("lacks {}, about {}", plural(lag, "checkpoint"), bytes(consumer.lag_bytes)),
            };
            writeln!(
                out,
                "destination  {}: up to checkpoint {}, {lag}",
                tame(&consumer.name),
                consumer.acknowledged
            )?;
            destination.print_more(out, self.holder.is_some())?;
        }
        for NotBegun { name, trouble, .. } in &self.not_begun {
            writeln!(out, "destination  {}: has not begun", tame(name))?;
            trouble.iter().try_for_each(|trouble| print_trouble(trouble, self.holder.is_some(), out))?;
        }
        Ok(())
    }
}

impl Destination {
    fn print_more(&self, out: &mut impl Write, is_live: bool) -> std::io::Result<()> {
        if self.is_stranger {
            return writeln!(
                out,
                "             no destination of this file: nothing delivers it but what reads it itself"
            );
        }
        if self.dead_letters > 0 {
            writeln!(out, "             {}", plural(self.dead_letters, "dead letter"))?;
        }
        self.trouble.iter().try_for_each(|trouble| print_trouble(trouble, is_live, out))
    }
}

fn print_trouble(trouble: &Trouble, is_live: bool, out: &mut impl Write) -> std::io::Result<()> {
    let then = match trouble.next_us {
        Some(at) if is_live || at > now_us() => format!("tried again {}", timestamp(at)),
        Some(_) => "tried again by the next run".to_owned(),
        None => "given up".to_owned(),
    };
    let attempts = plural(trouble.attempts.into(), "attempt");
    writeln!(
        out,
        "             {attempts} failed since {}, the last {}: {}; {then}",
        timestamp(trouble.since_us),
        timestamp(trouble.last_us),
        tame(&trouble.text)
    )
}
