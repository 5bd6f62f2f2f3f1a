//! Memory stays bounded, whatever comes between two states.

use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;

use super::place::Place;
use crate::helpers::Killed;

const ROW_BYTES: usize = 16_000;
const ROWS: usize = 8_000; // 128 MB
const RESIDENT_MAX: u64 = 100 << 20;

/// A connector's messages: all its records, and one state behind them.
fn script() -> String {
    let status = |status: &str| {
        format!(
            r#"{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":1,"stream_status":{{"stream_descriptor":{{"name":"a"}},"status":"{status}"}}}}}}"#
        )
    };
    let mut text = format!("{}\n", status("STARTED"));
    let email = "x".repeat(ROW_BYTES);
    for n in 0..ROWS {
        let data = format!(r#"{{"id":{n},"email":"{email}"}}"#);
        writeln!(text, r#"{{"type":"RECORD","record":{{"stream":"a","data":{data},"emitted_at":1}}}}"#)
            .unwrap();
    }
    text + r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"a"},"stream_state":{"n":8000}}}}"#
        + &format!("\n{}\n", status("COMPLETE"))
}

/// Bytes that the process has in memory of its own, if it is still there.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "asks /proc")]
fn a_checkpoint_of_any_size_passes_through_little_memory() {
    let place = Place::new("{}", "");
    let lines = place.file("lines", &script());
    let more = "[destinations.db]\ntype = 'sqlite'\npath = 'a.db'\n[destinations.files]\ntype = 'parquet'\npath = 'files'";
    place.write_file("{ a = 1 }", &format!("script = '{}'", lines.display()), more);
    let mut run = Killed(place.command("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let mut most = 0;
    let ended = loop {
        most = most.max(resident(run.0.id()).unwrap_or(0));
        match run.0.try_wait().unwrap() {
            Some(ended) => break ended,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(ended.success(), "{ended}");
    place.holds(&[("a", ROWS as u64)]);
    assert!((1 << 20..RESIDENT_MAX).contains(&most), "{most} bytes");
}
