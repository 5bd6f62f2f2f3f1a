//! Who holds a lock, by what the kernel tells of all of them: asking by taking it would keep another from taking it just then.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that holds an exclusive `flock` of the file, if it is one of those that this one may see.
pub(super) fn locker(path: &Path) -> Option<u32> {
    let inode = std::fs::metadata(path).ok()?.ino();
    find(&std::fs::read_to_string("/proc/locks").ok()?, inode)
}

/// Lines are `3: FLOCK  ADVISORY  WRITE 24530 fe:00:10010636 0 EOF`: kind, process, device and inode. The device is not compared:
/// some file systems tell another one there than of the file itself.
fn find(locks: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_exclusive = words.next()? == "FLOCK" && words.nth(1)? == "WRITE";
        let (process, file) = (words.next()?.parse().ok()?, words.next()?);
        (is_exclusive && file.rsplit(':').next()? == inode).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_understood() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 120 120\n\
                     2: FLOCK  ADVISORY  READ 12 fe:00:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fe:00:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 14 fe:00:77 0 EOF\n\
                     4: FLOCK\n";
        assert_eq!(find(locks, 77), Some(14));
        assert_eq!(find(locks, 78), None);
        assert_eq!(find("4: FLOCK", 77), None);
    }

    #[test]
    fn a_lock_of_our_own_is_found_while_it_is_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(locker(file.path()), None);
        file.as_file().lock().unwrap();
        assert_eq!(locker(file.path()), Some(std::process::id()));
        file.as_file().unlock().unwrap();
        assert_eq!(locker(file.path()), None);
    }
}
