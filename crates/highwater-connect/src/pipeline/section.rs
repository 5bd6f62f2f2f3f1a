//! A table of a pipeline file, from which keys are taken one by one. What nobody took is unknown: an error that suggests the
//! nearest key that somebody asked for.

use std::time::Duration;

use toml::{Table, Value};

use super::nearest::nearest;
use super::variables::{Variables, secrets_in};
use crate::failure::{Failure, Result};
use crate::quantity;

/// One table, with its place in the file.
#[derive(Debug)]
pub struct Section<'a> {
    /// As it stands in the file: `destinations.lake`; empty for the whole file.
    path: String,
    table: Table,
    known: Vec<&'static str>,
    variables: &'a Variables,
}

impl<'a> Section<'a> {
    /// The table at `path`.
    pub fn new(path: impl Into<String>, table: Table, variables: &'a Variables) -> Self {
        Section { path: path.into(), table, known: Vec::new(), variables }
    }

    /// Where it stands in the file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What variables stand for.
    pub fn variables(&self) -> &'a Variables {
        self.variables
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A failure about one of its keys.
    pub fn wrong(&self, key: &str, what: impl std::fmt::Display) -> Failure {
        Failure::config(format!("{}: {what}", self.at(key)))
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn expected(&self, key: &str, what: &str, found: &Value) -> Failure {
        self.wrong(key, format!("expected {what}, found {}", article(found.type_str())))
    }

    /// A text, with its variables put in.
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(self.resolve(key, &text)?)),
            Some(other) => Err(self.expected(key, "a text", &other)),
        }
    }

    fn resolve(&self, key: &str, text: &str) -> Result<String> {
        self.variables.resolve(text).map_err(|failure| failure.while_doing(self.at(key)))
    }

    /// A text that has to be there.
    pub fn needed_text(&mut self, key: &'static str) -> Result<String> {
        self.text(key)?.ok_or_else(|| self.wrong(key, "is missing"))
    }

    /// A list of texts; empty where the key is absent.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(list) => self.list_of_texts(key, list),
        }
    }

    /// The same for the words of a command, which everybody on the machine can read while it runs: a variable whose value is a
    /// secret is refused by its name.
    pub fn words(&mut self, key: &'static str) -> Result<Vec<String>> {
        let Some(list) = self.take(key) else { return Ok(Vec::new()) };
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(secret) = words.flat_map(secrets_in).next() {
            return Err(self.wrong(key, format!(
                "${{{secret}}} would stand in the arguments of a process, where everybody on this machine can read it; its place is \
                 environment, or a connector's config"
            )));
        }
        self.list_of_texts(key, list)
    }

    fn list_of_texts(&self, key: &str, value: Value) -> Result<Vec<String>> {
        let Value::Array(list) = value else { return Err(self.expected(key, "a list of texts", &value)) };
        let text = |one| match one {
            Value::String(text) => self.resolve(key, &text),
            other => Err(self.expected(key, "a list of texts", &other)),
        };
        list.into_iter().map(text).collect()
    }

    /// A list of lists of texts, as Airbyte spells keys; texts alone are lists of one.
    pub fn paths(&mut self, key: &'static str) -> Result<Option<Vec<Vec<String>>>> {
        let list = match self.take(key) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.expected(key, "a list", &other)),
        };
        let path = |one| match one {
            Value::String(text) => Ok(vec![self.resolve(key, &text)?]),
            other => self.list_of_texts(key, other),
        };
        list.into_iter().map(path).collect::<Result<_>>().map(Some)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.expected(key, "true or false", &other)),
        }
    }

    /// A number that is not negative.
    pub fn count(&mut self, key: &'static str) -> Result<Option<u64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(number)) if number >= 0 => Ok(Some(number.cast_unsigned())),
            Some(Value::Integer(_)) => Err(self.wrong(key, "is negative")),
            Some(other) => Err(self.expected(key, "a number", &other)),
        }
    }

    /// A number of any kind.
    pub fn number(&mut self, key: &'static str) -> Result<Option<f64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number as f64)),
            Some(Value::Float(number)) => Ok(Some(number)),
            Some(other) => Err(self.expected(key, "a number", &other)),
        }
    }

    /// A size in bytes: a number, or a text like `64MiB`.
    pub fn size(&mut self, key: &'static str) -> Result<Option<u64>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Integer(bytes)) if bytes >= 0 => Ok(Some(bytes.cast_unsigned())),
            Some(Value::String(text)) => {
                quantity::size(&text).map(Some).map_err(|what| self.wrong(key, what))
            }
            Some(other) => Err(self.expected(key, "a size like \"64MiB\"", &other)),
        }
    }

    /// A time: a text like `30s` or `250ms`.
    pub fn time(&mut self, key: &'static str) -> Result<Option<Duration>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => {
                quantity::duration(&text).map(Some).map_err(|what| self.wrong(key, what))
            }
            Some(other) => Err(self.expected(key, "a time like \"30s\"", &other)),
        }
    }

    /// One of some words, given with what each stands for.
    pub fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*meant));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.wrong(key, format!("{text:?} is none of {}", known.join(", "))))
    }

    /// A table in it; an empty one where the key is absent.
    pub fn section(&mut self, key: &'static str) -> Result<Section<'a>> {
        match self.take(key) {
            None => Ok(Section::new(self.at(key), Table::new(), self.variables)),
            Some(Value::Table(table)) => Ok(Section::new(self.at(key), table, self.variables)),
            Some(other) => Err(self.expected(key, "a table", &other)),
        }
    }

    /// A table as it stands, to be read later.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Table> {
        self.section(key).map(|section| section.table)
    }

    /// The tables of an array of tables as they stand.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Table>> {
        Ok(self.sections(key)?.into_iter().map(|section| section.table).collect())
    }

    /// Tables with names of the user's choice, as they stand.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Result<Vec<(String, Table)>> {
        Ok(self.named_sections(key)?.into_iter().map(|(name, section)| (name, section.table)).collect())
    }

    /// A text whose variables are put in later.
    pub(super) fn raw_text(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.expected(key, "a text", &other)),
        }
    }

    /// The tables of an array of tables.
    pub fn sections(&mut self, key: &'static str) -> Result<Vec<Section<'a>>> {
        let list = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(self.expected(key, "an array of tables", &other)),
        };
        let section = |(n, one)| match one {
            Value::Table(table) => Ok(Section::new(format!("{}[{n}]", self.at(key)), table, self.variables)),
            other => Err(self.expected(key, "an array of tables", &other)),
        };
        list.into_iter().enumerate().map(section).collect()
    }

    /// A table of tables that have names of the user's choice, in their order.
    pub fn named_sections(&mut self, key: &'static str) -> Result<Vec<(String, Section<'a>)>> {
        let mut inner = self.section(key)?;
        let table = std::mem::take(&mut inner.table);
        let section = |(name, value): (String, Value)| match value {
            Value::Table(table) => {
                let path = format!("{}.{name}", inner.path);
                Ok((name, Section::new(path, table, self.variables)))
            }
            other => Err(inner.expected(&name, "a table", &other)),
        };
        table.into_iter().map(section).collect()
    }

    /// Any value, as JSON, with variables put in; for what is not ours.
    pub fn json(&mut self, key: &'static str) -> Result<Option<serde_json::Value>> {
        self.take(key).map(|value| self.to_json(key, value)).transpose()
    }

    fn to_json(&self, key: &str, value: Value) -> Result<serde_json::Value> {
        use serde_json::Value as Json;
        Ok(match value {
            Value::String(text) => Json::String(self.resolve(key, &text)?),
            Value::Integer(number) => Json::from(number),
            Value::Float(number) => Json::from(number),
            Value::Boolean(flag) => Json::Bool(flag),
            Value::Datetime(time) => Json::String(time.to_string()),
            Value::Array(list) => {
                Json::Array(list.into_iter().map(|one| self.to_json(key, one)).collect::<Result<_>>()?)
            }
            Value::Table(table) => {
                let member = |(name, one): (String, Value)| {
                    let value = self.to_json(&format!("{key}.{name}"), one)?;
                    Ok((name, value))
                };
                Json::Object(table.into_iter().map(member).collect::<Result<_>>()?)
            }
        })
    }

    /// A table of texts by names of the user's choice, as pairs.
    pub fn pairs(&mut self, key: &'static str) -> Result<Vec<(String, String)>> {
        let table = std::mem::take(&mut self.section(key)?.table);
        let pair = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, self.resolve(key, &text)?)),
            other => Err(self.expected(&format!("{key}.{name}"), "a text", &other)),
        };
        table.into_iter().map(pair).collect()
    }

    /// All that nobody took, as JSON, with variables put in.
    pub(super) fn whole(mut self) -> Result<serde_json::Map<String, serde_json::Value>> {
        let table = std::mem::take(&mut self.table);
        table.into_iter().map(|(key, value)| Ok((key.clone(), self.to_json(&key, value)?))).collect()
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<()> {
        let Some(unknown) = self.table.keys().next() else { return Ok(()) };
        let nearest = nearest(unknown, &self.known);
        let hint = match nearest {
            Some(key) => format!("unknown key; did you mean {key}?"),
            None => format!("unknown key; there are {}", self.known.join(", ")),
        };
        Err(self.wrong(unknown, hint))
    }
}

fn article(noun: &str) -> String {
    let is_vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if is_vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests;
