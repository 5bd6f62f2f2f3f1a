//! How fast rows get into SQL databases, beside the plainest way to bring the same rows there: prepared inserts in one
//! transaction, a COPY of lines that lie ready in memory. `cargo bench -p highwater-connect --bench sql [-- RECORDS]`; for
//! PostgreSQL by `tests/with-postgres cargo bench ...`.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use highwater::{Commit, Config, Limit, Log, Op, Start, StreamSpec};
use highwater_connect::destination::sql::{Mode, Postgres, Settings, Sqlite};
use highwater_connect::{Destination, Feed};

type Done<T> = Result<T, Box<dyn Error>>;

const SCHEMA: &str = r#"{"properties":{"id":{"type":"integer"},"name":{"type":"string"},"email":{"type":"string"},
    "amount":{"type":"number"},"is_paid":{"type":"boolean"},"ordered_at":{"type":"string","format":"date-time"},
    "day":{"type":"string","format":"date"},"items":{"type":"array"},"note":{"type":"string"}}}"#;
const NOTE: &str =
    "a note of some length, as people write them, with a\\nline break and some \\\"quotes\\\" ";
/// So many records a checkpoint.
const CHECKPOINT: u64 = 1000;

fn row(id: u64) -> String {
    format!(
        r#"{{"id":{id},"name":"customer {id}","email":"customer{id}@example.com","amount":{}.{:02},"is_paid":{},"ordered_at":"2026-01-31T12:{:02}:{:02}.123456Z","day":"2026-01-31","items":[{{"sku":"a-{id}","count":{}}},{{"sku":"b","count":1}}],"note":"{}"}}"#,
        id % 1000,
        id % 100,
        id.is_multiple_of(2),
        id / 60 % 60,
        id % 60,
        id % 9,
        NOTE.repeat(8),
    )
}

fn build_log(dir: &Path, records: u64) -> Done<(Log, u64)> {
    let (log, _) = Log::open(dir, Config::default())?;
    let orders = log.stream(StreamSpec::new("orders").key(["id"]).schema(SCHEMA))?;
    let mut writer = log.writer(&[&orders])?;
    let mut bytes = 0;
    for id in 0..records {
        let (key, row) = (format!("[{id}]"), row(id));
        bytes += row.len() as u64;
        writer.append(&orders, Op::Upsert { key: key.as_bytes(), row: row.as_bytes() })?;
        if (id + 1).is_multiple_of(CHECKPOINT) {
            writer.commit(Commit::new().all())?;
        }
    }
    writer.commit(Commit::new().all())?;
    drop(writer);
    Ok((log, bytes))
}

struct Report {
    records: u64,
    bytes: u64,
    out: std::io::Stdout,
}

impl Report {
    fn time(&mut self, what: &str, act: impl FnOnce() -> Done<()>) -> Done<()> {
        let started = Instant::now();
        act()?;
        let seconds = started.elapsed().as_secs_f64();
        let (rate, mib) = (self.records as f64 / seconds, self.bytes as f64 / seconds / f64::from(1 << 20));
        Ok(writeln!(self.out, "{what:<44} {seconds:7.2} s {rate:9.0} rows/s {mib:7.1} MiB/s of JSON")?)
    }
}

fn deliver(log: &Log, consumer: &str, to: &mut dyn Destination) -> Done<()> {
    let mut feed = Feed::open(log, consumer, Start::Earliest, None)?;
    while let Some(batch) = feed.next(&Limit::default())? {
        to.apply(&batch)?;
    }
    Ok(())
}

fn sqlite(log: &Log, dir: &Path, report: &mut Report) -> Done<()> {
    let path = |name: &str| dir.join(name);
    for (name, mode) in [("append", Mode::Append), ("upsert", Mode::Upsert), ("history", Mode::History)] {
        let settings = Settings::new(name).mode(mode);
        report.time(&format!("SQLite, {name}"), || {
            deliver(log, &format!("sqlite-{name}"), &mut Sqlite::new(path(name), settings))
        })?;
    }
    // The rows of the upsert, into a table of the same making.
    let from = rusqlite::Connection::open(path("upsert"))?;
    let to = rusqlite::Connection::open(path("plain"))?;
    to.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    let create: String =
        from.query_row("SELECT sql FROM sqlite_schema WHERE name = 'orders'", [], |row| row.get(0))?;
    to.execute_batch(&create)?;
    let mut select = from.prepare("SELECT * FROM orders")?;
    let width = select.column_count();
    let rows: Vec<Vec<rusqlite::types::Value>> = select
        .query_map([], |row| (0..width).map(|i| row.get(i)).collect())?
        .collect::<rusqlite::Result<_>>()?;
    let params: Vec<&str> = vec!["?"; width];
    report.time("SQLite, plain prepared inserts", || {
        to.execute_batch("BEGIN")?;
        let mut insert = to.prepare(&format!("INSERT INTO orders VALUES ({})", params.join(",")))?;
        for row in &rows {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
        Ok(to.execute_batch("COMMIT")?)
    })
}

fn postgres(log: &Log, url: &str, report: &mut Report) -> Done<()> {
    let mut client = postgres::Client::connect(url, postgres::NoTls)?;
    client.batch_execute("DROP SCHEMA IF EXISTS speed CASCADE; SET synchronous_commit = on")?;
    for (name, mode) in [("append", Mode::Append), ("upsert", Mode::Upsert), ("history", Mode::History)] {
        let settings = Settings::new(name).mode(mode);
        let mut to = Postgres::new(url, "speed", settings)?;
        report.time(&format!("PostgreSQL, {name}"), || deliver(log, &format!("postgres-{name}"), &mut to))?;
        if mode == Mode::Upsert {
            // All rows are there already; another delivery under the same name would be recognised.
            client.batch_execute("DELETE FROM speed._highwater_positions")?;
            report.time("PostgreSQL, upsert of rows that are there", || deliver(log, "again", &mut to))?;
        }
        let table: String = client
            .query_one("SELECT table_name FROM speed._highwater_streams WHERE name = $1", &[&name])?
            .get(0);
        let lines = copy_out(&mut client, &table)?;
        client.batch_execute(&format!("CREATE TABLE speed.plain (LIKE speed.\"{table}\" INCLUDING ALL)"))?;
        report.time(&format!("PostgreSQL, plain COPY of the rows of {name}"), || {
            let mut copy = client.copy_in("COPY speed.plain FROM STDIN")?;
            copy.write_all(&lines)?;
            copy.finish().map(drop).map_err(Into::into)
        })?;
        client.batch_execute(&format!("DROP TABLE speed.plain, speed.\"{table}\""))?;
    }
    Ok(client.batch_execute("DROP SCHEMA speed CASCADE")?)
}

fn copy_out(client: &mut postgres::Client, table: &str) -> Done<Vec<u8>> {
    let mut lines = Vec::new();
    std::io::Read::read_to_end(
        &mut client.copy_out(&format!("COPY speed.\"{table}\" TO STDOUT"))?,
        &mut lines,
    )?;
    Ok(lines)
}

fn main() -> Done<()> {
    let records = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir()?;
    let (log, bytes) = build_log(&dir.path().join("log"), records)?;
    let mut report = Report { records, bytes, out: std::io::stdout() };
    writeln!(report.out, "{records} records, {bytes} bytes of JSON")?;
    report.time("reading the log", || {
        let mut feed = Feed::open(&log, "read", Start::Earliest, None)?;
        while let Some(batch) = feed.next(&Limit::default())? {
            for part in batch.checkpoints().flat_map(|checkpoint| checkpoint.parts().collect::<Vec<_>>()) {
                part.records().try_for_each(|record| record.map(drop))?;
            }
        }
        Ok(())
    })?;
    sqlite(&log, dir.path(), &mut report)?;
    match std::env::var("HIGHWATER_TEST_POSTGRES") {
        Ok(url) => postgres(&log, &url, &mut report),
        Err(_) => Ok(writeln!(report.out, "SKIPPED: PostgreSQL: run it by tests/with-postgres")?),
    }
}
