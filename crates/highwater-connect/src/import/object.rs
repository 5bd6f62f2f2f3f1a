//! A JSON object taken apart, each value as its very text.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::{Failure, Result};

/// An object's entries, in their order.
pub(crate) struct Object<'a> {
    entries: Vec<(String, &'a str)>,
    /// Where it stands, for messages.
    at: String,
}

impl<'a> Object<'a> {
    /// Reads an object. `at` says where it stands; empty for the whole file.
    pub(crate) fn read(text: &'a str, at: &str) -> Result<Object<'a>> {
        let place = if at.is_empty() { String::new() } else { format!("{at}: ") };
        let Entries(entries) = serde_json::from_str(text)
            .map_err(|e| Failure::config(format!("{place}expected an object: {e}")))?;
        Ok(Object { entries, at: at.to_owned() })
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), *value))
    }

    /// A value, if it is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.entries()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
            .filter(|value| *value != "null")
    }

    /// A value that has to be there.
    pub(crate) fn needed(&self, key: &str) -> Result<&'a str> {
        self.get(key).ok_or_else(|| Failure::config(format!("{}: it is missing", self.at(key))))
    }

    /// A value that is a text, if it is there.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>> {
        let wrong = |e| Failure::config(format!("{}: expected a text: {e}", self.at(key)));
        self.get(key).map(|value| serde_json::from_str(value).map_err(wrong)).transpose()
    }

    /// A value that is an object, if it is there.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Object<'a>>> {
        self.get(key).map(|value| Object::read(value, &self.at(key))).transpose()
    }

    /// A value that is a list, if it is there.
    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        self.get(key).map(|value| list(value, &self.at(key))).transpose()
    }

    /// Where a value stands.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The elements of a list, each as its very text.
pub(crate) fn list<'a>(text: &'a str, at: &str) -> Result<Vec<&'a str>> {
    let elements: Vec<&'a RawValue> =
        serde_json::from_str(text).map_err(|e| Failure::config(format!("{at}: expected a list: {e}")))?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Entries<'a>(Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut entries: Vec<(String, &'de str)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            if !seen.insert(key.clone()) {
                return Err(serde::de::Error::custom(format_args!("the key {key:?} is there twice")));
            }
            entries.push((key, value.get()));
        }
        Ok(Entries(entries))
    }
}
