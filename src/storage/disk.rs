//! Storage on a real directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::Watch;
use super::{Access, FileMap, Lock, LockMode, Storage, StorageFile, map, orphan, writeback};
use crate::format::names;

/// The lock's file says who holds it in so many bytes, filled up with spaces.
const LOCK_TEXT: usize = 512;

/// The files of a directory.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// The files of `dir`, which must exist by the time they are used.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Disk { dir: dir.into() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// For its owner alone: states may hold secrets.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        &self.dir
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read).create(access == Access::Create);
        let path = self.at(name);
        let file = private(&mut options).open(&path)?;
        Ok(Box::new(DiskFile { file, path }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            // A name that is not UTF-8 is not ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.at(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        // Windows journals names itself and offers no such call.
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        let mut options = OpenOptions::new();
        match mode {
            LockMode::Exclusive => private(options.read(true).write(true).create(true)),
            // Who only looks makes nothing and needs no right to write.
            LockMode::Shared => options.read(true),
        };
        let path = self.at(name);
        let file = options.open(&path)?;
        let taken = match mode {
            LockMode::Exclusive => file.try_lock(),
            LockMode::Shared => file.try_lock_shared(),
        };
        match taken {
            // Somebody may have replaced the file between its opening and its locking.
            Ok(()) if !orphan::is_current(&file, &path)? => Ok(None),
            Ok(()) => Ok(Some(Box::new(DiskLock {
                file,
                pid: std::process::id(),
                says_who: AtomicBool::new(false),
            }))),
            Err(TryLockError::WouldBlock) => {
                if mode == LockMode::Exclusive && name == names::LOCK {
                    // If the holder is dead and left the lock to a child, the next try gets a new file.
                    orphan::replace(&path)?;
                }
                Ok(None)
            }
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn locker(&self, name: &str) -> Option<u32> {
        super::locker::locker(&self.at(name))
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn watch(&self, name: &str) -> io::Result<Option<Box<dyn Watch>>> {
        super::watch::watch(&self.at(name))
    }
}

/// The kernel's flock: of the open file, so closing another descriptor of it elsewhere in the process does no harm.
#[derive(Debug)]
struct DiskLock {
    file: File,
    pid: u32,
    says_who: AtomicBool,
}

impl DiskLock {
    /// Replaces the text. It always has the same length, so a full disk has room for it once it was there.
    fn write(&self, text: &[&[u8]]) -> io::Result<()> {
        let mut block = text.concat();
        block.resize(block.len().max(LOCK_TEXT), b' ');
        let file = DiskFile { file: self.file.try_clone()?, path: PathBuf::new() };
        super::write_all_at(&file, &[&block], 0)
    }
}

impl Lock for DiskLock {
    fn describe(&self, text: &str) -> io::Result<()> {
        self.says_who.store(true, Ordering::Relaxed);
        self.write(&[text.as_bytes(), orphan::identity_line().as_bytes()])
    }
}

impl Drop for DiskLock {
    fn drop(&mut self) {
        // A forked child shares the lock: unlocking by name frees it for good, whatever children live on; but a
        // child must not free its parent's.
        if std::process::id() == self.pid {
            if self.says_who.load(Ordering::Relaxed) {
                // Nobody holds it from here on. If this fails, it names one who is dead soon.
                let _ = self.write(&[]);
            }
            let _ = self.file.unlock();
        }
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    path: PathBuf,
}

impl StorageFile for DiskFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buf, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset);
    }

    #[cfg(unix)]
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        const IOV_MAX: usize = 1024;
        let pieces = &pieces[..pieces.len().min(IOV_MAX)];
        match pieces {
            [piece] => Ok(rustix::io::pwrite(&self.file, piece, offset)?),
            _ => write_vectored(&self.file, pieces, offset),
        }
    }

    #[cfg(windows)]
    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let Some(piece) = pieces.first() else { return Ok(0) };
        std::os::windows::fs::FileExt::seek_write(&self.file, piece, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::fs::{FallocateFlags, fallocate};
            use rustix::io::Errno;
            match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                result => return Ok(result?),
            }
        }
        write_zeros(self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) -> io::Result<()> {
        writeback::begin(&self.file, offset, bytes)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn will_read(&self, offset: u64, bytes: u64) {
        if let Some(bytes) = std::num::NonZeroU64::new(bytes) {
            // Without it every jump over a frame waits for the device by itself.
            let _ = rustix::fs::fadvise(&self.file, offset, Some(bytes), rustix::fs::Advice::WillNeed);
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn links(&self) -> io::Result<u64> {
        #[cfg(unix)]
        return Ok(std::os::unix::fs::MetadataExt::nlink(&self.file.metadata()?));
        #[cfg(not(unix))]
        return Ok(1);
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return read_direct(&self.path, buf, offset);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            let _ = (buf, offset, &self.path);
            Ok(None)
        }
    }

    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>> {
        map::map(&self.file, bytes).map(Some)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn write_vectored(file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, pieces, offset)?)
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn write_vectored(file: &File, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let Some(piece) = pieces.first() else { return Ok(0) };
    std::os::unix::fs::FileExt::write_at(file, piece, offset)
}

/// Where the system can't allocate, what is missing is written.
fn write_zeros(file: &dyn StorageFile, bytes: u64) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let zeros = vec![0; PIECE as usize];
    let mut at = file.len()?;
    while at < bytes {
        let piece = &zeros[..(bytes - at).min(PIECE) as usize];
        super::write_all_at(file, &[piece], at)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Reads with O_DIRECT, which wants aligned memory, offsets and lengths.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn read_direct(path: &Path, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    const ALIGN: usize = crate::format::BLOCK as usize;
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(direct).open(path) {
        Ok(file) => file,
        Err(e) if refuses_direct(&e) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut memory = vec![0; buf.len().next_multiple_of(ALIGN) + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN);
    let aligned = &mut memory[start..][..buf.len().next_multiple_of(ALIGN)];
    match file.read_at(aligned, offset) {
        Ok(n) => {
            let n = n.min(buf.len());
            buf[..n].copy_from_slice(&aligned[..n]);
            Ok(Some(n))
        }
        Err(e) if refuses_direct(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn refuses_direct(e: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(e.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::INVAL | Errno::OPNOTSUPP))
}
