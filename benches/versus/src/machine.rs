//! What machine it is, and what its memory can do: no engine copies or checks faster.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk;
use crate::results::Machine;

pub(crate) fn look(dir: &Path) -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let (file_system, device) = disk::file_system(dir).unwrap_or_default();
    Machine {
        processor: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        file_system,
        device,
        figures: memory(),
    }
}

/// Copying and CRC, in the cache and beyond it, in GB/s.
fn memory() -> BTreeMap<String, f64> {
    const IN_CACHE: usize = 256 << 10;
    const IN_MEMORY: usize = 256 << 20;
    let mut figures = BTreeMap::new();
    for (place, bytes) in [("cache", IN_CACHE), ("memory", IN_MEMORY)] {
        let source = vec![0x5A; bytes];
        let mut target = vec![0; bytes];
        let copy = gb_s(bytes, || target.copy_from_slice(black_box(&source)));
        let crc = gb_s(bytes, || {
            black_box(crc32fast::hash(black_box(&source)));
        });
        figures.insert(format!("copy_in_{place}_gb_s"), copy);
        figures.insert(format!("crc32_in_{place}_gb_s"), crc);
    }
    figures
}

/// The fastest of as many repetitions as fit into a fifth of a second: what disturbs only makes slower.
fn gb_s(bytes: usize, mut operation: impl FnMut()) -> f64 {
    const TIME: Duration = Duration::from_millis(200);
    let begun = Instant::now();
    let mut best = Duration::MAX;
    while begun.elapsed() < TIME {
        let one = Instant::now();
        operation();
        best = best.min(one.elapsed());
    }
    bytes as f64 / 1e9 / best.as_secs_f64()
}
