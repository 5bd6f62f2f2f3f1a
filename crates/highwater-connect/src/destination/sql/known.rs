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

    /// Why the column did not take a value, for people.
    pub(crate) fn refusal(&self, column: usize, why: &str) -> String {
        match self.entry.columns.get(column) {
            Some(column) => format!("{:?} is {why}, in a column of type {}", column.source, column.kind),
            None => why.to_owned(),
        }
    }
}

/// The members without a column, as one JSON object.
pub(crate) fn extra(fields: &Fields<'_>, strictness: Strictness) -> Result<Option<String>, String> {
    let refused = |why: &str| format!("a member that no column is for: {why}");
    let Some(text) = fields::to_object(&fields.others).map_err(|error| refused(&error.to_string()))? else {
        return Ok(None);
    };
    match value::convert(&text, Kind::Json, strictness) {
        Err(Misfit::Refuse(why)) => Err(refused(why)),
        _ => Ok(Some(text)),
    }
}
