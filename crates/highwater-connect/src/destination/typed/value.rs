//! One value of a record, as a column of a kind takes it.

use std::borrow::Cow;

use super::kind::Kind;
use super::{moment, nested, number};

/// What a destination refuses beyond what its types say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Text may hold anything, numbers any number of digits.
    Any,
    /// As PostgreSQL: no NUL in text, numbers within `numeric`, nested values within `jsonb`.
    Postgres,
}

/// A value that fits its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// The number as the source wrote it.
    Decimal(&'a str),
    /// Text, a day or a time.
    Text(Cow<'a, str>),
    /// The JSON text as the source wrote it.
    Json(&'a str),
}

/// Why a value does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It would, were the column of this kind, to which it can be widened without loss.
    Widen(Kind),
    /// It never will: what it is, as a sentence goes on behind "it is".
    Refuse(&'static str),
}

/// Takes a JSON text, without white space around it, as a value of this kind.
pub(crate) fn convert(raw: &str, kind: Kind, strictness: Strictness) -> Result<Value<'_>, Misfit> {
    if raw == "null" {
        return Ok(Value::Null);
    }
    let is_number = matches!(raw.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
    match kind {
        Kind::Boolean => match raw {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(Misfit::Refuse("not a boolean")),
        },
        Kind::Integer | Kind::Decimal if !is_number => Err(Misfit::Refuse("not a number")),
        Kind::Integer => number::as_integer(raw).map(Value::Integer).ok_or(Misfit::Widen(Kind::Decimal)),
        Kind::Decimal => decimal(raw, strictness),
        Kind::Text => text(raw, strictness).map(Value::Text),
        Kind::Json => json(raw, strictness),
        _ => temporal(raw, kind),
    }
}

fn decimal(raw: &str, strictness: Strictness) -> Result<Value<'_>, Misfit> {
    if strictness == Strictness::Postgres && !number::fits_numeric(raw) {
        return Err(Misfit::Refuse("a number with too many digits"));
    }
    Ok(Value::Decimal(raw))
}

fn json(raw: &str, strictness: Strictness) -> Result<Value<'_>, Misfit> {
    if strictness == Strictness::Postgres {
        nested::check(raw).map_err(Misfit::Refuse)?;
    }
    Ok(Value::Json(raw))
}

/// A string is taken as what it says; anything else, where a source is careless with its types, as its JSON text.
fn text(raw: &str, strictness: Strictness) -> Result<Cow<'_, str>, Misfit> {
    let text = if raw.starts_with('"') { string(raw)? } else { Cow::Borrowed(raw) };
    if strictness == Strictness::Postgres && text.contains('\0') {
        return Err(Misfit::Refuse("text with a NUL character"));
    }
    Ok(text)
}

/// What a JSON string says.
pub(crate) fn string(raw: &str) -> Result<Cow<'_, str>, Misfit> {
    match raw.get(1..raw.len().saturating_sub(1)) {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|_| Misfit::Refuse("text with half a character")),
    }
}

fn temporal(raw: &str, kind: Kind) -> Result<Value<'_>, Misfit> {
    if !raw.starts_with('"') {
        return Err(Misfit::Refuse("not a string"));
    }
    let text = string(raw)?;
    moment::check(kind, &text).map_err(Misfit::Refuse)?;
    Ok(Value::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(raw: &str, kind: Kind) -> Result<Value<'_>, Misfit> {
        convert(raw, kind, Strictness::Postgres)
    }

    #[test]
    fn values_fit_their_kinds_or_say_why_not() {
        assert_eq!(strict("true", Kind::Boolean), Ok(Value::Boolean(true)));
        assert!(strict("1", Kind::Boolean).is_err());
        assert_eq!(strict("5.0", Kind::Integer), Ok(Value::Integer(5)));
        assert_eq!(strict("18446744073709551616", Kind::Integer), Err(Misfit::Widen(Kind::Decimal)));
        assert_eq!(strict("1.5", Kind::Integer), Err(Misfit::Widen(Kind::Decimal)));
        assert!(matches!(strict("\"5\"", Kind::Integer), Err(Misfit::Refuse(_))));
        assert_eq!(strict("1.50", Kind::Decimal), Ok(Value::Decimal("1.50")));
        assert!(strict("1e200000", Kind::Decimal).is_err());
        assert_eq!(convert("1e200000", Kind::Decimal, Strictness::Any), Ok(Value::Decimal("1e200000")));
        assert_eq!(strict(r#""a\n""#, Kind::Text), Ok(Value::Text("a\n".into())));
        assert_eq!(strict("[1, 2]", Kind::Text), Ok(Value::Text("[1, 2]".into())));
        assert!(strict(r#""\u0000""#, Kind::Text).is_err());
        assert_eq!(convert(r#""\u0000""#, Kind::Text, Strictness::Any), Ok(Value::Text("\0".into())));
        assert!(strict(r#""\ud800""#, Kind::Text).is_err());
        assert_eq!(strict(r#""2024-01-01""#, Kind::Date), Ok(Value::Text("2024-01-01".into())));
        assert!(strict("20240101", Kind::Date).is_err());
        assert_eq!(strict(r#"{"a":1.0}"#, Kind::Json), Ok(Value::Json(r#"{"a":1.0}"#)));
        for kind in Kind::ALL {
            assert_eq!(strict("null", kind), Ok(Value::Null));
        }
    }
}
