//! The kernel's questions, answered from the disk.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, FileAttr, FileType, Filesystem, MountOption, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow,
};

use crate::disk::{Disk, Inode};

const ROOT: Inode = fuser::FUSE_ROOT_ID;
const TTL: Duration = Duration::from_secs(1);
const BLOCK: u32 = 4096;

/// Mounted as long as it lives.
pub(crate) struct Mount {
    _session: BackgroundSession,
}

impl Mount {
    pub(crate) fn at(mountpoint: &str, disk: &Arc<Mutex<Disk>>) -> std::io::Result<Mount> {
        let options = [MountOption::FSName("powercut".to_owned()), MountOption::RW];
        let _session = fuser::spawn_mount2(Kernel { disk: disk.clone() }, mountpoint, &options)?;
        Ok(Mount { _session })
    }
}

struct Kernel {
    disk: Arc<Mutex<Disk>>,
}

impl Kernel {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }
}

fn attributes(disk: &Disk, inode: Inode) -> Option<FileAttr> {
    let (kind, perm, size, changes) = if inode == ROOT {
        (FileType::Directory, 0o700, 0, 0)
    } else {
        let file = disk.files.get(&inode)?;
        (FileType::RegularFile, 0o600, file.cached.len() as u64, file.changes)
    };
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(changes);
    let nlink = disk.names.values().filter(|named| **named == inode).count().max(1) as u32;
    Some(FileAttr {
        ino: inode,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: time,
        ctime: time,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn text(name: &OsStr) -> &str {
    name.to_str().unwrap_or_default()
}

fn done(holds: bool, errno: i32, reply: ReplyEmpty) {
    if holds { reply.ok() } else { reply.error(errno) }
}

impl Filesystem for Kernel {
    fn lookup(&mut self, _: &Request<'_>, _: u64, name: &OsStr, reply: ReplyEntry) {
        let disk = self.disk();
        match disk.names.get(text(name)).and_then(|inode| attributes(&disk, *inode)) {
            Some(attr) => reply.entry(&TTL, &attr, 0),
            None => reply.error(libc::ENOENT),
        }
    }

    fn getattr(&mut self, _: &Request<'_>, inode: u64, _: Option<u64>, reply: ReplyAttr) {
        match attributes(&self.disk(), inode) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(libc::ENOENT),
        }
    }

    /// Only the length can be set; times and modes are nobody's business here.
    fn setattr(
        &mut self,
        _: &Request<'_>,
        inode: u64,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<u64>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<u32>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        if let (Some(size), Some(file)) = (size, disk.files.get_mut(&inode)) {
            file.set_len(size as usize);
        }
        match attributes(&disk, inode) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(libc::ENOENT),
        }
    }

    fn create(&mut self, _: &Request<'_>, _: u64, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut disk = self.disk();
        let inode = disk.create(text(name));
        match attributes(&disk, inode) {
            Some(attr) => reply.created(&TTL, &attr, 0, 0, 0),
            None => reply.error(libc::EIO),
        }
    }

    fn unlink(&mut self, _: &Request<'_>, _: u64, name: &OsStr, reply: ReplyEmpty) {
        done(self.disk().unlink(text(name)), libc::ENOENT, reply);
    }

    fn rename(
        &mut self,
        _: &Request<'_>,
        _: u64,
        from: &OsStr,
        _: u64,
        to: &OsStr,
        flags: u32,
        reply: ReplyEmpty,
    ) {
        if flags != 0 {
            return reply.error(libc::EINVAL);
        }
        done(self.disk().rename(text(from), text(to)), libc::ENOENT, reply);
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        inode: u64,
        _: u64,
        offset: i64,
        size: u32,
        flags: i32,
        _: Option<u64>,
        reply: ReplyData,
    ) {
        let disk = self.disk();
        let Some(file) = disk.files.get(&inode) else { return reply.error(libc::ENOENT) };
        let past_the_cache = (flags & libc::O_DIRECT != 0).then(|| file.device());
        let bytes = past_the_cache.as_ref().unwrap_or(&file.cached);
        let start = (offset as usize).min(bytes.len());
        let end = (start + size as usize).min(bytes.len());
        reply.data(&bytes[start..end]);
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        inode: u64,
        _: u64,
        offset: i64,
        data: &[u8],
        _: u32,
        _: i32,
        _: Option<u64>,
        reply: ReplyWrite,
    ) {
        match self.disk().files.get_mut(&inode) {
            Some(file) => {
                file.write(offset as usize, data);
                reply.written(data.len() as u32);
            }
            None => reply.error(libc::ENOENT),
        }
    }

    fn fallocate(
        &mut self,
        _: &Request<'_>,
        inode: u64,
        _: u64,
        offset: i64,
        length: i64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(libc::EOPNOTSUPP);
        }
        match self.disk().files.get_mut(&inode) {
            Some(file) => {
                file.allocate((offset + length) as usize);
                reply.ok();
            }
            None => reply.error(libc::ENOENT),
        }
    }

    fn fsync(&mut self, _: &Request<'_>, inode: u64, _: u64, _: bool, reply: ReplyEmpty) {
        done(self.disk().flush(inode), libc::EIO, reply);
    }

    fn fsyncdir(&mut self, _: &Request<'_>, _: u64, _: u64, _: bool, reply: ReplyEmpty) {
        self.disk().flush_names();
        reply.ok();
    }

    fn readdir(&mut self, _: &Request<'_>, _: u64, _: u64, offset: i64, mut reply: ReplyDirectory) {
        let disk = self.disk();
        let dots = [(ROOT, "."), (ROOT, "..")];
        let files = disk.names.iter().map(|(name, inode)| (*inode, name.as_str()));
        for (index, (inode, name)) in dots.into_iter().chain(files).enumerate().skip(offset as usize) {
            let kind = if inode == ROOT { FileType::Directory } else { FileType::RegularFile };
            if reply.add(inode, index as i64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
