//! The names of a log's files: made and read here and nowhere else.

use crate::position::SegmentId;

/// Held while a process writes; holds who that is.
pub(crate) const LOCK: &str = "lock";
/// Held for the moment in which somebody takes the lock.
pub(crate) const LOCK_GUARD: &str = "lock.guard";
/// A new lock while it replaces that of a dead process.
const NEW_LOCK: &str = "lock.tmp";
/// How far the log was flushed.
pub(crate) const MARK: &str = "mark";
/// A segment while it is made.
pub(crate) const NEW: &str = "new.tmp";
/// A base file while it is made: a pruning makes it while writers may make a segment.
pub(crate) const NEW_BASE: &str = "new-base.tmp";
/// Room for bookkeeping on a full disk.
pub(crate) const RESERVE: &str = "reserve";
/// There while a repair is under way; tells how to take it back.
pub(crate) const REPAIR: &str = "repair";
/// In a directory that is a backup: how far it goes.
pub(crate) const BACKUP: &str = "backup";
/// There while a backup or a restore changes a directory: until it ends, what lies there is no log.
pub(crate) const COPYING: &str = "copying";
/// Notes of those who do not write the log.
pub(crate) const NOTES: &str = "notes";
/// The notes while they are made anew.
pub(crate) const NEW_NOTES: &str = "new-notes.tmp";
/// Held for the moment in which somebody says what the log has to keep, or a pruning lets something go.
pub(crate) const HOLDS_GUARD: &str = "holds.guard";
/// Held while a repair is under way, by whom it may be taken back.
pub(crate) const REPAIR_GUARD: &str = "repair.guard";
/// The longest name of a consumer or a pin, in bytes.
pub(crate) const NAME_MAX: usize = 100;

const CONSUMER: &str = "consumer.";
const NEW_CONSUMER: &str = "new-consumer.";
const PIN: &str = "pin.";
const ASIDE: &str = "damaged-";
const NEW_PIN: &str = "new-pin.";

/// What a file of the log's directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A segment or a base file.
    Segment(SegmentId),
    Consumer(String),
    Pin(String),
    Lock,
    Mark,
    New,
    Reserve,
    Repair,
    Backup,
    Copying,
    Notes,
    /// Set aside by the repair of this number, under the name that it had.
    Aside(u32, String),
    /// Not ours: left alone.
    Other,
}

/// The name of a segment's or a base's file.
pub(crate) fn segment(id: SegmentId) -> String {
    if id.is_base() { format!("base-{:08x}.hws", id.base_number()) } else { format!("{:08x}.hws", id.0) }
}

/// Its file while it is made.
pub(crate) fn new_segment(id: SegmentId) -> &'static str {
    if id.is_base() { NEW_BASE } else { NEW }
}

pub(crate) fn consumer(name: &str) -> String {
    format!("{CONSUMER}{name}")
}

/// A consumer's file while it is made.
pub(crate) fn new_consumer(name: &str) -> String {
    format!("{NEW_CONSUMER}{name}")
}

pub(crate) fn pin(name: &str) -> String {
    format!("{PIN}{name}")
}

/// What the repair of this number calls a file that it sets aside.
pub(crate) fn aside(repair: u32, name: &str) -> String {
    format!("{ASIDE}{repair}.{name}")
}

fn parse_aside(name: &str) -> Option<FileName> {
    let (digits, original) = name.strip_prefix(ASIDE)?.split_once('.')?;
    let repair = digits.parse().ok()?;
    (aside(repair, original) == name).then(|| FileName::Aside(repair, original.to_owned()))
}

/// A pin's file while it is made.
pub(crate) fn new_pin(name: &str) -> String {
    format!("{NEW_PIN}{name}")
}

/// Whether a consumer or a pin may have this name: letters, digits, `.`, `_`, `-`, not too long, not hidden.
pub(crate) fn is_valid(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(plain) && !name.starts_with('.')
}

pub(crate) fn parse(name: &str) -> FileName {
    let hex = |digits: &str| (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok()).flatten();
    match name {
        LOCK | LOCK_GUARD | HOLDS_GUARD | REPAIR_GUARD => return FileName::Lock,
        MARK => return FileName::Mark,
        NEW | NEW_BASE | NEW_NOTES | NEW_LOCK => return FileName::New,
        RESERVE => return FileName::Reserve,
        REPAIR => return FileName::Repair,
        BACKUP => return FileName::Backup,
        COPYING => return FileName::Copying,
        NOTES => return FileName::Notes,
        _ => {}
    }
    if let Some(consumer) = name.strip_prefix(CONSUMER).filter(|name| is_valid(name)) {
        return FileName::Consumer(consumer.to_owned());
    }
    if [NEW_CONSUMER, NEW_PIN].iter().any(|made| name.strip_prefix(made).is_some_and(is_valid)) {
        return FileName::New;
    }
    if let Some(pin) = name.strip_prefix(PIN).filter(|name| is_valid(name)) {
        return FileName::Pin(pin.to_owned());
    }
    if let Some(aside) = parse_aside(name) {
        return aside;
    }
    let id = name.strip_suffix(".hws").and_then(|stem| match stem.strip_prefix("base-") {
        Some(digits) => hex(digits).map(SegmentId::base),
        None => hex(stem).map(SegmentId),
    });
    // Only the one spelling we write is ours.
    id.filter(|id| segment(*id) == name).map_or(FileName::Other, FileName::Segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_left_alone() {
        for id in [SegmentId(1), SegmentId(0xABCDEF), SegmentId::base(7)] {
            assert_eq!(parse(&segment(id)), FileName::Segment(id));
        }
        assert_eq!(parse(&consumer("lake-1")), FileName::Consumer("lake-1".into()));
        assert_eq!(parse(&aside(3, MARK)), FileName::Aside(3, MARK.into()));
        assert_eq!(parse("damaged-03.mark"), FileName::Other);
        assert_eq!(parse(&pin("backup")), FileName::Pin("backup".into()));
        assert_eq!(parse(&new_pin("backup")), FileName::New);
        for other in
            ["1.hws", "0000000G.hws", "ABCDEF00.hws", "base-1.hws", "notes.txt", "consumer.", "consumer.a/b"]
        {
            assert_eq!(parse(other), FileName::Other, "{other}");
        }
    }
}
