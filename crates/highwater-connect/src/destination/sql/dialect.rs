//! Where the two databases' SQL differs. Values never stand in it: they are parameters, or go through COPY.

use super::kind::Kind;
use super::names::{NameRules, quote};
use super::table::{Column, Own, Shape, Table};
use super::value::Strictness;

/// Names of system columns, which every table of PostgreSQL has.
const POSTGRES_RESERVED: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
const POSTGRES_NAMES: NameRules =
    NameRules { bytes_max: 63, reserved: POSTGRES_RESERVED, prefixes: &["pg_"] };
/// SQLite has no limit of its own; beyond this a name is of no use to anybody.
const SQLITE_NAMES: NameRules = NameRules { bytes_max: 255, reserved: &[], prefixes: &["sqlite_"] };

/// The scalar function by which SQLite makes JSON of a column: see `sqlite::functions`.
pub(crate) const TO_JSON: &str = "_highwater_to_json";

/// Which SQL is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres {
        /// Where the tables are.
        schema: String,
    },
}

impl Dialect {
    pub(crate) fn names(&self) -> &'static NameRules {
        match self {
            Dialect::Sqlite => &SQLITE_NAMES,
            Dialect::Postgres { .. } => &POSTGRES_NAMES,
        }
    }

    pub(crate) fn strictness(&self) -> Strictness {
        match self {
            Dialect::Sqlite => Strictness::Any,
            Dialect::Postgres { .. } => Strictness::Postgres,
        }
    }

    /// A table's name in a statement.
    pub(crate) fn table(&self, name: &str) -> String {
        match self {
            Dialect::Sqlite => quote(name),
            Dialect::Postgres { schema } => format!("{}.{}", quote(schema), quote(name)),
        }
    }

    /// The parameter of this number, from 1.
    pub(crate) fn param(&self, number: usize) -> String {
        match self {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Postgres { .. } => format!("${number}"),
        }
    }

    /// The parameter of this number, which is given as the text of a timestamp.
    pub(crate) fn moment_param(&self, number: usize) -> String {
        match self {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Postgres { .. } => format!("${number}::text::timestamptz"),
        }
    }

    /// In SQLite, `ANY` keeps a number as it was given: nothing is rounded to a float on its way.
    pub(crate) fn type_of(&self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Dialect::Sqlite, Kind::Boolean | Kind::Integer) => "INTEGER",
            (Dialect::Sqlite, Kind::Decimal) => "ANY",
            (Dialect::Sqlite, _) => "TEXT",
            (Dialect::Postgres { .. }, kind) => match kind {
                Kind::Boolean => "boolean",
                Kind::Integer => "bigint",
                Kind::Decimal => "numeric",
                Kind::Date => "date",
                Kind::Time => "time",
                Kind::TimeTz => "timetz",
                Kind::Timestamp => "timestamp",
                Kind::TimestampTz => "timestamptz",
                Kind::Text => "text",
                Kind::Json => "jsonb",
            },
        }
    }

    fn own_type(&self, own: Own) -> String {
        let of_kind = self.type_of(own.kind());
        match (self, own) {
            // Compared as bytes, which is faster, and the same whatever the database's locale.
            (Dialect::Postgres { .. }, Own::Key) => format!("{of_kind} COLLATE \"C\""),
            _ => of_kind.to_owned(),
        }
    }

    /// Makes the table and its index.
    pub(crate) fn create(&self, table: &Table<'_>) -> Vec<String> {
        let of_stream = table
            .columns
            .iter()
            .map(|column| format!("{} {}", quote(&column.name), self.type_of(column.kind)));
        let own = table.shape.own_columns();
        let of_ours = own.iter().map(|own| format!("{} {}", quote(own.name()), self.own_type(*own)));
        let columns: Vec<String> = of_stream.chain(of_ours).collect();
        let identity: Vec<String> = table.shape.identity().iter().map(|own| quote(own.name())).collect();
        let strict = if *self == Dialect::Sqlite { " STRICT" } else { "" };
        let (name, columns, identity) = (self.table(table.name), columns.join(", "), identity.join(", "));
        let mut statements =
            vec![format!("CREATE TABLE {name} ({columns}, PRIMARY KEY ({identity})){strict}")];
        if table.shape == Shape::Versions {
            statements.push(self.index_current(table.name));
        }
        statements
    }

    /// Finds a key's current version.
    fn index_current(&self, table: &str) -> String {
        let index = quote(&index_current(table));
        let (key, to) = (quote(Own::Key.name()), quote(Own::ValidTo.name()));
        format!("CREATE INDEX {index} ON {} ({key}) WHERE {to} IS NULL", self.table(table))
    }

    pub(crate) fn add(&self, table: &str, column: &Column) -> String {
        let (name, kind) = (quote(&column.name), self.type_of(column.kind));
        format!("ALTER TABLE {} ADD COLUMN {name} {kind}", self.table(table))
    }

    /// Gives a column a wider type, with all its values.
    pub(crate) fn widen(&self, table: &str, column: &Column, to: Kind) -> Vec<String> {
        let (table, name) = (self.table(table), quote(&column.name));
        if let Dialect::Postgres { .. } = self {
            let kind = self.type_of(to);
            let using = match to {
                Kind::Json => format!("to_jsonb({name})"),
                // Days and times as ISO 8601 writes them, which a cast does not.
                Kind::Text => format!("to_jsonb({name}) #>> '{{}}'"),
                _ => format!("{name}::{kind}"),
            };
            return vec![format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind} USING {using}")];
        }
        let value = match to {
            Kind::Json => format!(
                "{TO_JSON}({name}, {})",
                u8::from(column.kind == Kind::Boolean) + 2 * u8::from(column.kind == Kind::Decimal)
            ),
            _ if self.type_of(to) == self.type_of(column.kind) => return Vec::new(),
            _ => name.clone(),
        };
        // SQLite changes no column's type; a copy takes its place, and indexes and views of others stay.
        let copy = quote(&format!("{}_copy", super::names::OURS));
        vec![
            format!("ALTER TABLE {table} ADD COLUMN {copy} {}", self.type_of(to)),
            format!("UPDATE {table} SET {copy} = {value}"),
            format!("ALTER TABLE {table} DROP COLUMN {name}"),
            format!("ALTER TABLE {table} RENAME COLUMN {copy} TO {name}"),
        ]
    }

    /// Takes the index that [`create`](Dialect::create) made away from a table that has another name now.
    pub(crate) fn drop_index_current(&self, table: &str) -> String {
        format!("DROP INDEX IF EXISTS {}", self.table(&index_current(table)))
    }

    /// The names of a table's columns.
    pub(crate) fn columns(&self) -> &'static str {
        match self {
            Dialect::Sqlite => "SELECT name FROM pragma_table_info(?1)",
            Dialect::Postgres { .. } => {
                "SELECT attname::text FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_class c ON c.oid = attrelid \
                 JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace \
                 WHERE n.nspname::text = $1 AND relname::text = $2 AND attnum > 0 AND NOT attisdropped"
            }
        }
    }

    /// Every name that a new table can't have.
    pub(crate) fn relations(&self) -> &'static str {
        match self {
            Dialect::Sqlite => "SELECT name FROM sqlite_schema",
            // A table is a type, too.
            Dialect::Postgres { .. } => {
                "SELECT relname::text FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace \
                 WHERE n.nspname::text = $1 \
                 UNION SELECT typname::text FROM pg_catalog.pg_type JOIN pg_catalog.pg_namespace n ON n.oid = typnamespace \
                 WHERE n.nspname::text = $1"
            }
        }
    }
}

/// The name of that index, of a length that every name can have.
fn index_current(table: &str) -> String {
    format!("{}_current_{}", super::names::OURS, super::names::hash(table, 0))
}
