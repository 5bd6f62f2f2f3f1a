//! Which file system a log lies on, and whether it can keep the promises.

use std::path::Path;

/// What is known of the file system.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "only Linux tells one file system from another here")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// It works, as far as we know.
    Local,
    /// It works, and what it holds is gone with the machine's memory.
    Volatile,
    /// Locks and flushes may not mean what they say.
    Network(&'static str),
    /// A driver in user space: nobody knows.
    UserSpace,
}

/// Looks at the file system that holds `dir`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn judge(dir: &Path) -> std::io::Result<FileSystem> {
    // The magic numbers of statfs(2).
    Ok(match rustix::fs::statfs(dir)?.f_type as u32 {
        0x0102_1994 | 0x8584_58F6 => FileSystem::Volatile, // tmpfs, ramfs
        0x6969 => FileSystem::Network("NFS"),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => FileSystem::Network("SMB"),
        0x0102_1997 => FileSystem::Network("9p"),
        0x00C3_6400 => FileSystem::Network("Ceph"),
        0x6573_5546 => FileSystem::UserSpace,
        _ => FileSystem::Local,
    })
}

/// Elsewhere there is no such call; the log trusts its user.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn judge(_dir: &Path) -> std::io::Result<FileSystem> {
    Ok(FileSystem::Local)
}
