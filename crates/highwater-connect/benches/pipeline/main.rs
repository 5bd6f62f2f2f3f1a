//! What the runtime costs: records of 1 KiB from a source's standard output through the log to files of JSON lines, beside the
//! same bytes through two pipes into `jq -c .`, and beside what Python sources on the Airbyte CDK can emit.
//!
//! `cargo bench --bench pipeline -- 1000000`. The last needs a Python that has `airbyte-cdk`: the one that `tests/e2e/run` installs, or
//! another that `HIGHWATER_CDK_PYTHON` names.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking, and prints")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use highwater_connect::event::Reporter;
use highwater_connect::{Pipeline, Stop, runtime};

/// A state after so many records.
const STATE_EVERY: u64 = 10_000;
/// Each is measured so often; the best counts, since what disturbs only ever slows down.
const ROUNDS: u32 = 3;

const CATALOG: &str = r#"{"type":"CATALOG","catalog":{"streams":[{"name":"s","json_schema":{"type":"object","properties":{"id":{"type":"integer"},"text":{"type":"string"}}},"supported_sync_modes":["full_refresh","incremental"],"source_defined_primary_key":[["id"]]}]}}"#;
const SOURCE: &str = "case \"$1\" in discover) cat catalog.json ;; read) cat messages.jsonl ;; esac\n";

/// Sources on the Airbyte CDK, their standard output going to /dev/null: what they are, their script, and how many records it emits.
const CDK: [(&str, &str, u64); 2] = [
    ("the CDK's own source, from a server", "cdk_own.py", 200_000),
    ("a loop on the CDK that yields one constant", "cdk_source.py", 200_000),
];

fn main() {
    let records = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let bytes = write_source(dir.path(), records);
    println!("{records} records, {} MiB as messages", bytes >> 20);
    let best = |name: &str, mut run: Box<dyn FnMut() -> Duration>| {
        let best = (0..ROUNDS).map(|_| run()).min().unwrap();
        let rate = records as f64 / best.as_secs_f64();
        println!(
            "{name:<44} {:>8.0} records/s {:>7.0} MiB/s",
            rate,
            bytes as f64 / best.as_secs_f64() / 1048576.0
        );
        rate
    };
    let place = dir.path().to_owned();
    let ours = best("source -> log -> JSON lines", Box::new(move || through_the_runtime(&place)));
    let place = dir.path().to_owned();
    match Command::new("jq").arg("--version").stdout(Stdio::null()).status() {
        Ok(_) => {
            let jq = best("cat FILE | cat | jq -c .", Box::new(move || through_jq(&place)));
            println!(
                "ours / jq                                    {:.2} (at least 0.5 is asked for)",
                ours / jq
            );
        }
        Err(_) => println!("SKIPPED: jq is not installed"),
    }
    match cdk_python() {
        Some(python) => {
            for (name, script, records) in CDK {
                let cdk = records as f64 / through_the_cdk(&python, script, records).as_secs_f64();
                println!("{name:<44} {cdk:>8.0} records/s; ours is {:.2} times that", ours / cdk);
            }
        }
        None => println!("SKIPPED: no Python with airbyte-cdk; `tests/e2e/run --only nostate` installs one"),
    }
}

/// A Python that has the Airbyte CDK.
fn cdk_python() -> Option<String> {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/e2e/venv-declarative/bin/python");
    let named = std::env::var("HIGHWATER_CDK_PYTHON").ok();
    named.or_else(|| Path::new(installed).exists().then(|| installed.to_owned()))
}

/// The source is a shell that prints a file; how long that is.
fn write_source(dir: &Path, records: u64) -> u64 {
    std::fs::write(dir.join("catalog.json"), CATALOG).unwrap();
    std::fs::write(dir.join("source.sh"), SOURCE).unwrap();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(dir.join("messages.jsonl")).unwrap());
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(21);
    for id in 0..records {
        writeln!(
            out,
            r#"{{"type":"RECORD","record":{{"stream":"s","data":{{"id":{id},"text":"{text}"}},"emitted_at":1700000000000}}}}"#
        )
        .unwrap();
        if (id + 1) % STATE_EVERY == 0 {
            writeln!(
                out,
                r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"s"}},"stream_state":{{"id":{id}}}}}}}}}"#
            )
            .unwrap();
        }
    }
    let file = out.into_inner().unwrap();
    file.sync_all().unwrap();
    file.metadata().unwrap().len()
}

fn through_the_runtime(dir: &Path) -> Duration {
    for leftover in ["p.hw", "p.hw.connect", "lake"] {
        let _ = std::fs::remove_dir_all(dir.join(leftover));
    }
    let text = "version = 1\nname = 'p'\nlog = 'p.hw'\n[source]\ntype = 'airbyte'\ncommand = ['sh', 'source.sh']\n\
                [destinations.lake]\ntype = 'jsonl'\npath = 'lake'\n";
    let pipeline = Pipeline::parse(text, dir).unwrap();
    let begun = Instant::now();
    let outcome = runtime::run(&pipeline, &Reporter::silent(), &Stop::default()).unwrap();
    assert!(outcome.source.is_none() && outcome.destinations.is_empty(), "{outcome:?}");
    begun.elapsed()
}

fn through_jq(dir: &Path) -> Duration {
    let begun = Instant::now();
    let script = "cat messages.jsonl | cat | jq -c . > jq.jsonl && sync jq.jsonl";
    let status = Command::new("sh").args(["-c", script]).current_dir(dir).status().unwrap();
    assert!(status.success());
    begun.elapsed()
}

/// Without its start.
fn through_the_cdk(python: &str, script: &str, records: u64) -> Duration {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/pipeline").join(script);
    let output = Command::new(python).arg(script).arg(records.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    let seconds = said.lines().find_map(|line| line.strip_prefix("seconds ")).unwrap();
    Duration::from_secs_f64(seconds.trim().parse().unwrap())
}
