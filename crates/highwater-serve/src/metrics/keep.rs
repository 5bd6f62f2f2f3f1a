//! Leaves what a run has measured where others find it: in a file beside the log, and for node_exporter's textfile collector.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use highwater_connect::files;

use super::{Monitor, gather, gather_unreadable, is_unreadable};
use crate::history::History;
use crate::index::{Follower, Index};
use crate::measured::{Measured, replace};
use crate::subject::Subject;

/// How often the files are written.
const EVERY: Duration = Duration::from_secs(5);
/// What was committed in between is read in less.
const PATIENCE: Duration = Duration::from_secs(1);

/// A thread that writes the files now and then, and once more when the run is over.
#[derive(Debug)]
pub struct Keeper {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

struct Work {
    subject: Subject,
    monitor: Monitor,
    textfile: Option<PathBuf>,
    index: Index,
    follower: Option<Follower>,
}

impl Keeper {
    /// Starts it. `textfile` is the file that node_exporter reads, if one is wanted. Fails if that can't be written.
    pub fn start(subject: Subject, monitor: Monitor, textfile: Option<PathBuf>) -> io::Result<Keeper> {
        if let Some(path) = &textfile {
            check_place(path)?;
        }
        let (end, ended) = channel();
        let mut work = Work { subject, monitor, textfile, index: Index::default(), follower: None };
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                work.write(false);
            }
            work.write(true);
        })?;
        Ok(Keeper { end, thread })
    }

    /// Writes the files for the last time. Blocks for that.
    pub fn finish(self) {
        drop(self.end);
        // If it panicked, the run went well all the same.
        drop(self.thread.join());
    }
}

/// The collector runs as somebody else.
const TEXTFILE_MODE: u32 = 0o644;

/// Fails where a file can't be made, and leaves what is there.
fn check_place(path: &Path) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    drop(files::create(&temporary, TEXTFILE_MODE)?);
    std::fs::remove_file(temporary)
}

impl Work {
    /// What can't be written is not worth a run's failure: metrics that stand still are seen.
    fn write(&mut self, ended: bool) {
        // A run that did not get the log has nothing to tell, and the one that has it does.
        if self.monitor.log().is_none() {
            return;
        }
        let mut measured = self.monitor.measured();
        measured.ended = ended;
        if let Some(known) = &self.subject.pipeline {
            drop(measured.write(&known.work));
        }
        let Some(path) = self.textfile.clone() else { return };
        if let Some(text) = self.text(&measured) {
            drop(replace(&path, text.as_bytes(), TEXTFILE_MODE));
        }
    }

    fn text(&mut self, measured: &Measured) -> Option<String> {
        let log = self.monitor.log()?;
        let follower = self.follower.get_or_insert_with(|| Follower::new(log.clone()));
        let followed = follower.follow(&mut self.index, PATIENCE);
        let history = History::of(&self.index);
        let told = followed.and_then(|_| gather(&self.subject, log, Some(measured), &history));
        match told {
            Ok(text) => Some(text.to_string()),
            Err(error) if is_unreadable(&error) => {
                Some(gather_unreadable(&self.subject, Some(measured)).to_string())
            }
            Err(_) => None,
        }
    }
}
