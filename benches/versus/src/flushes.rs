//! How often an engine flushes. Nobody wins by not flushing: each contender's system calls are counted once under
//! `strace`, in a short run of its own, between two marks. Where there is no `strace`, the device's own count of flushes is
//! left, which takes in what everybody else on the machine does.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::disk;
use crate::measure::Figures;

/// Files that are not there; whoever tries to open them is seen by a tracer.
const OPENED: &str = "versus:measured-from-here";
const CLOSED: &str = "versus:measured-to-here";

/// The part of a measurement in which flushes count.
#[derive(Debug)]
pub(crate) struct Window {
    dir: PathBuf,
    device_flushes: Option<u64>,
}

impl Window {
    pub(crate) fn open(dir: &Path) -> Window {
        let _ = File::open(OPENED);
        Window { dir: dir.to_owned(), device_flushes: disk::device_flushes(dir) }
    }

    /// So many commits were made in it.
    pub(crate) fn close(self, commits: u64, figures: &mut Figures) {
        let _ = File::open(CLOSED);
        figures.insert("commits".into(), commits as f64);
        if let (Some(before), Some(after)) = (self.device_flushes, disk::device_flushes(&self.dir)) {
            figures.insert("device_flushes".into(), (after - before) as f64 / commits as f64);
        }
    }
}

/// What a tracer is asked to show: opened files and their flags, and everything that can flush.
const CALLS: &str =
    "trace=open,openat,close,fsync,fdatasync,msync,sync,syncfs,write,writev,pwrite64,pwritev,pwritev2";

/// The same command under a tracer that writes to a file.
pub(crate) fn traced(program: &Path, trace: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-s", "0", "-e", "signal=none", "-e", CALLS, "-o"]);
    // A marker's name has to be seen; paths are shown whole, whatever -s says.
    command.arg(trace).arg("--").arg(program);
    command
}

/// Whether there is such a tracer.
pub(crate) fn can_trace() -> bool {
    Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// The flushes between the marks of a trace; `None` if it has no marks.
pub(crate) fn count(trace: &str) -> Option<u64> {
    let mut reading = Reading::default();
    let mut counted = None;
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.contains(OPENED) {
            counted = Some(0);
        } else if call.contains(CLOSED) {
            return counted;
        } else if reading.flushes(thread, call)
            && let Some(counted) = &mut counted
        {
            *counted += 1;
        }
    }
    None
}

/// Which descriptors were opened so that each write is a flush.
#[derive(Debug, Default)]
struct Reading<'a> {
    synchronous: HashSet<&'a str>,
    /// Threads in the middle of opening such a file.
    opening: HashSet<&'a str>,
}

impl<'a> Reading<'a> {
    fn flushes(&mut self, thread: &'a str, call: &'a str) -> bool {
        if let Some(resumed) = call.strip_prefix("<... open") {
            if self.opening.remove(thread) {
                self.synchronous.extend(result(resumed));
            }
            return false;
        }
        let Some((name, arguments)) = call.split_once('(') else { return false };
        let descriptor = arguments.split([',', ')', ' ']).next().unwrap_or_default();
        match name {
            "fsync" | "fdatasync" | "sync" | "syncfs" => true,
            "msync" => arguments.contains("MS_SYNC"),
            "write" | "writev" | "pwrite64" | "pwritev" => self.synchronous.contains(descriptor),
            "pwritev2" => arguments.contains("SYNC") || self.synchronous.contains(descriptor),
            "close" => {
                self.synchronous.remove(descriptor);
                false
            }
            "open" | "openat" => {
                self.opened(thread, arguments);
                false
            }
            _ => false,
        }
    }

    fn opened(&mut self, thread: &'a str, arguments: &'a str) {
        if !arguments.contains("O_DSYNC") && !arguments.contains("O_SYNC") {
            return;
        }
        if arguments.ends_with("<unfinished ...>") {
            self.opening.insert(thread);
        } else {
            self.synchronous.extend(result(arguments));
        }
    }
}

/// What stands behind the last equals sign.
fn result(call: &str) -> Option<&str> {
    call.rsplit_once("= ").and_then(|(_, result)| result.split(' ').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flushes_between_the_marks_count() {
        let trace = format!(
            "7 openat(AT_FDCWD, \"/a\", O_RDWR|O_DIRECT|O_DSYNC) = 5\n\
             7 fdatasync(3) = 0\n\
             7 openat(AT_FDCWD, \"{OPENED}\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)\n\
             7 pwrite64(3, \"\"..., 4096, 0) = 4096\n\
             7 fdatasync(3 <unfinished ...>\n\
             8 pwrite64(5, \"\"..., 4096, 0) = 4096\n\
             7 <... fdatasync resumed>) = 0\n\
             8 openat(AT_FDCWD, \"/b\", O_WRONLY|O_DSYNC <unfinished ...>\n\
             7 write(6, \"\"..., 1) = 1\n\
             8 <... openat resumed>) = 6\n\
             7 write(6, \"\"..., 1) = 1\n\
             7 close(6) = 0\n\
             7 write(6, \"\"..., 1) = 1\n\
             7 msync(0x7f00, 4096, MS_ASYNC) = 0\n\
             7 msync(0x7f00, 4096, MS_SYNC) = 0\n\
             7 pwritev2(9, [], 1, 0, RWF_DSYNC) = 1\n\
             7 openat(AT_FDCWD, \"{CLOSED}\", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)\n\
             7 fdatasync(3) = 0\n"
        );
        assert_eq!(count(&trace), Some(5));
    }

    #[test]
    fn a_trace_without_marks_says_nothing() {
        assert_eq!(count("7 fdatasync(3) = 0\n"), None);
    }
}
