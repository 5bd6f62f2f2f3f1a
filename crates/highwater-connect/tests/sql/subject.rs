//! The databases under test.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_connect::Destination;
use highwater_connect::destination::sql::{Postgres, Settings, Sqlite};

/// A row by its columns, each as text in one way for all databases; times as microseconds since 1970.
pub(crate) type Row = BTreeMap<String, Option<String>>;

pub(crate) trait Subject: Sync {
    fn open(&self, settings: Settings) -> Box<dyn Destination>;
    /// The environment by which a child process opens the same.
    fn environment(&self) -> Vec<(&'static str, String)>;
    fn table(&self, name: &str) -> String;
    /// Runs a statement of a user of the database.
    fn run(&self, sql: &str);
    /// A table's columns, in their order.
    fn columns(&self, table: &str) -> Vec<(String, String)>;
    fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>>;
    /// An expression that gives the column as text.
    fn as_text(&self, column: &str, kind: &str) -> String;
    fn is_sqlite(&self) -> bool;

    fn tables(&self) -> Vec<String>;
    /// Deletes the database, with everything in it.
    fn lose(&self);
    /// Ends all connections of destinations, where there are such.
    fn disconnect(&self);

    fn dump(&self, table: &str) -> Vec<Row> {
        let columns = self.columns(table);
        let list: Vec<String> = columns.iter().map(|(name, kind)| self.as_text(name, kind)).collect();
        let sql = format!(
            "SELECT {} FROM {} AS t ORDER BY t._highwater_checkpoint, t._highwater_row",
            list.join(", "),
            self.table(table)
        );
        let rows = self.texts(&sql);
        let named =
            rows.into_iter().map(|row| columns.iter().map(|(name, _)| name.clone()).zip(row).collect());
        named.collect()
    }

    fn count(&self, table: &str) -> usize {
        self.texts(&format!("SELECT 'x' FROM {}", self.table(table))).len()
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) struct InSqlite {
    dir: tempfile::TempDir,
}

impl InSqlite {
    pub(crate) fn new() -> Self {
        InSqlite { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("db.sqlite")
    }
}

impl Subject for InSqlite {
    fn open(&self, settings: Settings) -> Box<dyn Destination> {
        Box::new(Sqlite::new(self.path(), settings))
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("CHILD_SQLITE", self.path().to_str().unwrap().to_owned())]
    }

    fn table(&self, name: &str) -> String {
        quote(name)
    }

    fn run(&self, sql: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn columns(&self, table: &str) -> Vec<(String, String)> {
        let rows = self.texts(&format!("SELECT name, type FROM pragma_table_info({})", quote(table)));
        rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
    }

    fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        use rusqlite::types::Value;
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let text = |value: Value| match value {
            Value::Null => None,
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(format!("{number:?}")),
            Value::Text(text) => Some(text),
            Value::Blob(_) => panic!("a blob"),
        };
        let rows = statement.query_map([], |row| (0..width).map(|i| row.get(i).map(text)).collect()).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn as_text(&self, column: &str, _kind: &str) -> String {
        let name = quote(column);
        match column {
            "_highwater_deleted" | "flag" => {
                format!("CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END")
            }
            "_highwater_committed_at" | "_highwater_valid_from" | "_highwater_valid_to" => format!(
                "CAST(strftime('%s', {name}) AS INTEGER) * 1000000 + CAST(substr({name}, 21, 6) AS INTEGER)"
            ),
            _ => name,
        }
    }

    fn is_sqlite(&self) -> bool {
        true
    }

    fn tables(&self) -> Vec<String> {
        let rows = self.texts("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
        rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
    }

    fn lose(&self) {
        for file in std::fs::read_dir(self.dir.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    fn disconnect(&self) {}
}

pub(crate) struct InPostgres {
    url: String,
    program: String,
    schema: String,
}

impl InPostgres {
    pub(crate) fn new(check: &str) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Ok(url) = std::env::var("HIGHWATER_TEST_POSTGRES") else {
            // Not by a macro, whose text the test harness keeps to itself.
            let how = "no server; run it by crates/highwater-connect/tests/with-postgres";
            let _ = writeln!(std::io::stderr(), "SKIPPED: {check} on PostgreSQL: {how}");
            return None;
        };
        let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let program = format!("highwater-{process}-{number}");
        let url = format!("{url}&application_name={program}");
        // Quoting is needed everywhere.
        Some(InPostgres { url, program, schema: format!("Raw \"{process}\" {number}") })
    }

    fn drop_schema(&self) -> String {
        format!("DROP SCHEMA {} CASCADE", quote(&self.schema))
    }

    fn client(&self) -> postgres::Client {
        let mut client = postgres::Client::connect(&self.url, postgres::NoTls).unwrap();
        client.batch_execute("SET TimeZone = 'Asia/Tokyo'").unwrap();
        client
    }
}

impl Drop for InPostgres {
    fn drop(&mut self) {
        let _ = self.client().batch_execute(&self.drop_schema());
    }
}

impl Subject for InPostgres {
    fn open(&self, settings: Settings) -> Box<dyn Destination> {
        Box::new(Postgres::new(&self.url, &self.schema, settings).unwrap())
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("CHILD_POSTGRES", self.url.clone()), ("CHILD_SCHEMA", self.schema.clone())]
    }

    fn table(&self, name: &str) -> String {
        format!("{}.{}", quote(&self.schema), quote(name))
    }

    fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    fn columns(&self, table: &str) -> Vec<(String, String)> {
        let sql = "SELECT column_name::text, data_type::text FROM information_schema.columns \
                   WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position";
        let rows = self.client().query(sql, &[&self.schema, &table]).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let rows = self.client().query(sql, &[]).unwrap();
        rows.iter().map(|row| (0..row.len()).map(|i| row.get(i)).collect()).collect()
    }

    fn as_text(&self, column: &str, kind: &str) -> String {
        let name = quote(column);
        match column {
            "_highwater_committed_at" | "_highwater_valid_from" | "_highwater_valid_to" => {
                format!("(extract(epoch FROM {name}) * 1000000)::bigint::text")
            }
            _ if kind == "timestamp with time zone" => {
                format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            }
            _ => format!("{name}::text"),
        }
    }

    fn is_sqlite(&self) -> bool {
        false
    }

    fn tables(&self) -> Vec<String> {
        let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY tablename";
        self.client().query(sql, &[&self.schema]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    fn lose(&self) {
        self.run(&self.drop_schema());
    }

    fn disconnect(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = $1 AND pid <> pg_backend_pid()";
        self.client().execute(sql, &[&self.program]).unwrap();
    }
}
