//! What the kernel says about this process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The most memory this process ever had resident, in bytes; 0 where that can't be known.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).map_or(0, |kib: u64| kib << 10)
}

/// Bytes that went in and out, since the process began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Io {
    /// By system calls; what a map shows is not among them.
    pub(crate) read: u64,
    pub(crate) written: u64,
    /// What the page cache did not have, maps included.
    pub(crate) from_device: u64,
}

pub(crate) fn io() -> Result<Io> {
    let text = fs::read_to_string("/proc/self/io").context("/proc/self/io")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .with_context(|| format!("no {name} in /proc/self/io"))
    };
    Ok(Io { read: field("rchar:")?, written: field("wchar:")?, from_device: field("read_bytes:")? })
}

/// Processor time of all child processes that ended, in user and kernel mode.
pub(crate) fn children_processor_time() -> Result<Duration> {
    /// Linux counts these two in hundredths of a second, whatever its own clock does.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The command's name stands in parentheses and may hold anything; cutime and cstime are fields 16 and 17.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
