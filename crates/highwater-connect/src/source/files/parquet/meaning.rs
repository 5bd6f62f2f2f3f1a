//! What a column's values mean, by its types.

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::Type;
use serde_json::{Value, json};

/// What has to be known of a value to write it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Date,
    /// Since midnight.
    Time(Unit),
    /// Since 1970.
    Moment {
        unit: Unit,
        /// It is one of the world's moments; otherwise what a clock showed, wherever that hung.
        is_utc: bool,
    },
    Uuid,
    Other,
}

/// A fraction of a second, as its nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit(i128);

impl Unit {
    pub(super) const MILLIS: Unit = Unit(1_000_000);
    const MICROS: Unit = Unit(1000);
    const NANOS: Unit = Unit(1);

    fn of(unit: &TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Unit::MILLIS,
            TimeUnit::MICROS => Unit::MICROS,
            TimeUnit::NANOS => Unit::NANOS,
        }
    }

    pub(super) fn nanoseconds(self, value: i64) -> i128 {
        i128::from(value) * self.0
    }
}

impl Meaning {
    pub(super) fn of(column: &Type) -> Self {
        if column.is_group() {
            return Meaning::Other;
        }
        let info = column.get_basic_info();
        match info.logical_type_ref() {
            Some(LogicalType::Date) => return Meaning::Date,
            Some(LogicalType::Time(time)) => return Meaning::Time(Unit::of(&time.unit)),
            Some(LogicalType::Timestamp(moment)) => {
                return Meaning::Moment { unit: Unit::of(&moment.unit), is_utc: moment.is_adjusted_to_u_t_c };
            }
            Some(LogicalType::Uuid) => return Meaning::Uuid,
            _ => {}
        }
        // As files say it that are older than logical types.
        match info.converted_type() {
            ConvertedType::DATE => Meaning::Date,
            ConvertedType::TIME_MILLIS => Meaning::Time(Unit::MILLIS),
            ConvertedType::TIME_MICROS => Meaning::Time(Unit::MICROS),
            ConvertedType::TIMESTAMP_MILLIS => Meaning::Moment { unit: Unit::MILLIS, is_utc: true },
            ConvertedType::TIMESTAMP_MICROS => Meaning::Moment { unit: Unit::MICROS, is_utc: true },
            _ if column.get_physical_type() == Physical::INT96 => {
                Meaning::Moment { unit: Unit::NANOS, is_utc: true }
            }
            _ => Meaning::Other,
        }
    }
}

/// The column as a JSON schema.
pub(super) fn property(column: &Type) -> Value {
    let info = column.get_basic_info();
    let nullable = |name: &str| json!({"type": ["null", name]});
    let is_list = matches!(
        info.converted_type(),
        ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE
    );
    if info.has_repetition() && info.repetition() == Repetition::REPEATED || column.is_group() && is_list {
        return nullable("array");
    }
    if column.is_group() {
        return nullable("object");
    }
    let text = |format: &str| json!({"type": ["null", "string"], "format": format});
    match Meaning::of(column) {
        Meaning::Date => text("date"),
        Meaning::Time(_) => text("time"),
        Meaning::Moment { is_utc: true, .. } => text("date-time"),
        Meaning::Moment { is_utc: false, .. } => {
            let mut local = text("date-time");
            local["airbyte_type"] = json!("timestamp_without_timezone");
            local
        }
        Meaning::Uuid => text("uuid"),
        Meaning::Other if info.converted_type() == ConvertedType::DECIMAL => nullable("number"),
        Meaning::Other if info.logical_type_ref() == Some(&LogicalType::Float16) => nullable("number"),
        Meaning::Other => match column.get_physical_type() {
            Physical::BOOLEAN => nullable("boolean"),
            Physical::INT32 | Physical::INT64 | Physical::INT96 => nullable("integer"),
            Physical::FLOAT | Physical::DOUBLE => nullable("number"),
            Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => nullable("string"),
        },
    }
}
