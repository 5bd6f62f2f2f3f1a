//! Makes logs for looking at: `logs small DIR` with some of everything, `logs large DIR` with 100,000 streams and as many
//! checkpoints. The times in them are of the last days, by a clock that is set by hand.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // an example panics, and says so

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater::environment::Stepped;
use highwater::{
    Commit, Config, Durability, Limit, Log, Op, Operation, Retention, Sequence, Start, Stream, StreamSpec,
    Writer,
};
use highwater_connect::runs::{Attempt, End, now_us};

const MINUTE: Duration = Duration::from_secs(60);
const DAYS: u64 = 6;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["small", dir] => small(Path::new(dir)),
        ["large", dir] => large(Path::new(dir), 100_000),
        _ => {
            eprintln!("usage: logs small|large DIR");
            std::process::exit(2);
        }
    }
}

fn open(dir: &Path, clock: &Arc<Stepped>) -> Log {
    let config = Config { segment_bytes: 1 << 20, environment: clock.clone(), ..Config::default() };
    Log::open(dir, config).unwrap().0
}

/// A clock that began so long ago.
fn clock(ago: Duration) -> Arc<Stepped> {
    Arc::new(Stepped::new(7, now_us() - i64::try_from(ago.as_micros()).unwrap()))
}

/// A pipeline's log: a sync each six hours, two destinations of which one lags, work by hand, a stream with a bad name.
fn small(dir: &Path) {
    let clock = clock(MINUTE * 60 * 24 * DAYS as u32);
    let log = open(dir, &clock);
    let spec = |name: &str| StreamSpec::new(name).namespace("shop").key(["id"]);
    let names = ["orders", "customers", "products"].map(spec);
    let mut streams = names.map(|name| log.stream(name).unwrap()).to_vec();
    streams.push(log.stream(StreamSpec::new("<script>alert(1)</script>")).unwrap());
    let mut warehouse = log.consumer("warehouse", Start::Earliest).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let mut syncs = Syncs { log: &log, clock: &clock, streams: &streams, cursor: 0 };
    for sync in 1..=DAYS * 4 - 1 {
        syncs.run(sync);
        let limit = Limit { max_checkpoints: 1000, ..Limit::default() };
        while let Some(batch) = warehouse.next_batch(&limit).unwrap() {
            warehouse.acknowledge(batch.end()).unwrap();
        }
        if sync < DAYS * 4 - 4 {
            let batch = lake.next_batch(&limit).unwrap().unwrap();
            lake.acknowledge(batch.end()).unwrap();
        }
    }
    by_hand(&log, &streams);
    log.prune(&Retention { min_count: 100, min_age: MINUTE * 60 * 24 * 3 }).unwrap();
    log.close().unwrap();
}

struct Syncs<'a> {
    log: &'a Log,
    clock: &'a Stepped,
    streams: &'a [Stream],
    cursor: u64,
}

impl Syncs<'_> {
    fn run(&mut self, sync: u64) {
        let (started_us, first) = (self.now_us(), self.log.end().map_or(1, |end| end.sequence.get() + 1));
        let mut attempt = Attempt { run: format!("run-{sync}"), attempt: 1, started_us, end: None };
        self.record(&attempt);
        let mut records = 0;
        let all: Vec<&Stream> = self.streams.iter().collect();
        let mut writer = self.log.writer(&all).unwrap();
        for page in 0..20 {
            for (n, stream) in self.streams.iter().enumerate() {
                let rows = (sync * 7 + page * 3) % 40 + 20 / (n as u64 + 1);
                self.page(&mut writer, stream, rows);
                records += rows;
            }
            self.clock.advance(MINUTE);
        }
        drop(writer);
        let failed = sync.is_multiple_of(9);
        attempt.end = Some(End {
            ended_us: self.now_us(),
            outcome: if failed { "transient" } else { "complete" }.to_owned(),
            error: failed.then(|| "the source closed the connection: connection reset by peer".to_owned()),
            sync,
            records,
            first: Sequence::new(first + 1),
            last: self.log.end().unwrap().sequence,
        });
        self.record(&attempt);
        self.clock.advance(MINUTE * 340);
    }

    fn page(&mut self, writer: &mut Writer, stream: &Stream, rows: u64) {
        for _ in 0..rows {
            self.cursor += 1;
            let (key, row) = (
                format!("[{}]", self.cursor),
                format!("{{\"id\":{},\"note\":\"{:0>400}\"}}", self.cursor, 7),
            );
            writer.append(stream, Op::Upsert { key: key.as_bytes(), row: row.as_bytes() }).unwrap();
        }
        let state = serde_json::json!({
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": stream.name().name, "namespace": "shop"},
                "stream_state": {"updated_at": "2026-11-20T08:00:00Z", "id": self.cursor, "page": self.cursor / 50},
            },
        });
        writer.commit(Commit::new().stream(stream, &state).label("pipeline", "shop")).unwrap();
    }

    fn record(&self, attempt: &Attempt) {
        let stream = self.log.stream(StreamSpec::new("runs").namespace("_highwater")).unwrap();
        let mut writer = self.log.writer(&[&stream]).unwrap();
        let row = serde_json::to_vec(attempt).unwrap();
        writer.append(&stream, Op::Insert { key: b"", row: &row }).unwrap();
        writer.commit(Commit::new().records(&stream)).unwrap();
    }

    fn now_us(&self) -> i64 {
        highwater::environment::Environment::now_us(self.clock)
    }
}

fn by_hand(log: &Log, streams: &[Stream]) {
    let text = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"orders","namespace":"shop"},"stream_state":{"updated_at":"2026-11-19T00:00:00Z","id":4711}}}"#;
    let edit = Operation::new("edit shop.orders", "ops on db1", "orders of the 19th came with the wrong tax");
    log.operate(edit.set(streams[0].name(), text)).unwrap();
    let to = Sequence::new(log.end().unwrap().sequence.get() - 30);
    let plan = log.plan_rewind(to, Some(streams[1].name())).unwrap();
    log.rewind(&plan, "ops on db1", "customers were read with a bad filter").unwrap();
}

/// So many streams, each with a state and a record, and so many checkpoints.
fn large(dir: &Path, count: u32) {
    let clock = clock(MINUTE * 60 * 24);
    let config = Config { segment_bytes: 16 << 20, environment: clock.clone(), ..Config::default() };
    let (log, _) = Log::open(dir, config).unwrap();
    let name = |n: u32| StreamSpec::new(format!("tenant_{n:05}")).namespace(format!("region_{}", n % 7));
    let streams: Vec<Stream> = (0..count).map(|n| log.stream(name(n)).unwrap()).collect();
    let _slow = log.consumer("slow", Start::Earliest).unwrap();
    let all: Vec<&Stream> = streams.iter().collect();
    let mut writer = log.writer(&all).unwrap();
    for (n, stream) in streams.iter().enumerate() {
        writer.append(stream, Op::Insert { key: b"", row: &[b'x'; 300] }).unwrap();
        let state = serde_json::json!({"lsn": 900_000_000_000u64 + n as u64, "table": stream.name().name});
        writer.commit(Commit::new().stream(stream, &state).durability(Durability::Buffered)).unwrap();
        clock.advance(Duration::from_millis(800));
    }
    drop(writer);
    log.close().unwrap();
}
