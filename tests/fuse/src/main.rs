//! A file system in user space that keeps unflushed data apart, and loses some of it when power is cut.
//!
//! ```text
//! powercut MOUNTPOINT
//! ```
//!
//! It prints `mounted`, and obeys lines on standard input, answering each with `mounted` again:
//!
//! - `cut SEED`: power fails. Of everything that was not flushed any subset stays: 512-byte sectors, lengths of files, names.
//!   Then it is mounted anew, so that nothing is left in the kernel's caches.
//! - `fail N`: N flushes of files go well, and the next one fails. What it should have flushed reads back as written, is not
//!   on the device, and no later flush writes it; only a read with O_DIRECT tells.
//! - `heal`: no flush fails, if none did yet.
//!
//! The disk is memory: one flat directory. Maps for reading, allocation, renames, directory flushes and O_DIRECT work.

mod disk;
mod mount;

use std::io::BufRead;
use std::sync::{Arc, Mutex};

use disk::Disk;
use mount::Mount;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mountpoint = std::env::args().nth(1).ok_or("usage: powercut MOUNTPOINT")?;
    let disk = Arc::new(Mutex::new(Disk::new()));
    let mut mounted = Some(Mount::at(&mountpoint, &disk)?);
    println!("mounted");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("cut", seed)) => {
                drop(mounted.take());
                disk.lock().unwrap().cut(seed.parse()?);
                mounted = Some(Mount::at(&mountpoint, &disk)?);
            }
            Some(("fail", after)) => disk.lock().unwrap().fails_after = Some(after.parse()?),
            None if line == "heal" => disk.lock().unwrap().fails_after = None,
            _ => return Err(format!("unknown command {line}").into()),
        }
        println!("mounted");
    }
    Ok(())
}
