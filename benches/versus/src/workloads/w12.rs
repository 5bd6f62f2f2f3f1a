//! W12: Airbyte lines of 1 KiB through `highwater ingest`, durable at the end; beside it `jq -c .`, which only parses them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Better, Workload};
use crate::job::Job;
use crate::measure::{Figures, mb_s};
use crate::process;

pub(super) const INGEST: Workload = Workload {
    id: "W12",
    title: "`highwater ingest` of Airbyte lines of 1 KiB, beside `jq -c .` over the same lines",
    headline: "mb_s_core",
    better: Better::Higher,
    columns: &["mb_s_core", "mb_s", "jq_mb_s_core", "times_jq"],
    takes: |contender| contender.name == "highwater",
    run,
    counted: false,
    on_request: false,
};

const LINE_BYTES: usize = 1024;
const LINES_PER_STATE: u64 = 1000;

fn run(job: &Job) -> Result<Figures> {
    let command = job.command.as_deref().context(
        "the `highwater` command was not built: cargo build --release -p highwater-cli, or name it with --highwater",
    )?;
    let lines = job.beside("lines.jsonl");
    let bytes = write_lines(job, &lines, job.amount(512 << 20, 16 << 20))?;
    let ingest = measure(Command::new(command).arg("ingest").arg(job.engine_dir()), &lines)?;
    let mut figures = Figures::from([
        ("mb_s".into(), mb_s(bytes, ingest.wall)),
        ("mb_s_core".into(), mb_s(bytes, ingest.processor)),
    ]);
    if let Ok(jq) = measure(Command::new("jq").args(["-c", "."]), &lines) {
        figures.insert("jq_mb_s_core".into(), mb_s(bytes, jq.processor));
        figures.insert("times_jq".into(), jq.processor.as_secs_f64() / ingest.processor.as_secs_f64());
    }
    Ok(figures)
}

/// Records, a STATE behind each thousand; says how many bytes.
fn write_lines(job: &Job, path: &Path, bytes: u64) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let count = bytes / LINE_BYTES as u64;
    for index in 1..=count {
        writeln!(file, "{}", record_line(job, index)?)?;
        if index % LINES_PER_STATE == 0 || index == count {
            writeln!(
                file,
                r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"events"}},"stream_state":{{"cursor":{index}}}}}}}}}"#
            )?;
        }
    }
    file.flush()?;
    Ok(file.get_ref().metadata()?.len())
}

/// A record as connectors send them: some columns, one of them long, so that the line has its length.
fn record_line(job: &Job, index: u64) -> Result<String> {
    let begun = format!(
        r#"{{"type":"RECORD","record":{{"stream":"events","emitted_at":1760000000000,"data":{{"id":{index},"name":"customer {index}","amount":{}.25,"active":true,"note":null,"tags":["a","b"],"text":"#,
        index % 1000
    );
    let text = job.data.state(index, LINE_BYTES - begun.len() - "}}}".len());
    Ok(format!("{begun}{}}}}}}}", str::from_utf8(&text)?))
}

struct Took {
    wall: Duration,
    processor: Duration,
}

/// Runs a command over the lines; its output goes nowhere.
fn measure(command: &mut Command, lines: &Path) -> Result<Took> {
    let before = process::children_processor_time()?;
    let begun = Instant::now();
    let status = command.stdin(File::open(lines)?).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Took { wall, processor: process::children_processor_time()? - before })
}
