//! What is on record of what people did, as far as it bears on what is to be done next.

use highwater::{AuditEvent, ConsumerInfo, LogReader, Sequence};

use crate::failure::Failure;

/// Up to which checkpoint a consumer that has diverged has the same as the log, as far as what is on record tells: a repair that cut the log, or a restore, since somebody moved the consumer last. The log may have
/// gone on from there, so its end says nothing. `None` if nothing on record tells. Blocks for reading every frame's header.
pub(super) fn last_common(log: &LogReader, consumer: &ConsumerInfo) -> Result<Option<Sequence>, Failure> {
    let mut common: Option<Sequence> = None;
    log.audit(&mut |entry| {
        let cut = match &entry.event {
            AuditEvent::Repair { first: Some(first), skipped: false, .. } => first.previous(),
            AuditEvent::Operation { position, record } if record.verb() == "restore" => {
                position.sequence.previous()
            }
            AuditEvent::Consumer { consumer: moved, .. } if *moved == consumer.name => return common = None,
            _ => return,
        };
        // Of several the earliest: the consumer may have had more than the log ever since.
        common = Some(common.map_or(cut, |before| before.min(cut)));
    })?;
    Ok(common.filter(|common| *common < consumer.acknowledged && *common >= log.first()))
}

/// Whether somebody has worked on the log by hand since then (in microseconds since 1970), or moved this consumer: what failed before may
/// go well now. Blocks for reading every frame's header.
pub(super) fn was_worked_on(log: &LogReader, since_us: i64, consumer: Option<&str>) -> Result<bool, Failure> {
    let mut was = false;
    log.audit(&mut |entry| {
        was |= entry.time_us > since_us
            && match &entry.event {
                AuditEvent::Operation { .. } => true,
                AuditEvent::Consumer { consumer: moved, .. } => consumer == Some(moved),
                _ => false,
            };
    })?;
    Ok(was)
}
