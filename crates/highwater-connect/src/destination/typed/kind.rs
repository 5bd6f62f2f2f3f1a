//! The types of columns, and which of them can become which without losing a value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a column holds. Each destination has a type of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Boolean,
    /// Of 64 bits.
    Integer,
    /// A number of any size, exact where the destination can.
    Decimal,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Text,
    /// Anything.
    Json,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Kind; 10] = [
        Kind::Boolean,
        Kind::Integer,
        Kind::Decimal,
        Kind::Date,
        Kind::Time,
        Kind::TimeTz,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Text,
        Kind::Json,
    ];

    /// Whether it is a day, a time, or both.
    pub(crate) fn is_temporal(self) -> bool {
        matches!(self, Kind::Date | Kind::Time | Kind::TimeTz | Kind::Timestamp | Kind::TimestampTz)
    }

    /// The next wider kind; `None` above JSON.
    fn wider(self) -> Option<Kind> {
        match self {
            Kind::Integer => Some(Kind::Decimal),
            kind if kind.is_temporal() => Some(Kind::Text),
            Kind::Json => None,
            _ => Some(Kind::Json),
        }
    }

    /// Whether every value of `other` is one of this kind, too.
    pub(crate) fn covers(self, other: Kind) -> bool {
        let mut kind = Some(other);
        while let Some(narrow) = kind {
            if narrow == self {
                return true;
            }
            kind = narrow.wider();
        }
        false
    }

    /// The narrowest kind that covers both.
    pub(crate) fn join(self, other: Kind) -> Kind {
        let mut kind = self;
        while !kind.covers(other) {
            match kind.wider() {
                Some(wider) => kind = wider,
                None => return Kind::Json,
            }
        }
        kind
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Decimal => "decimal",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::TimeTz => "time with time zone",
            Kind::Timestamp => "timestamp",
            Kind::TimestampTz => "timestamp with time zone",
            Kind::Text => "text",
            Kind::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of it: there are ten kinds.
    #[test]
    fn joining_is_a_lattice_so_widening_is_monotone() {
        for a in Kind::ALL {
            assert_eq!(a.join(a), a);
            for b in Kind::ALL {
                let joined = a.join(b);
                assert_eq!(joined, b.join(a));
                assert!(joined.covers(a) && joined.covers(b));
                assert_eq!(a.covers(b), joined == a);
                assert!(a == b || !(a.covers(b) && b.covers(a)));
                for c in Kind::ALL {
                    assert_eq!(joined.join(c), a.join(b.join(c)));
                    assert!(!(c.covers(a) && c.covers(b)) || c.covers(joined), "{joined} is the narrowest");
                }
            }
        }
    }

    #[test]
    fn what_mixes_kinds_is_json_and_what_is_near_is_not() {
        assert_eq!(Kind::Integer.join(Kind::Decimal), Kind::Decimal);
        assert_eq!(Kind::Date.join(Kind::TimestampTz), Kind::Text);
        assert_eq!(Kind::Text.join(Kind::Integer), Kind::Json);
        assert_eq!(Kind::Boolean.join(Kind::Integer), Kind::Json);
    }
}
