//! A record's payload, taken apart: the members that have a column, and the others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Which member goes into which column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout(HashMap<String, usize>);

/// The members of one record, as JSON text borrowed from its payload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'p> {
    /// One for each column; `None` where the record does not have it, which is not the same as null.
    pub(crate) columns: Vec<Option<&'p str>>,
    /// Members without a column.
    pub(crate) others: Vec<(Cow<'p, str>, &'p str)>,
}

impl Layout {
    /// Columns by the members they hold, in their order.
    pub(crate) fn new<'a>(members: impl IntoIterator<Item = &'a str>) -> Self {
        Layout(members.into_iter().enumerate().map(|(index, name)| (name.to_owned(), index)).collect())
    }

    pub(crate) fn index(&self, member: &str) -> Option<usize> {
        self.0.get(member).copied()
    }

    /// No members at all.
    pub(crate) fn empty<'p>(&self) -> Fields<'p> {
        Fields { columns: vec![None; self.0.len()], others: Vec::new() }
    }

    /// Takes a payload apart; the error is for people.
    pub(crate) fn read<'p>(&self, payload: &'p [u8]) -> Result<Fields<'p>, String> {
        let text = std::str::from_utf8(payload).map_err(|_| "the record is not UTF-8".to_owned())?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = Reader(self).deserialize(&mut deserializer).and_then(|fields| {
            deserializer.end()?;
            Ok(fields)
        });
        fields.map_err(|error| format!("the record is not a JSON object: {error}"))
    }
}

struct Reader<'l>(&'l Layout);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// A member's name, borrowed unless it has escapes in it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = self.0.empty();
        while let Some(Name(name)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            match self.0.index(&name).and_then(|index| fields.columns.get_mut(index)) {
                Some(column) => *column = Some(value.get()),
                None => fields.others.push((name, value.get())),
            }
        }
        Ok(fields)
    }
}

/// The members as the text of a JSON object; `None` if there are none. One that is there twice stays so: the last counts.
pub(crate) fn to_object(members: &[(Cow<'_, str>, &str)]) -> Result<Option<String>, serde_json::Error> {
    if members.is_empty() {
        return Ok(None);
    }
    let mut text = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        text.push_str(value);
    }
    text.push('}');
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_go_to_their_columns_and_the_rest_together() {
        let layout = Layout::new(["id", "a\"b"]);
        let fields = layout.read(br#" {"a\"b":[ 1 ],"x":1.0,"id":1,"y\n":{},"id":null} "#).unwrap();
        assert_eq!(fields.columns, [Some("null"), Some("[ 1 ]")]);
        assert_eq!(to_object(&fields.others).unwrap().unwrap(), r#"{"x":1.0,"y\n":{}}"#);
        assert_eq!(layout.read(b"{}").unwrap(), layout.empty());
        for bad in [&b"[]"[..], b"{", b"", b"null", b"{}{}", b"{\"a\":\xff}"] {
            assert!(layout.read(bad).is_err());
        }
    }
}
