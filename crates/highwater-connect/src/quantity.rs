//! Sizes, times and counts: as people write them, and as they read them.

use std::time::Duration;

/// Reads a size in bytes: `65536`, `64KiB`, `8M`, `1GB`. Units are powers of 1024, whatever their spelling.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("unknown unit {unit:?}; expected a size like 65536, 64KiB, 8MiB or 1GiB")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))
}

/// Reads a time: `250ms`, `45s`, `30m`, `12h`, `7d`, `2w`, and several of them with the larger unit first: `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (mut rest, mut total_ms, mut below) = (text.trim(), 0u64, u64::MAX);
    while !rest.is_empty() || below == u64::MAX {
        let (number, behind) = split(rest)?;
        let digit = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(digit);
        let unit_ms = unit_ms(unit.trim_end())?;
        if unit_ms >= below {
            return Err(format!("{text:?}: the larger unit comes first, and each once, as in 1h30m"));
        }
        let sum = number.checked_mul(unit_ms).and_then(|ms| total_ms.checked_add(ms));
        total_ms = sum.ok_or_else(|| format!("{text} is too long"))?;
        (rest, below) = (next, unit_ms);
    }
    Ok(Duration::from_millis(total_ms))
}

fn unit_ms(unit: &str) -> Result<u64, String> {
    Ok(match unit.to_ascii_lowercase().as_str() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err("expected a time like 45s, 30m, 12h, 1h30m, 7d or 2w".to_owned()),
    })
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.parse().map_err(|_| format!("{text:?} does not start with a number"))?;
    Ok((number, unit.trim_start()))
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `2 records`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `512 B`, `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// `checkpoint 7`, `checkpoints 7 to 9`.
pub fn checkpoints(first: u64, last: u64) -> String {
    if first == last { format!("checkpoint {first}") } else { format!("checkpoints {first} to {last}") }
}

/// `0.3 s`, `12 s`, `5 min`, `3 h`, `2 d`: about how long.
pub fn time(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// RFC 3339, in UTC, to the millisecond.
pub fn timestamp(us: i64) -> String {
    match jiff::Timestamp::from_microsecond(us) {
        Ok(time) => format!("{time:.3}"),
        // Beyond the year 9999: a clock that was set wrong, shown as it is.
        Err(_) => format!("{us} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_as_people_write_them() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64 KiB"), Ok(65536));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1d 2h 3m 4s 5ms"), Ok(Duration::from_millis(93_784_005)));
        for junk in ["", "x", "5", "-1d", "5 y", "99999999999999999w", "1h30", "30m1h", "1h1h", "h1", "1.5h"]
        {
            assert!(duration(junk).is_err(), "{junk}");
        }
        assert!(size("12 parsecs").is_err());
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(3 << 19), "1.5 MiB");
        assert_eq!(time(Duration::from_millis(300)), "0.3 s");
        assert_eq!(timestamp(1_700_000_000_123_456), "2023-11-14T22:13:20.123Z");
    }
}
