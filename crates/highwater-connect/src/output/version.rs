//! Generations that a source counts by itself, as Singer taps do with their versions. A version is the number of a generation; it
//! takes the place of what was there when the source activates it, and not before: also not when the sync ends without that.

use highwater::StreamName;

use super::Output;
use super::entry::Handle;
use crate::definition::Generation;

impl Output<'_> {
    /// What follows of the stream is of this version; of one that is new, a new generation begins. What of the stream came since the last
    /// commit counts to it, too. A version below the stream's generation changes nothing.
    pub fn begin_version(&mut self, handle: Handle, version: u64) {
        let name = self.entries[handle.0].stream.name().clone();
        if self.activated.get(&name) == Some(&version) {
            return;
        }
        self.change_generation(&name, |generation| {
            if version >= generation.number {
                (generation.number, generation.minimum) = (version, version);
                generation.is_complete = false;
            }
        });
        self.entries[handle.0].has_open_version = self.generation(&name).number == version;
    }

    /// All of this version is there: rows of others are to go.
    pub fn activate_version(&mut self, handle: Handle, version: u64) {
        self.begin_version(handle, version);
        let name = self.entries[handle.0].stream.name().clone();
        if self.generation(&name).number != version {
            return;
        }
        self.change_generation(&name, |generation| generation.is_complete = true);
        self.entries[handle.0].has_open_version = false;
        self.activated.insert(name, version);
    }

    fn change_generation(&mut self, name: &StreamName, change: impl FnOnce(&mut Generation)) {
        let Some(known) = self.book.streams.get_mut(name) else { return };
        let before = known.generation;
        change(&mut known.generation);
        self.is_book_changed |= known.generation != before;
    }
}
