//! Which events are alerts, and of what.

use crate::event::Event;
use crate::pipeline::AlertKind;

impl AlertKind {
    /// Which alert an event is, if it is one.
    pub fn of(event: &Event) -> Option<AlertKind> {
        Some(match event {
            Event::Failed { retry_ms: None, kind: "paused", .. } => AlertKind::SchemaPaused,
            Event::Failed { retry_ms: None, .. } => AlertKind::RunFailed,
            Event::CheckpointLate { .. } => AlertKind::CheckpointLate,
            Event::DeliveryLate { .. } => AlertKind::DeliveryLate,
            Event::DiskLow { .. } => AlertKind::DiskLow,
            Event::CountsDiffer { .. } => AlertKind::CountsDiffer,
            Event::BreakerOpened { .. } => AlertKind::BreakerOpened,
            Event::Delivered { rejected: 1.., .. } => AlertKind::RecordsRejected,
            Event::StreamGone { .. } => AlertKind::StreamGone,
            Event::FileSkipped { .. } => AlertKind::FileSkipped,
            _ => return None,
        })
    }
}

/// Of what an alert tells, so that it is not told again and again.
pub(super) fn subject(event: &Event) -> &str {
    match event {
        Event::Failed { of, .. } | Event::CountsDiffer { of, .. } => of,
        Event::DeliveryLate { destination, .. }
        | Event::BreakerOpened { destination, .. }
        | Event::Delivered { destination, .. } => destination,
        Event::DiskLow { room, .. } => room,
        Event::StreamGone { stream } | Event::FileSkipped { stream, .. } => &stream.name,
        _ => "",
    }
}
