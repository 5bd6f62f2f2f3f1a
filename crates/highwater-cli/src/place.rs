//! A checkpoint, by what a person typed.

use highwater::{CheckpointId, LogReader, Position, Sequence};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::failure::Failure;
use highwater_connect::text::tame;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Number(u64),
    Id(CheckpointId),
    Time(i64),
}

/// Finds it in the log.
pub(crate) fn find(log: &LogReader, typed: &str) -> Result<Sequence, Failure> {
    let found: Option<Position> = match parse(typed)? {
        Place::Number(number) => return Ok(Sequence::new(number)),
        Place::Id(id) => log.find_checkpoint(id)?,
        Place::Time(time_us) => log.checkpoint_at(time_us)?,
    };
    found.map(|position| position.sequence).ok_or_else(|| {
        Failure::not_found(format!("the log keeps no checkpoint of {}", tame(typed)))
            .hint("highwater checkpoints LOG    lists what is there")
    })
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

fn parse(typed: &str) -> Result<Place, Failure> {
    if let Ok(number) = typed.parse() {
        return Ok(Place::Number(number));
    }
    if let Ok(id) = typed.parse() {
        return Ok(Place::Id(id));
    }
    if let Ok(position) = typed.parse::<Position>() {
        return Ok(Place::Id(position.checkpoint));
    }
    let in_utc = |time: DateTime| time.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let time = typed.parse::<Timestamp>().or_else(|_| typed.parse::<DateTime>().and_then(in_utc));
    time.map(|time| Place::Time(time.as_microsecond())).map_err(|_| {
        Failure::usage(format!(
            "{} is no checkpoint: expected a number, a UUID, or a time like 2026-11-20T08:00:00Z",
            tame(typed)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ids_and_times() {
        let id = "0190a5c0-0000-7000-8000-00000000002a";
        assert_eq!(parse("41").unwrap(), Place::Number(41));
        assert_eq!(parse(id).unwrap(), Place::Id(id.parse().unwrap()));
        assert_eq!(parse(&format!("{id}/42/{id}")).unwrap(), Place::Id(id.parse().unwrap()));
        let noon = 1_795_176_000_000_000;
        for time in
            ["2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00", "2026-11-20 12:00", "2026-11-20T12:00:00"]
        {
            assert_eq!(parse(time).unwrap(), Place::Time(noon), "{time}");
        }
        assert!(parse("yesterday").is_err());
    }
}
