//! A checkpoint, by what a person typed: its number, its UUID, its position, or a time.

use std::str::FromStr;

use highwater::{CheckpointId, LogReader, Position, Sequence};
use jiff::Zoned;
use jiff::civil::Time;
use jiff::fmt::temporal::{DateTimeParser, Pieces};
use jiff::tz::{Disambiguation, TimeZone};

use crate::text::tame;

/// Which checkpoint is meant.
///
/// ```
/// use highwater::{Commit, Config, Log, Sequence};
/// use highwater_connect::Place;
///
/// let dir = tempfile::tempdir()?;
/// let (log, _) = Log::open(dir.path(), Config::default())?;
/// let id = log.writer(&[])?.commit(Commit::new().all())?.position.checkpoint;
/// for typed in ["1".to_owned(), id.to_string(), "2999-12-31T00:00:00Z".to_owned()] {
///     assert_eq!(typed.parse::<Place>()?.find(&log)?, Some(Sequence::FIRST));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// That of this number.
    Number(u64),
    /// That of this UUID.
    Id(CheckpointId),
    /// The last that was committed by then, in microseconds since 1970.
    Time(i64),
}

impl Place {
    /// Its number, if the log keeps it; a number is not looked for. Blocks for reading.
    pub fn find(&self, log: &LogReader) -> highwater::Result<Option<Sequence>> {
        let found: Option<Position> = match self {
            Place::Number(number) => return Ok(Some(Sequence::new(*number))),
            Place::Id(id) => log.find_checkpoint(*id)?,
            Place::Time(time_us) => log.checkpoint_at(*time_us)?,
        };
        Ok(found.map(|position| position.sequence))
    }
}

impl FromStr for Place {
    type Err = String;

    /// Fails with the reason, on one line. Where a time says nothing of a zone, UTC is meant.
    fn from_str(typed: &str) -> Result<Place, String> {
        if let Ok(number) = typed.parse() {
            return Ok(Place::Number(number));
        }
        if let Ok(id) = typed.parse() {
            return Ok(Place::Id(id));
        }
        if let Ok(position) = typed.parse::<Position>() {
            return Ok(Place::Id(position.checkpoint));
        }
        let wrong = |why: &str| format!("{} is no checkpoint: {why}", tame(typed));
        let pieces = Pieces::parse(typed)
            .map_err(|_| wrong("expected a number, a UUID, or a time like 2026-11-20T08:00:00Z"))?;
        let zoned = moment(typed, &pieces).map_err(|why| wrong(&why))?;
        Ok(Place::Time(to_its_end(zoned.timestamp().as_microsecond())))
    }
}

/// Times are printed with milliseconds, and checkpoints know microseconds: a printed time has to find what it was printed of.
fn to_its_end(time_us: i64) -> i64 {
    if time_us % 1000 == 0 { time_us + 999 } else { time_us }
}

/// Where nothing is said of a zone, UTC is meant. A zone that is named counts, and nothing that was typed is passed over: a wrong
/// hour would be another checkpoint.
fn moment(typed: &str, pieces: &Pieces<'_>) -> Result<Zoned, String> {
    if typed.contains('[') {
        if pieces.time_zone_annotation().is_none() || typed.matches('[').count() > 1 {
            return Err("only a time zone is understood in brackets, as in [Europe/Paris]".to_owned());
        }
        // Twice a year an hour comes twice, or not at all.
        let parser = DateTimeParser::new().disambiguation(Disambiguation::Reject);
        return parser.parse_zoned(typed).map_err(|e| e.to_string());
    }
    let date_time = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let zone = pieces.to_numeric_offset().map_or(TimeZone::UTC, TimeZone::fixed);
    date_time.to_zoned(zone).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Place, String> {
        typed.parse()
    }

    #[test]
    fn a_printed_time_means_all_of_its_millisecond() {
        let printed = crate::quantity::timestamp(1_795_176_000_123_456);
        assert!(printed.ends_with(".123Z"), "{printed}");
        assert_eq!(parse(&printed).unwrap(), Place::Time(1_795_176_000_123_999));
        assert_eq!(parse("2026-11-20T12:00:00.123456Z").unwrap(), Place::Time(1_795_176_000_123_456));
    }

    #[test]
    fn numbers_ids_and_times() {
        let id = "0190a5c0-0000-7000-8000-00000000002a";
        assert_eq!(parse("41").unwrap(), Place::Number(41));
        assert_eq!(parse(id).unwrap(), Place::Id(id.parse().unwrap()));
        assert_eq!(parse(&format!("{id}/42/{id}")).unwrap(), Place::Id(id.parse().unwrap()));
        let noon = 1_795_176_000_000_999;
        for time in
            ["2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00", "2026-11-20 12:00", "2026-11-20T12:00:00"]
        {
            assert_eq!(parse(time).unwrap(), Place::Time(noon), "{time}");
        }
        assert!(parse("yesterday").is_err());
    }

    fn time_of(typed: &str) -> Option<i64> {
        match parse(typed) {
            Ok(Place::Time(time_us)) => Some(time_us),
            _ => None,
        }
    }

    #[test]
    fn a_zone_that_is_named_counts() {
        let noon = time_of("2026-11-20T12:00:00Z");
        assert!(noon.is_some());
        for typed in [
            "2026-11-20T13:00:00[Europe/Zurich]",
            "2026-11-20T13:00:00+01:00[Europe/Zurich]",
            "2026-11-20 07:00[America/New_York]",
            "2026-11-20T12:00[UTC]",
            "2026-11-20T12:00[+00:00]",
        ] {
            assert_eq!(time_of(typed), noon, "{typed}");
        }
    }

    #[test]
    fn what_is_not_understood_of_a_time_is_refused() {
        for typed in [
            "2026-11-20T13:00:00+02:00[Europe/Zurich]", // that zone is another hour then
            "2026-11-20T13:00:00[Europe/Nowhere]",
            "2026-11-20T13:00:00[u-ca=hebrew]",
            "2026-11-20T13:00:00[Europe/Zurich][u-ca=hebrew]",
            "2026-11-20T13:00:00 Europe/Zurich",
            "2026-11-20T13:00:00 CET",
            "2026-11-20T13:00:00+25:99",
            "2026-11-20T13:00:00x",
            "2026-10-25T02:30[Europe/Zurich]", // twice
            "2026-03-29T02:30[Europe/Zurich]", // never
        ] {
            assert!(parse(typed).is_err(), "{typed}: {:?}", parse(typed));
        }
        assert!(time_of("2026-10-25T02:30+01:00[Europe/Zurich]").is_some());
    }
}
