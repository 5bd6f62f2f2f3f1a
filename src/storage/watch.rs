//! Being told of writes to a file, by inotify.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use super::Watch;

#[derive(Debug)]
struct Inotify(OwnedFd);

/// Tells of writes to the file at `path`; `None` where there is nothing to be had: users have few watches.
pub(super) fn watch(path: &Path) -> io::Result<Option<Box<dyn Watch>>> {
    let made = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .and_then(|queue| inotify::add_watch(&queue, path, WatchFlags::MODIFY).map(|_| queue));
    match made {
        Ok(queue) => Ok(Some(Box::new(Inotify(queue)))),
        Err(Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::NOMEM | Errno::NOSYS | Errno::PERM) => {
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

impl Watch for Inotify {
    fn wait(&self, timeout: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            other => other?,
        };
        // What the events say is known; they are taken so that the next wait waits.
        let mut events = [0; 1024];
        loop {
            match rustix::io::read(&self.0, &mut events) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may wait")]
    fn a_write_ends_the_wait_and_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        std::fs::write(&path, "a").unwrap();
        let watch = watch(&path).unwrap().unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut f| io::Write::write(&mut f, b"b"))
            .unwrap();
        let begun = std::time::Instant::now();
        watch.wait(Duration::from_secs(60)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30));
        let begun = std::time::Instant::now();
        watch.wait(Duration::from_millis(20)).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
