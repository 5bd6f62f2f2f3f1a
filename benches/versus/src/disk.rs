//! What lies on the disk, what of it is cached, and what disk it is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{Advice, fadvise, statfs};

/// Blocks that are allocated for all files below a directory, in bytes. Files may vanish meanwhile.
pub(crate) fn allocated(dir: &Path) -> Result<u64> {
    const SECTOR_BYTES: u64 = 512;
    let mut bytes = 0;
    for path in files(dir)? {
        match fs::metadata(&path) {
            Ok(metadata) => bytes += metadata.blocks() * SECTOR_BYTES,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())?),
            Ok(_) => found.push(entry.path()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Takes a directory's files out of the page cache, and names and extents, too, if this process may do that: then `true`. The
/// program's own code is read again, for it is the log that is to be cold: an engine's size on disk is no matter here.
pub(crate) fn drop_caches(dir: &Path) -> Result<bool> {
    for path in files(dir)? {
        let file = File::open(&path)?;
        file.sync_all()?; // what is dirty stays cached
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    let dropped = fs::write("/proc/sys/vm/drop_caches", "3").is_ok();
    for path in program()? {
        io::copy(&mut File::open(&path)?, &mut io::sink())?;
    }
    Ok(dropped)
}

/// The files that this process is mapped from: itself and its libraries.
fn program() -> Result<BTreeSet<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let paths = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
    Ok(paths.filter(|path| path.is_file()).collect())
}

/// Refuses a directory in memory: nothing there has anything to do with a disk.
pub(crate) fn check_is_disk(dir: &Path) -> Result<()> {
    const IN_MEMORY: [(i64, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58F6, "ramfs")];
    let kind = statfs(dir)?.f_type;
    if let Some((_, name)) = IN_MEMORY.iter().find(|(magic, _)| *magic == kind) {
        bail!("{} lies in memory ({name}): say with --dir where there is a disk", dir.display());
    }
    Ok(())
}

/// The file system a directory lies on, as `mount` names it: type, and device.
pub(crate) fn file_system(dir: &Path) -> Option<(String, String)> {
    let dir = dir.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let mount = fields.filter(|(_, at, _)| dir.starts_with(at)).max_by_key(|(_, at, _)| at.len())?;
    Some((mount.2.to_owned(), mount.0.to_owned()))
}

/// How many flushes the device under a path has done, of whomever; `None` where the kernel does not count them.
pub(crate) fn device_flushes(path: &Path) -> Option<u64> {
    const FLUSHES: usize = 15;
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    // They are counted for the whole disk, not for a partition.
    let disk = if device.join("partition").exists() { device.join("..") } else { device };
    let stat = fs::read_to_string(disk.join("stat")).ok()?;
    stat.split_whitespace().nth(FLUSHES)?.parse().ok()
}

/// The disk has settled when nothing changed for so long.
const STILL: Duration = Duration::from_secs(1);
const SETTLING_MAX: Duration = Duration::from_secs(30);

/// When space fell the last time, and to what. What is committed meanwhile makes it grow by little.
pub(crate) fn settle(dir: &Path, begun: Instant) -> Result<(Duration, u64)> {
    let (mut least, mut at) = (allocated(dir)?, begun.elapsed());
    while begun.elapsed() < SETTLING_MAX && begun.elapsed() - at < STILL {
        std::thread::sleep(Duration::from_millis(5));
        let now = allocated(dir)?;
        if now < least {
            (least, at) = (now, begun.elapsed());
        }
    }
    Ok((at, least))
}
