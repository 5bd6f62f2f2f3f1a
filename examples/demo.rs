//! The main job, on sample data: three streams go into a log while the process is killed again and again; each time it
//! opens the log, finds its cursors, and goes on. At the end nothing is missing and nothing is doubled.
//!
//! `cargo run --release --example demo`

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use highwater::{Commit, Config, Log, LogReader, Op, Sequence, StreamName, StreamSpec, key};

type Anything = Box<dyn std::error::Error>;

const STREAMS: [(&str, &str); 3] = [
    ("customers", include_str!("data/customers.jsonl")),
    ("orders", include_str!("data/orders.jsonl")),
    ("events", include_str!("data/events.jsonl")),
];
/// Rows between two checkpoints.
const PAGE: usize = 20;
const KILLS: usize = 4;

fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(dir) => extract(Path::new(&dir)),
        None => demo(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("the demo failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The pipeline: for each stream, page after page from its cursor on; records and cursor are committed together.
fn extract(dir: &Path) -> Result<(), Anything> {
    let (log, recovery) = Log::open(dir, Config::default())?;
    say(&format!("  {recovery}"));
    let mut sources = Vec::new();
    for (name, data) in STREAMS {
        let spec = StreamSpec::new(name);
        let stream = log.stream(if name == "events" { spec } else { spec.key(["id"]) })?;
        let cursor: usize = log.state()?.get(&stream)?.unwrap_or(0);
        sources.push((stream, data.lines().collect::<Vec<_>>(), cursor));
    }
    let mut writer = log.writer(&sources.iter().map(|(stream, ..)| stream).collect::<Vec<_>>())?;
    while sources.iter().any(|(_, rows, cursor)| *cursor < rows.len()) {
        for (stream, rows, cursor) in &mut sources {
            let page = &rows[*cursor..rows.len().min(*cursor + PAGE)];
            for row in page {
                if stream.key().is_empty() {
                    writer.append(stream, Op::Insert { key: b"", row: row.as_bytes() })?;
                } else {
                    let key = key::of_payload(row, stream.key())?;
                    writer.append(stream, Op::Upsert { key: &key, row: row.as_bytes() })?;
                }
                pause(Duration::from_micros(100)); // a source takes its time
            }
            if !page.is_empty() {
                *cursor += page.len();
                let committed = writer.commit(Commit::new().stream(stream, cursor))?;
                say(&format!("checkpoint {}", committed.sequence()));
            }
        }
    }
    drop(writer);
    log.close()?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program may sleep; the engine may not")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Runs the pipeline as a process of its own, kills it in the middle, runs it again, and shows what the log holds.
fn demo() -> Result<(), Anything> {
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path().join("shop.hw");
    for attempt in 1.. {
        let last = attempt > KILLS;
        say(&format!("run {attempt}{}", if last { ", left alone" } else { ", to be killed" }));
        let ended = run(&dir, if last { None } else { Some(attempt * 5) })?;
        if ended {
            break;
        }
        say("  killed (SIGKILL)");
    }
    prove(&dir)
}

/// Runs the pipeline; kills it a little after so many checkpoints. Returns whether it came to its end.
fn run(dir: &PathBuf, kill_after: Option<usize>) -> Result<bool, Anything> {
    let mut child = Command::new(std::env::current_exe()?).arg(dir).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut checkpoints = 0;
    for line in BufReader::new(out).lines() {
        let line = line?;
        if !line.starts_with("checkpoint") {
            say(&line);
            continue;
        }
        checkpoints += 1;
        if Some(checkpoints) == kill_after {
            pause(Duration::from_micros(700)); // into the middle of the next page
            child.kill()?;
        }
    }
    say(&format!("  {checkpoints} checkpoints were acknowledged"));
    Ok(child.wait()?.success())
}

/// Compares the log with the sample data, record by record.
fn prove(dir: &Path) -> Result<(), Anything> {
    let log = LogReader::open(dir)?;
    let mut all = true;
    for (name, data) in STREAMS {
        let stream = log.find_stream(&StreamName { namespace: None, name: name.to_owned() })?;
        let mut found = Vec::new();
        let mut reader = log.reader(Sequence::FIRST)?;
        while let Some(checkpoint) = reader.next()? {
            for record in checkpoint.records_of(stream.id) {
                found.push(String::from_utf8(record?.payload.to_vec())?);
            }
        }
        let same = found.iter().map(String::as_str).eq(data.lines());
        all &= same;
        let verdict = if same { "each once, in order" } else { "NOT what the source holds" };
        say(&format!("{name:>10}: {:4} of {:4} records, {verdict}", found.len(), data.lines().count()));
    }
    if !all {
        return Err("the log differs from the source".into());
    }
    let end = log.end().ok_or("the log is empty")?;
    say(&format!(
        "nothing is missing, nothing is doubled; {} checkpoints survived {KILLS} kills",
        end.sequence
    ));
    Ok(())
}
