//! Days, times and moments as texts of ISO 8601, exact to the nanosecond and in any year.

use jiff::Timestamp;

const SECOND_NS: i128 = 1_000_000_000;
const DAY_NS: i128 = 86_400 * SECOND_NS;
/// The calendar repeats itself after so many years, which are so many nanoseconds.
const CYCLE_YEARS: i128 = 400;
const CYCLE_NS: i128 = 146_097 * DAY_NS;

/// A moment, by nanoseconds since 1970, as its date and its time of day. A year beyond four digits has a sign, as ISO 8601 has it.
///
/// *Why by cycles?* A column's 64 bits reach further than a calendar library does, and a value that is out of its range is none the less
/// the user's.
fn parts(ns: i128) -> (String, String) {
    let within = ns.rem_euclid(CYCLE_NS);
    let text = Timestamp::from_nanosecond(within).map(|moment| moment.to_string()).unwrap_or_default();
    let (date, time) = text.split_once('T').unwrap_or_default();
    let (year, day) = date.split_once('-').unwrap_or_default();
    let year = year.parse().unwrap_or(0) + CYCLE_YEARS * ns.div_euclid(CYCLE_NS);
    let date = match year {
        0..=9999 => format!("{year:04}-{day}"),
        far => format!("{far:+07}-{day}"),
    };
    (date, time.trim_end_matches('Z').to_owned())
}

/// A day, by its number since 1970.
pub(super) fn date(day: i32) -> String {
    parts(i128::from(day) * DAY_NS).0
}

/// A moment; of what a clock showed, without a zone.
pub(super) fn moment(ns: i128, is_utc: bool) -> String {
    let (date, time) = parts(ns);
    format!("{date}T{time}{}", if is_utc { "Z" } else { "" })
}

/// A time of day, unless it is none.
pub(super) fn time(ns: i128) -> Option<String> {
    (0..DAY_NS).contains(&ns).then(|| parts(ns).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_the_library_does_as_far_as_that_reaches() {
        for seconds in [-62_135_596_800_i64, -86_401, -1, 0, 951_782_400, 1_700_000_000, 253_402_207_199] {
            for nanos in [0, 1, 123_456_789, 500_000_000] {
                let ns = i128::from(seconds) * SECOND_NS + nanos;
                let expected = Timestamp::from_nanosecond(ns).unwrap().to_string();
                assert_eq!(moment(ns, true), expected);
            }
        }
    }

    #[test]
    fn and_on_beyond_that() {
        assert_eq!(moment(253_402_300_800 * SECOND_NS, true), "+010000-01-01T00:00:00Z");
        assert_eq!(moment(i128::from(i64::MAX) * 1000, false), "+294247-01-10T04:00:54.775807");
        assert_eq!(date(i32::MAX), "+5881580-07-11");
        assert_eq!(date(-719_529), "-000001-12-31");
        assert_eq!(date(19_675), "2023-11-14");
    }

    #[test]
    fn a_time_of_day_is_one() {
        assert_eq!(time(14_611_123 * 1_000_000).unwrap(), "04:03:31.123");
        assert_eq!(time(DAY_NS - 1).unwrap(), "23:59:59.999999999");
        assert_eq!((time(DAY_NS), time(-1)), (None, None));
    }
}
