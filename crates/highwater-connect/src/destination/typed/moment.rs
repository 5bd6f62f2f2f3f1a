//! Days and times as text: which texts a column of such a kind takes, and how we write ours.

use super::kind::Kind;

/// What the text is, instead of one of this kind; nothing for kinds that are not temporal.
pub(crate) fn check(kind: Kind, text: &str) -> Result<(), &'static str> {
    let of_kind = match kind {
        Kind::Date => date(text).is_some_and(str::is_empty),
        Kind::Time | Kind::TimeTz => return check_zone(kind, time(text)),
        Kind::Timestamp | Kind::TimestampTz => match date(text) {
            Some("") => true,
            Some(rest) => {
                let clock = rest.strip_prefix(['T', 't', ' ']).and_then(time);
                return check_zone(kind, clock);
            }
            None => false,
        },
        _ => true,
    };
    of_kind.then_some(()).ok_or(expected(kind))
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Date => "not a date: expected YYYY-MM-DD",
        Kind::Time | Kind::TimeTz => "not a time: expected HH:MM:SS",
        _ => "not a timestamp: expected YYYY-MM-DDTHH:MM:SS",
    }
}

/// What stands behind the clock: nothing, or a zone. A column without one would silently drop it.
fn check_zone(kind: Kind, rest: Option<&str>) -> Result<(), &'static str> {
    let offset = rest.and_then(zone).ok_or(expected(kind))?;
    let has_zone = matches!(kind, Kind::TimeTz | Kind::TimestampTz);
    if offset == 0 || has_zone {
        return Ok(());
    }
    Err("a time with a time zone")
}

/// Two digits at the front, and what follows.
fn two(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

fn below(text: &str, limit: u32) -> Option<(u32, &str)> {
    two(text).filter(|(number, _)| *number < limit)
}

fn date(text: &str) -> Option<&str> {
    let (century, rest) = two(text)?;
    let (year, rest) = two(rest)?;
    let (month, rest) = below(rest.strip_prefix('-')?, 13)?;
    let (day, rest) = two(rest.strip_prefix('-')?)?;
    let year = century * 100 + year;
    (year > 0 && (1..=days_in(year, month)).contains(&day)).then_some(rest)
}

fn days_in(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// What follows a clock: hours and minutes, perhaps seconds, perhaps their fraction.
fn time(text: &str) -> Option<&str> {
    let (_, rest) = below(text, 24)?;
    let (_, rest) = below(rest.strip_prefix(':')?, 60)?;
    let Some(seconds) = rest.strip_prefix(':') else { return Some(rest) };
    let (_, rest) = below(seconds, 60)?;
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < fraction.len()).then_some(rest)
}

/// The offset in minutes that the rest of the text is; 0 for none.
fn zone(text: &str) -> Option<u32> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (hours, rest) = below(text.strip_prefix(['+', '-'])?, 16)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, "") } else { below(rest, 60)? };
    rest.is_empty().then_some(hours * 60 + minutes)
}

/// Microseconds since 1970-01-01 UTC as `2026-01-31T12:00:00.000000Z`.
pub(crate) fn format_us(time_us: i64) -> String {
    const DAY_US: i64 = 86_400_000_000;
    let (year, month, day) = civil(time_us.div_euclid(DAY_US));
    let in_day = time_us.rem_euclid(DAY_US);
    let (seconds, fraction) = (in_day / 1_000_000, in_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// Year, month and day of the day with this number since 1970-01-01: years are counted from March, so that a leap day
/// ends one, in eras of 400 years, which are all alike.
fn civil(day: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_each_kind_are_told_apart() {
        use Kind::{Date, Time, TimeTz, Timestamp, TimestampTz};
        for (kind, text) in [
            (Date, "2024-02-29"),
            (Time, "23:59:59.999"),
            (Time, "23:59Z"),
            (TimeTz, "01:02:03+05:30"),
            (TimeTz, "01:02:03"),
            (Timestamp, "2024-01-01 00:00:00"),
            (Timestamp, "2024-01-01T00:00:00+00:00"),
            (TimestampTz, "2024-01-01T00:00:00.123456789-0800"),
            (TimestampTz, "2024-01-01t00:00z"),
            (TimestampTz, "2024-01-01"),
        ] {
            assert_eq!(check(kind, text), Ok(()), "{kind} {text}");
        }
        for (kind, text) in [
            (Date, "2023-02-29"),
            (Date, "0000-01-01"),
            (Date, "2024-13-01"),
            (Date, "2024-01-01T00:00:00"),
            (Date, "1.1.2024"),
            (Time, "24:00:00"),
            (Time, "1:00"),
            (Time, "01:02:03+05:30"),
            (TimeTz, "01:02:03+16:00"),
            (Timestamp, "2024-01-01T00:00:00+01:00"),
            (TimestampTz, "2024-01-01T00:00:00."),
            (TimestampTz, "2024-01-01T00:00:00 Europe/Paris"),
            (TimestampTz, ""),
            (TimestampTz, "now"),
            (TimestampTz, "２０24-01-01"),
        ] {
            assert!(check(kind, text).is_err(), "{kind} {text}");
        }
    }

    #[test]
    fn our_times_are_written_in_full() {
        for (time_us, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_767_225_599_999_999, "2025-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(format_us(time_us), text);
        }
    }
}
