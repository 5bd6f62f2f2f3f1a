//! JSON's numbers, which have any number of digits, and what becomes of them where numbers have fewer.

/// What PostgreSQL's `numeric` holds before and behind the decimal point.
const NUMERIC_WHOLE_DIGITS_MAX: i64 = 131_072;
const NUMERIC_FRACTION_DIGITS_MAX: i64 = 16_383;

/// A number taken apart: `0.DIGITS` times ten to the `exponent`; equal numbers are equal here.
#[derive(Debug, PartialEq, Eq)]
struct Number {
    is_negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
    /// Digits behind the decimal point as it is written.
    scale: i64,
}

impl Number {
    fn parse(text: &str) -> Number {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        // An exponent beyond 64 bits is as far out of range as one that fits them.
        let (is_small, magnitude) = exponent.strip_prefix('-').map_or((false, exponent), |rest| (true, rest));
        let magnitude =
            magnitude.trim_start_matches('+').parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        let written = if is_small { -magnitude } else { magnitude };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let leading = (all.len() - significant.len()) as i64;
        let digits = significant.trim_end_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { whole.len() as i64 - leading + written };
        let scale = (fraction.len() as i64 - written).max(0);
        Number { is_negative: is_negative && !digits.is_empty(), digits, exponent, scale }
    }

    fn is_same_value(&self, other: &Number) -> bool {
        (self.is_negative, &self.digits, self.exponent) == (other.is_negative, &other.digits, other.exponent)
    }
}

/// The number as an integer of 64 bits, if it is one: `5`, `5.0` and `5e0` are.
pub(crate) fn as_integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let number = Number::parse(text);
    let zeros = number.exponent.checked_sub(number.digits.len() as i64)?;
    if number.digits.is_empty() {
        return Some(0);
    }
    if zeros < 0 || number.exponent > 19 {
        return None;
    }
    let sign = if number.is_negative { "-" } else { "" };
    format!("{sign}{}{}", number.digits, "0".repeat(zeros as usize)).parse().ok()
}

/// The number as a float of 64 bits, if that prints as the same number again.
pub(crate) fn as_exact_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    Number::parse(text).is_same_value(&Number::parse(&format!("{value:e}"))).then_some(value)
}

/// Whether PostgreSQL's `numeric` holds it.
pub(crate) fn fits_numeric(text: &str) -> bool {
    // The common case at a glance.
    if text.len() < 64 && !text.contains(['e', 'E']) {
        return true;
    }
    let number = Number::parse(text);
    number.exponent <= NUMERIC_WHOLE_DIGITS_MAX && number.scale <= NUMERIC_FRACTION_DIGITS_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_recognised_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("5.0", Some(5)),
            ("-1.5e1", Some(-15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9.223372036854775807e18", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("18446744073709551615", None),
            ("1.5", None),
            ("1e19", None),
            ("1e999999999999999999999", None),
            ("1e-999999999999999999999", None),
            ("0e999999999999999999999", Some(0)),
        ] {
            assert_eq!(as_integer(text), expected, "{text}");
        }
    }

    #[test]
    fn a_float_is_taken_only_where_nothing_is_lost() {
        for exact in ["0.1", "3.141592653589793", "1e300", "1.50", "9007199254740993e-16"] {
            assert!(as_exact_float(exact).is_some(), "{exact}");
        }
        for inexact in ["12345678901234567890123", "0.1000000000000000055", "1e400", "3.14159265358979323846"]
        {
            assert_eq!(as_exact_float(inexact), None, "{inexact}");
        }
    }

    #[test]
    fn the_bounds_of_numeric_are_known() {
        for fits in ["1", "1e131071", "1e-16383", &"9".repeat(131_072), "-12345678901234567890123.5"] {
            assert!(fits_numeric(fits));
        }
        for too_much in ["1e131072", "1e-16384", &"9".repeat(131_073), "1e99999999999999999999"] {
            assert!(!fits_numeric(too_much));
        }
    }

    proptest! {
        #[test]
        fn every_float_and_every_integer_is_exact(float: f64, integer: i64) {
            prop_assume!(float.is_finite());
            prop_assert_eq!(as_exact_float(&format!("{float:?}")), Some(float));
            prop_assert_eq!(as_integer(&integer.to_string()), Some(integer));
        }
    }
}
