//! How far it is.

use super::Output;
use super::entry::Entry;
use crate::event::{Event, StreamProgress};

impl Output<'_> {
    /// Whether nothing is lost if the source ends here.
    pub fn is_settled(&self) -> bool {
        self.entries.iter().all(|entry| self.writer.uncommitted(&entry.stream) == 0)
    }

    /// Records committed since it began.
    pub fn committed(&self) -> u64 {
        self.entries.iter().map(|entry| entry.committed).sum()
    }

    /// What tells the records that came in this attempt from those of another: bytes and checksum by stream. `None` if none came.
    pub(crate) fn content(&self) -> Option<Vec<(u64, u32)>> {
        let content: Vec<_> = self.entries.iter().map(Entry::content).collect();
        content.iter().any(|&(bytes, _)| bytes > 0).then_some(content)
    }

    /// The records that were read, and those that are committed, by stream.
    pub fn progress(&self) -> Vec<StreamProgress> {
        let progress = |entry: &Entry| StreamProgress {
            stream: entry.stream.name().clone(),
            records: entry.records,
            committed: entry.committed,
        };
        self.entries.iter().map(progress).collect()
    }

    pub(crate) fn tell_progress(&self) {
        self.around.reporter.tell(Event::Progress { streams: self.progress() });
    }
}
