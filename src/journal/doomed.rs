//! Files that the log no longer names. Removing a large one keeps some disks busy for a tenth of a second, so a log with a
//! background thread has that do it, one file at a time, beside the commits and not in the way of who prunes. A crash in
//! between is no matter: the next opening removes what is below the first live segment.

use std::io;

use super::Journal;
use crate::error::{Error, Result};
use crate::storage;

impl Journal {
    /// Removes a file, now or soon; returns whether it did.
    pub(crate) fn dispose(&self, name: &str) -> Result<bool> {
        if self.config.background.is_some() {
            self.state().doomed.push_back(name.to_owned());
            return Ok(false);
        }
        self.remove(name)?;
        Ok(true)
    }

    /// Removes one of the files that wait for it; whether there was one. It stays among them until it is gone.
    pub(super) fn remove_doomed(&self) -> Result<bool> {
        let _one = self.removing.lock();
        let Some(name) = self.state().doomed.front().cloned() else { return Ok(false) };
        self.remove(&name)?;
        let mut state = self.state();
        state.doomed.pop_front();
        let last = state.doomed.is_empty();
        drop(state);
        if last {
            let path = self.storage().path();
            storage::sync_names(self.storage())
                .map_err(|e| Error::io("flushing the log's directory", path, e))?;
        }
        Ok(true)
    }

    pub(super) fn remove_all_doomed(&self) -> Result<()> {
        while self.remove_doomed()? {}
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        match self.storage().remove(name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("removing a segment", name, e)),
            _ => Ok(()),
        }
    }
}
