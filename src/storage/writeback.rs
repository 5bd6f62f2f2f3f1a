//! Having the device begin early with what was written: one raw call.

use std::fs::File;
use std::io;

/// Starts writing back a part of a file, and does not wait for it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn begin(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    use rustix::io::Errno;
    use std::os::fd::AsRawFd;
    let range = |value: u64| i64::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
    let (offset, bytes) = (range(offset)?, range(bytes)?);
    // SAFETY: the call takes no memory of ours, and the descriptor is open as long as `file` is borrowed.
    let result =
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        // A sandbox without the call: nothing was begun, and nothing is lost.
        Some(Errno::NOSYS | Errno::PERM) => Ok(()),
        _ => Err(error),
    }
}

/// Elsewhere there is no such call, or none that does not wait.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn begin(_file: &File, _offset: u64, _bytes: u64) -> io::Result<()> {
    Ok(())
}
