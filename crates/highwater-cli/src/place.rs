//! A checkpoint, by what a person typed.

use highwater::{LogReader, Sequence, Start};
use highwater_connect::Place;
use highwater_connect::text::tame;

use crate::failure::Failure;

/// Finds it in the log.
pub(crate) fn find(log: &LogReader, typed: &str) -> Result<Sequence, Failure> {
    match parse(typed)? {
        Place::Number(0) => {
            let none = "there is no checkpoint 0: they are counted from 1";
            Err(Failure::not_found(none).hint("highwater checkpoints LOG    lists what is there"))
        }
        place => locate(log, &place, typed),
    }
}

/// The place behind it; 0 is the one before the first checkpoint.
pub(crate) fn behind(log: &LogReader, typed: &str) -> Result<Sequence, Failure> {
    locate(log, &parse(typed)?, typed)
}

/// The first checkpoint of a range: a time names what was committed after it.
pub(crate) fn first(log: &LogReader, typed: &str) -> Result<Sequence, Failure> {
    match parse(typed)? {
        Place::Time(time_us) => {
            let before = log.checkpoint_at(time_us)?;
            Ok(before.map_or_else(|| log.first(), |before| before.sequence.next()))
        }
        _ => find(log, typed),
    }
}

/// Where a consumer begins: one of the words, or behind a checkpoint.
pub(crate) fn start(log: &LogReader, typed: &str) -> Result<Start, Failure> {
    match typed {
        "earliest" => Ok(Start::Earliest),
        "oldest" => Ok(Start::Oldest),
        "now" => Ok(Start::Now),
        other => match behind(log, other) {
            Err(failure) if failure.is_usage() => Err(Failure::usage(format!(
                "{} is no place: expected earliest, oldest, now, or a checkpoint by its number, its UUID or a time",
                tame(other)
            ))),
            Err(failure) => Err(failure),
            Ok(after) if log.end().is_none_or(|end| end.sequence < after) && after > Sequence::NONE => {
                let last = log.end().map_or_else(
                    || "the log has none yet".to_owned(),
                    |end| format!("the log's last checkpoint is {}", end.sequence),
                );
                Err(Failure::not_found(format!("there is no checkpoint {after}: {last}"))
                    .hint("highwater checkpoints LOG    lists what is there"))
            }
            Ok(after) => Ok(Start::After(after)),
        },
    }
}

fn locate(log: &LogReader, place: &Place, typed: &str) -> Result<Sequence, Failure> {
    place.find(log)?.ok_or_else(|| {
        Failure::not_found(format!("the log keeps no checkpoint of {}", tame(typed)))
            .hint("highwater checkpoints LOG    lists what is there")
    })
}

fn parse(typed: &str) -> Result<Place, Failure> {
    typed.parse().map_err(|why: String| Failure::usage(why))
}
