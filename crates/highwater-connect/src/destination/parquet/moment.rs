//! Days, times and moments as numbers; none where the number would say less than the text.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The day, counted from 1970-01-01.
pub(super) fn day(text: &str) -> Option<i32> {
    let date: Date = text.parse().ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    i32::try_from(midnight.as_second().div_euclid(86_400)).ok()
}

/// Microseconds since midnight, of a time without a zone.
pub(super) fn time_us(text: &str) -> Option<i64> {
    let time: Time = without_zone(text).parse().ok()?;
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + microseconds(i64::from(time.subsec_nanosecond()))?)
}

/// Microseconds since 1970-01-01 UTC; a moment without a zone is taken as if it were UTC.
pub(super) fn us(text: &str) -> Option<i64> {
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => civil(text)?.timestamp(),
    };
    microseconds(i64::from(moment.subsec_nanosecond()))?;
    Some(moment.as_microsecond())
}

fn civil(text: &str) -> Option<Zoned> {
    let text = without_zone(text);
    let moment: DateTime = text.parse().ok()?;
    moment.to_zoned(TimeZone::UTC).ok()
}

/// Whole ones only.
fn microseconds(nanoseconds: i64) -> Option<i64> {
    (nanoseconds % 1000 == 0).then_some(nanoseconds / 1000)
}

fn without_zone(text: &str) -> &str {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    ["+00:00", "-00:00", "+0000", "+00"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_numbers() {
        assert_eq!(
            (day("1970-01-01"), day("1969-12-31"), day("2024-02-29")),
            (Some(0), Some(-1), Some(19_782))
        );
        assert_eq!(time_us("00:00"), Some(0));
        assert_eq!(time_us("23:59:59.999999Z"), Some(86_399_999_999));
        assert_eq!(us("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(us("1970-01-01"), Some(0));
        assert_eq!(us("2024-01-01T00:00:00.123456-08:00"), Some(1_704_096_000_123_456));
        assert_eq!(us("2024-01-01 00:00:00"), Some(1_704_067_200_000_000));
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_no_number() {
        assert_eq!(us("2024-01-01T00:00:00.123456789Z"), None);
        assert_eq!(time_us("01:02:03.0000001"), None);
        assert_eq!(us("2024-01-01T00:00:00.123456000Z"), Some(1_704_067_200_123_456));
    }
}
