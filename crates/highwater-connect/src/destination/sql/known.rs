//! A stream's table, and what is worked out from it once and used for every record.

use highwater::{Record, StreamName};
use serde_json::value::RawValue;

use super::catalog::Entry;
use super::fields::{self, Fields, Layout};
use super::kind::Kind;
use super::value::{self, Misfit, Strictness, Value};
use crate::definition::StreamDefinition;

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) entry: Entry,
    /// With which the table was compared last.
    definition: Option<StreamDefinition>,
    pub(crate) layout: Layout,
    key_columns: Vec<Option<usize>>,
}

/// A value that did not fit, and its column.
pub(crate) struct Misfitting {
    pub(crate) column: usize,
    pub(crate) misfit: Misfit,
}

impl Known {
    pub(crate) fn new(entry: Entry) -> Self {
        let (layout, key_columns) = (entry.layout(), entry.key_columns());
        Known { entry, definition: None, layout, key_columns }
    }

    /// The entry has changed.
    pub(crate) fn refresh(&mut self) {
        (self.layout, self.key_columns) = (self.entry.layout(), self.entry.key_columns());
    }

    pub(crate) fn name(&self) -> &StreamName {
        &self.entry.stream
    }

    /// Whether the table follows this definition already.
    pub(crate) fn follows(&self, definition: &StreamDefinition) -> bool {
        self.definition
            .as_ref()
            .is_some_and(|known| known.schema == definition.schema && known.key == definition.key)
    }

    pub(crate) fn now_follows(&mut self, definition: &StreamDefinition) {
        self.definition = Some(definition.clone());
    }

    /// The record's members; a delete may come without any.
    pub(crate) fn fields<'p>(&self, record: &'p Record) -> Result<Fields<'p>, String> {
        if record.payload.is_empty() {
            return Ok(self.layout.empty());
        }
        self.layout.read(&record.payload)
    }

    /// Puts the key's own values where the record lacks them: a delete, or a part of a row, may have no more than the key.
    pub(crate) fn fill_key<'p>(&self, fields: &mut Fields<'p>, key: &'p [u8]) {
        let Ok(parts) = serde_json::from_slice::<Vec<&RawValue>>(key) else { return };
        if parts.len() != self.key_columns.len() {
            return;
        }
        for (part, column) in parts.iter().zip(&self.key_columns) {
            if let Some(empty @ None) = column.and_then(|column| fields.columns.get_mut(column)) {
                *empty = Some(part.get());
            }
        }
    }

    /// The members as their columns take them.
    pub(crate) fn values<'p>(
        &self,
        fields: &Fields<'p>,
        strictness: Strictness,
    ) -> Result<Vec<Option<Value<'p>>>, Misfitting> {
        let pairs = fields.columns.iter().zip(&self.entry.columns).enumerate();
        let values = pairs.map(|(index, (raw, column))| {
            let value = raw.map(|raw| value::convert(raw, column.kind, strictness)).transpose();
            value.map_err(|misfit| Misfitting { column: index, misfit })
        });
        values.collect()
    }

    /// Why the column did not take a value, which is `what`, for people.
    pub(crate) fn refusal(&self, column: usize, what: &str) -> String {
        match self.entry.columns.get(column) {
            Some(column) => format!("{:?} is {what}, in a column of type {}", column.source, column.kind),
            None => what.to_owned(),
        }
    }
}

/// The members without a column, as one JSON object.
pub(crate) fn extra(fields: &Fields<'_>, strictness: Strictness) -> Result<Option<String>, String> {
    let Some(text) = fields::to_object(&fields.others)
        .map_err(|error| format!("a member that no column is for: {error}"))?
    else {
        return Ok(None);
    };
    match value::convert(&text, Kind::Json, strictness) {
        Err(Misfit::Refuse(what)) => Err(format!("what no column is for is {what}")),
        _ => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Dialect;
    use super::super::names::Taken;
    use super::super::settings::Settings;
    use super::super::table::Column;
    use super::*;

    fn refused(kind: Kind, value: &str) -> String {
        let definition = StreamDefinition::new(StreamName { namespace: None, name: "s".to_owned() });
        let (settings, mut taken) = (Settings::new("s"), Taken::default());
        let mut entry = Entry::new(&definition, &settings, Dialect::Sqlite.names(), &mut taken);
        entry.columns = vec![Column { source: "c".to_owned(), name: "c".to_owned(), kind }];
        let known = Known::new(entry);
        let record = format!("{{\"c\":{value}}}");
        let fields = known.layout.read(record.as_bytes()).unwrap();
        match known.values(&fields, Strictness::Postgres) {
            Err(Misfitting { column, misfit: Misfit::Refuse(what) }) => known.refusal(column, what),
            taken => panic!("{kind} {value}: {:?}", taken.map_err(|misfitting| misfitting.misfit)),
        }
    }

    #[test]
    fn every_refusal_is_a_sentence() {
        let deep = "[".repeat(1001) + &"]".repeat(1001);
        for (kind, value, is) in [
            (Kind::Boolean, "1", "not a boolean"),
            (Kind::Integer, "\"1\"", "not a number"),
            (Kind::Decimal, "1e200000", "a number with too many digits"),
            (Kind::Text, r#""\u0000""#, "text with a NUL character"),
            (Kind::Text, r#""\ud800""#, "text with half a character"),
            (Kind::Date, "1", "not a string"),
            (Kind::Date, "\"1\"", "not a date: expected YYYY-MM-DD"),
            (Kind::Time, "\"1\"", "not a time: expected HH:MM:SS"),
            (Kind::Timestamp, "\"1\"", "not a timestamp: expected YYYY-MM-DDTHH:MM:SS"),
            (Kind::Timestamp, "\"2024-01-01T00:00:00+01:00\"", "a time with a time zone"),
            (Kind::Json, r#"["\u0000"]"#, "JSON with a NUL character in a string"),
            (Kind::Json, r#"["\ud800"]"#, "JSON with half a character in a string"),
            (Kind::Json, "[1e200000]", "JSON with a number of too many digits"),
            (Kind::Json, &deep, "nested too deeply"),
        ] {
            assert_eq!(refused(kind, value), format!("\"c\" is {is}, in a column of type {kind}"));
        }
    }

    #[test]
    fn a_refusal_of_what_no_column_is_for_is_a_sentence() {
        let fields = Layout::new([]).read(br#"{"c":"\u0000"}"#).unwrap();
        let refused = extra(&fields, Strictness::Postgres).unwrap_err();
        assert_eq!(refused, "what no column is for is JSON with a NUL character in a string");
    }
}
