//! Metrics as Prometheus takes them: base units, `_total` on counters and on nothing else, gauges computed from what is there
//! at the moment of the scrape. No stream is a label: a log may have a hundred thousand.

mod keep;
mod log;
mod measured;
mod monitor;
mod runs;
mod text;
mod unreadable;

use highwater::{LogReader, Result};

pub use keep::Keeper;
pub(crate) use log::lag_us;
pub use monitor::Monitor;
pub use text::{CONTENT_TYPE, Exposition};
pub use unreadable::{damaged_places, gather_unreadable, is_unreadable};

use crate::history::History;
use crate::measured::{Measured, Writer};
use crate::subject::Subject;

/// Everything about a log and its pipeline: what anybody can compute, what its writing process has measured, and what the
/// history says. Blocks for reading a few frames and the names in the log's directory.
pub fn gather(
    subject: &Subject,
    log: &LogReader,
    measured: Option<&Measured>,
    history: &History,
) -> Result<Exposition> {
    let mut text = Exposition::new(subject.labels());
    // In the process that has written the log until now, nobody else can.
    let has_ended = log.metrics().is_some() && measured.is_some_and(|measured| measured.ended);
    let is_live = log.is_live()? && !has_ended;
    log::tell(&mut text, subject, log, is_live)?;
    runs::tell(&mut text, history, highwater_connect::runs::now_us());
    match (measured, Writer::of(log)?) {
        // A process that embeds the engine and runs no pipeline.
        (None, Some(writer)) => measured::tell_writer(&mut text, &writer, true),
        (Some(measured), _) => measured::tell(&mut text, measured, measured.is_now(is_live)),
        (None, None) => {}
    }
    Ok(text)
}

/// How much was damaged when the log was verified, for who does that now and then.
pub fn tell_verified(text: &mut Exposition, damaged: usize, at_us: i64) {
    text.gauge(
        "highwater_damaged_frames",
        "Damaged frames that the last verification found; of each segment the first.",
        &[],
        damaged,
    );
    text.gauge(
        "highwater_verified_timestamp_seconds",
        "When the log was last verified.",
        &[],
        seconds(at_us),
    );
}

/// A time, as Prometheus has it.
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
