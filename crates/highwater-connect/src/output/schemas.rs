//! What the source offers, against what the log knows of it: before anything of it is used.

use highwater::StreamName;

use super::Output;
use super::sync;
use crate::bookkeeping::Book;
use crate::definition::StreamDefinition;
use crate::event::Event;
use crate::failure::{Failure, Result};
use crate::pipeline::SECRET;
use crate::schema::{Change, difference};
use crate::source::{Offer, Reading, State};

impl Output<'_> {
    /// Reports what has changed since the states were written, and fails with
    /// [`FailureKind::Paused`](crate::FailureKind::Paused) where going on from them could be wrong.
    pub(super) fn check_offers(&self, offers: &[Offer]) -> Result<()> {
        let states = sync::state(self.log)?;
        if !states.is_empty() {
            self.tell_source_changes();
        }
        for offer in offers {
            let name = &offer.definition.name;
            let Some(known) = self.definition(name) else { continue };
            for change in identity_changes(&self.book, known, offer) {
                let has_state = states.of(name).is_some() || states.global.is_some();
                let is_harmless = matches!(change, Change::CursorChanged { .. })
                    && (!has_state || offer.reading != Reading::Onward);
                self.tell_changes(known, vec![change.clone()], is_harmless);
                if !is_harmless {
                    return Err(what_next(known, &change, states.of(name).is_some()));
                }
            }
        }
        Ok(())
    }

    /// Tells which streams have a state that nobody is given, with the beginning of each sync. Where streams are chosen in the
    /// pipeline file, one that goes is mostly somebody's will: that is told once, in case it was a slip.
    pub(super) fn tell_gone(&self, offers: &[Offer], states: &State, is_new: bool) {
        let is_offered = |name: &StreamName| offers.iter().any(|offer| offer.definition.name == *name);
        for (name, _) in states.streams.iter().filter(|(name, _)| !is_offered(name)) {
            let last = self.definition(name).map(|known| known.generation.sync);
            let is_first = last.is_none_or(|last| last + 1 == self.book.sync);
            let is_told =
                if is_new { self.around.reads_all || is_first } else { last == Some(self.book.sync) };
            if is_told {
                self.around.reporter.tell(Event::StreamGone { stream: name.clone() });
            }
        }
    }

    /// The configuration is another: that may be a new password, or another database.
    fn tell_source_changes(&self) {
        let (before, now) = (&self.book.source, &self.around.source);
        let is_comparable = before.get(SECRET) == now.get(SECRET);
        if before.is_empty() || now.is_empty() || !is_comparable {
            return;
        }
        let all = before.keys().chain(now.keys());
        let mut keys: Vec<String> = all.filter(|key| before.get(*key) != now.get(*key)).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        if !keys.is_empty() {
            self.around.reporter.tell(Event::SourceChanged { keys });
        }
    }

    /// The schema that holds from now on, where the source tells this one.
    pub(super) fn decide_schema(
        &self,
        known: &StreamDefinition,
        offered: Option<&str>,
    ) -> Result<Option<String>> {
        let Some(before) = known.schema.as_deref() else { return Ok(offered.map(str::to_owned)) };
        if offered == Some(before) {
            return Ok(known.schema.clone());
        }
        let changes = difference(Some(before), offered);
        let policy = self.around.schema;
        let decided = policy.decide(before, offered, &changes);
        if !changes.is_empty() {
            let is_taken = decided.as_ref().is_ok_and(|decided| decided.as_deref() != Some(before));
            self.tell_changes(known, changes, is_taken);
        }
        decided.map_err(|failure| failure.while_doing(format!("stream {}", known.name)))
    }

    fn tell_changes(&self, stream: &StreamDefinition, changes: Vec<Change>, is_taken: bool) {
        let (stream, policy) = (stream.name.clone(), self.around.schema.name());
        self.around.reporter.tell(Event::SchemaChanged { stream, policy, changes, taken: is_taken });
    }
}

/// What differs beside columns.
pub(crate) fn identity_changes(book: &Book, known: &StreamDefinition, offer: &Offer) -> Vec<Change> {
    let mut changes = Vec::new();
    let offered = &offer.definition;
    if known.key != offered.key {
        changes.push(Change::KeyChanged { from: known.key.clone(), to: offered.key.clone() });
    }
    let cursor = book.cursors.get(&known.name);
    if cursor != offer.cursor.as_ref() {
        changes.push(Change::CursorChanged { from: cursor.cloned(), to: offer.cursor.clone() });
    }
    changes
}

fn what_next(stream: &StreamDefinition, change: &Change, has_own_state: bool) -> Failure {
    let name = &stream.name;
    let accept = "`highwater schema accept`";
    let anew = match has_own_state {
        true => format!("`highwater reset --stream {}`", name.name),
        false => "`highwater state clear --global`".to_owned(),
    };
    Failure::paused(match change {
        Change::KeyChanged { .. } => format!(
            "stream {name}: {change}; what is written already has the old key, and a database that holds it takes no other: such a \
             destination needs another name, with start = \"now\"; then {accept} takes the new key, and {anew} first reads the stream anew"
        ),
        _ => format!(
            "stream {name}: {change}; its state is one of the old cursor: {anew} reads the stream anew, {accept} goes on \
             from the state as it is"
        ),
    })
}
