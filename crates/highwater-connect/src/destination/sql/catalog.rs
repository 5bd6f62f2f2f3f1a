//! What a destination knows of a stream: its table, its columns, and which generation it shows.

use highwater::{ColumnPath, StreamName};
use serde::{Deserialize, Serialize};

use super::evolution::{self, Step};
use super::fields::Layout;
use super::json_schema::{self, Declared};
use super::kind::Kind;
use super::ledger::identity;
use super::names::{NameRules, OURS, Taken, hash};
use super::settings::{Mode, Settings};
use super::table::{Column, Shape, Table};
use crate::definition::{Generation, StreamDefinition};
use crate::failure::{Failure, Result};

/// Is kept in the database, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) stream: StreamName,
    pub(crate) table: String,
    /// The table in which a new generation is built.
    pub(crate) aside: Option<Aside>,
    pub(crate) mode: Mode,
    pub(crate) shape: Shape,
    pub(crate) key: Vec<ColumnPath>,
    /// The newest generation that replaced the others.
    pub(crate) generation: u64,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aside {
    pub(crate) table: String,
    pub(crate) generation: u64,
}

impl Entry {
    /// For a stream that has no table yet, under a name that is not taken.
    pub(crate) fn new(
        definition: &StreamDefinition,
        settings: &Settings,
        rules: &NameRules,
        taken: &mut Taken,
    ) -> Entry {
        let identity = format!("{}\0{}", settings.name, identity(&definition.name));
        Entry {
            stream: definition.name.clone(),
            table: rules.choose(&wanted_name(&definition.name), &identity, taken),
            aside: None,
            mode: settings.mode,
            shape: Shape::of(settings.mode, !definition.key.is_empty()),
            key: definition.key.clone(),
            generation: 0,
            columns: Vec::new(),
        }
    }

    /// The name of the table in which a new generation is built: ours, so no stream's table has it.
    pub(crate) fn aside_name(&self) -> String {
        format!("{OURS}_next_{}", hash(&self.table, 0))
    }

    /// Whether records of this generation wait until it is complete, instead of being shown at once.
    pub(crate) fn waits(&self, generation: &Generation) -> bool {
        let replaces = generation.minimum == generation.number && generation.number > self.generation;
        self.mode == Mode::Overwrite && replaces
    }

    /// The table that records are written to.
    pub(crate) fn target(&self, is_aside: bool) -> Table<'_> {
        let name = match &self.aside {
            Some(aside) if is_aside => &aside.table,
            _ => &self.table,
        };
        Table { stream: &self.stream, name, shape: self.shape, columns: &self.columns }
    }

    /// The tables that there are.
    pub(crate) fn tables(&self) -> Vec<String> {
        let aside = self.aside.iter().map(|aside| aside.table.clone());
        std::iter::once(self.table.clone()).chain(aside).collect()
    }

    /// Whether the table can go on with this definition.
    pub(crate) fn check(&self, definition: &StreamDefinition, settings: &Settings) -> Result<()> {
        let table = &self.table;
        if self.mode != settings.mode {
            let (was, is) = (self.mode.name(), settings.mode.name());
            return Err(Failure::config(format!(
                "table {table:?} was made in mode {was}, and mode {is} is asked for: use another name for this destination, which \
                 begins anew; or rename the table by hand, and another is made for what comes from here on"
            )));
        }
        if self.key != definition.key {
            return Err(Failure::config(format!(
                "table {table:?} has rows by the key {:?}, and the stream's key is now {:?}: rename the table by hand, and another \
                 is made for what comes from here on; a refresh of the stream (highwater refresh) fills it with the rest",
                self.key, definition.key
            )));
        }
        Ok(())
    }

    /// What makes the table take what the definition's schema declares.
    pub(crate) fn plan(&self, definition: &StreamDefinition, rules: &NameRules) -> Result<Vec<Step>> {
        let refused = |why: String| Failure::config(format!("table {:?} can't follow: {why}", self.table));
        let declared = match &definition.schema {
            None => Vec::new(),
            Some(schema) => json_schema::columns(schema)
                .map_err(|error| refused("the stream's schema is not JSON".to_owned()).because(error))?,
        };
        let mut all = declared;
        all.extend(self.undeclared_key(definition, &all));
        let way_out = "rename that column by hand, and another is made for what comes from here on";
        evolution::plan(&self.columns, &all, rules).map_err(|why| refused(format!("{why}: {way_out}")))
    }

    /// Key columns have a column, whether or not a schema declares them.
    fn undeclared_key(&self, definition: &StreamDefinition, declared: &[Declared]) -> Vec<Declared> {
        let mut undeclared: Vec<Declared> = Vec::new();
        for name in definition.key.iter().filter_map(|path| path.first()) {
            let is_known = declared.iter().chain(&undeclared).any(|column| column.name == *name)
                || self.columns.iter().any(|column| column.source == *name);
            if !is_known {
                undeclared.push(Declared { name: name.clone(), kind: Kind::Json });
            }
        }
        undeclared
    }

    /// Where members go.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.columns.iter().map(|column| column.source.as_str()))
    }

    /// For each part of the key, the column that holds it: its own, or none where it lies deeper.
    pub(crate) fn key_columns(&self) -> Vec<Option<usize>> {
        let column = |path: &ColumnPath| match path.as_slice() {
            [top] => self.columns.iter().position(|column| column.source == *top),
            _ => None,
        };
        self.key.iter().map(column).collect()
    }
}

fn wanted_name(stream: &StreamName) -> String {
    match stream.namespace.as_deref() {
        None | Some("") => stream.name.clone(),
        Some(namespace) => format!("{namespace}_{}", stream.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::sql::dialect::Dialect;

    fn named(namespace: Option<&str>, name: &str) -> StreamDefinition {
        StreamDefinition::new(StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }

    #[test]
    fn streams_that_would_share_a_table_do_not() {
        let mut taken = Taken::default();
        let settings = Settings::new("shop");
        let names: Vec<String> = [
            named(Some("a"), "b_c"),
            named(Some("a_b"), "c"),
            named(None, "A_B_C"),
            named(None, "orders"),
            named(Some(""), "orders"),
        ]
        .iter()
        .map(|definition| Entry::new(definition, &settings, Dialect::Sqlite.names(), &mut taken).table)
        .collect();
        assert_eq!((names[0].as_str(), names[3].as_str()), ("a_b_c", "orders"));
        let distinct: std::collections::BTreeSet<String> = names.iter().map(|n| n.to_lowercase()).collect();
        assert_eq!(distinct.len(), 5);
    }

    #[test]
    fn a_key_without_a_schema_has_its_columns() {
        let mut definition = named(None, "s");
        definition.key = vec![vec!["id".to_owned()], vec!["customer".to_owned(), "no".to_owned()]];
        let settings = Settings::new("shop");
        let mut entry = Entry::new(&definition, &settings, Dialect::Sqlite.names(), &mut Taken::default());
        for step in entry.plan(&definition, Dialect::Sqlite.names()).unwrap() {
            evolution::apply(&mut entry.columns, &step);
        }
        assert_eq!(entry.columns.len(), 2);
        assert_eq!(entry.key_columns(), [Some(0), None]);
        assert_eq!(entry.plan(&definition, Dialect::Sqlite.names()).unwrap(), []);
    }
}
