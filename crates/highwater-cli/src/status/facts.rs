//! What the next command depends on: the last attempt as the log makes it look now, and who lacks something.

use highwater_connect::runs::End;
use highwater_connect::runtime::Trouble;

use super::{Destination, Report};

/// How it stands with the source, after the last attempt to read it and what was done since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// It is under way, was killed, was stopped, or came to its end.
    Well,
    /// It may go well the next time.
    MayGoWell,
    /// Something has to be mended first.
    Failed,
    /// It can't go on from the state that the log has.
    Unfit,
    Paused,
    Full,
}

impl Report {
    pub(super) fn source(&self) -> Source {
        let Some(end) = self.last_end() else { return Source::Well };
        match end.outcome.as_str() {
            "complete" | "stopped" | "cancelled" => Source::Well,
            _ if self.was_worked_on => Source::MayGoWell,
            "transient" | "rate_limit" => Source::MayGoWell,
            "paused" => Source::Paused,
            "full" if self.is_full_still(end) => Source::Full,
            "full" => Source::MayGoWell,
            "diverged" => Source::Unfit,
            _ => Source::Failed,
        }
    }

    fn last_end(&self) -> Option<&End> {
        self.last_attempt.as_ref()?.end.as_ref()
    }

    /// Whether the next run ends at the cap, too: what is delivered meanwhile it can let go by itself.
    fn is_full_still(&self, end: &End) -> bool {
        // With nothing left to deliver a checkpoint had no room; how the log looks without it does not matter.
        let has_no_room_alone =
            end.error.as_ref().is_some_and(|error| error.contains("everything is delivered"));
        let is_held = self.latest().is_some_and(|late| self.holds_space(late));
        has_no_room_alone || self.at_cap && (is_held || !self.is_prunable)
    }

    /// Destinations of the pipeline file; of a log alone, all consumers.
    pub(super) fn known(&self) -> impl Iterator<Item = &Destination> {
        self.consumers.iter().filter(|destination| !destination.is_stranger)
    }

    /// The consumer that lacks most.
    pub(super) fn latest(&self) -> Option<&Destination> {
        latest(self.consumers.iter())
    }

    /// Nobody reads what is kept for it, and no run of this file will.
    pub(super) fn stranger(&self) -> Option<&Destination> {
        let idle = self.consumers.iter().filter(|one| one.is_stranger && one.consumer.used_by.is_none());
        latest(idle.clone().filter(|late| self.holds_space(late)))
            .or_else(|| idle.clone().find(|one| one.consumer.diverged))
    }

    /// How the last attempt ended is itself a checkpoint behind what it brought, and holds next to nothing.
    pub(super) fn holds_space(&self, late: &Destination) -> bool {
        self.last_end().is_none_or(|end| late.consumer.acknowledged < end.last)
    }

    /// Of the pipeline file's destinations, also of those that could not even begin; not what somebody has seen to since.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&str, &Trouble)> {
        let begun = self.known().map(|one| (one.consumer.name.as_str(), &one.trouble, one.was_worked_on));
        let others = self.not_begun.iter().map(|one| (one.name.as_str(), &one.trouble, one.was_worked_on));
        let all = begun.chain(others).filter(|(.., was_worked_on)| !was_worked_on);
        all.filter_map(|(name, trouble, _)| Some((name, trouble.as_ref()?)))
    }

    pub(super) fn lacks_something(&self) -> bool {
        !self.sync_ended
            || self.source() == Source::MayGoWell
            || !self.not_begun.is_empty()
            || latest(self.known()).is_some()
            || self.known().any(|one| one.was_worked_on)
    }
}

fn latest<'a>(consumers: impl Iterator<Item = &'a Destination>) -> Option<&'a Destination> {
    let late = consumers.filter(|destination| destination.consumer.lag_checkpoints > 0);
    late.min_by_key(|destination| destination.consumer.acknowledged)
}
