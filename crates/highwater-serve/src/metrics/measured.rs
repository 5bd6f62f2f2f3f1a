//! What the writing process has measured, as metrics.

use super::text::Exposition;
use crate::measured::{Measured, Opening, Part, Writer};

/// `is_now`: the process still writes the log, so its gauges are worth something.
pub(super) fn tell(text: &mut Exposition, measured: &Measured, is_now: bool) {
    if let Some(writer) = &measured.writer {
        tell_writer(text, writer, is_now);
    }
    let source = &measured.source;
    text.counter(
        "highwater_source_attempts_total",
        "Times that the source was started.",
        &[],
        source.attempts,
    );
    text.counter(
        "highwater_source_records_total",
        "Records that the source has sent; what an attempt did not commit comes again.",
        &[],
        source.records,
    );
    tell_part(text, "source", source);
    for (name, destination) in &measured.destinations {
        tell_destination(text, name, destination);
        tell_part(text, name, destination);
    }
}

pub(super) fn tell_writer(text: &mut Exposition, writer: &Writer, is_now: bool) {
    text.histogram(
        "highwater_commit_duration_seconds",
        "How long a commit took, its flush included.",
        &[],
        &writer.commit_duration,
    );
    text.histogram(
        "highwater_flush_duration_seconds",
        "How long the disk took for a flush.",
        &[],
        &writer.flush_duration,
    );
    text.counter(
        "highwater_commits_total",
        "Commits of this process that went well.",
        &[],
        writer.commit_duration.count(),
    );
    text.counter(
        "highwater_flushes_total",
        "Flushes of this process that went well.",
        &[],
        writer.flush_duration.count(),
    );
    text.counter("highwater_appended_bytes_total", "Bytes of frames written.", &[], writer.appended_bytes);
    for (how, count) in [("new", writer.segments_new), ("recycled", writer.segments_recycled)] {
        text.counter("highwater_segments_made_total", "Segments made, by how.", &[("how", how)], count);
    }
    text.counter(
        "highwater_segments_late_total",
        "Segments that an append had to wait for.",
        &[],
        writer.segments_late,
    );
    tell_errors(text, writer);
    if let Some(opening) = &writer.opening {
        tell_opening(text, opening);
    }
    if is_now {
        tell_gauges(text, writer);
    }
}

/// Two kinds are told before they ever came, so that a first one is an increase.
fn tell_errors(text: &mut Exposition, writer: &Writer) {
    let mut errors: Vec<(&str, u64)> = writer.errors.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    for kind in ["corrupt", "full", "io"] {
        if !writer.errors.contains_key(kind) {
            errors.push((kind, 0));
        }
    }
    errors.sort_unstable();
    for (kind, count) in errors {
        text.counter(
            "highwater_errors_total",
            "Errors of calls to the log, and damage that readers met, by kind.",
            &[("kind", kind)],
            count,
        );
    }
}

fn tell_opening(text: &mut Exposition, opening: &Opening) {
    text.gauge(
        "highwater_recovery_duration_seconds",
        "How long the last opening of the log took.",
        &[],
        opening.took_s,
    );
    let (torn, uncommitted) =
        if opening.torn { (opening.dropped_bytes, 0) } else { (0, opening.dropped_bytes) };
    for (reason, bytes) in [("torn", torn), ("uncommitted", uncommitted)] {
        text.gauge(
            "highwater_recovery_dropped_bytes",
            "Bytes of whole frames that the last opening dropped: behind a torn write, or named by no commit.",
            &[("reason", reason)],
            bytes,
        );
    }
    text.gauge(
        "highwater_recovery_rewritten_bytes",
        "Bytes that the last opening wrote again: they were not on the device.",
        &[],
        opening.rewritten_bytes,
    );
}

fn tell_gauges(text: &mut Exposition, writer: &Writer) {
    text.gauge(
        "highwater_uncommitted_bytes",
        "Written, and named by no commit yet.",
        &[],
        writer.uncommitted_bytes,
    );
    text.gauge("highwater_unflushed_bytes", "Written, and not flushed yet.", &[], writer.unflushed_bytes);
    text.flag(
        "highwater_disk_full",
        "Whether the last segment to be made found no room, on the disk or under the log's cap.",
        &[],
        writer.full,
    );
    text.flag(
        "highwater_failed",
        "Whether a write or flush failed: the log takes no more until it is opened again.",
        &[],
        writer.failed,
    );
}

fn tell_destination(text: &mut Exposition, name: &str, destination: &Part) {
    let labels = [("destination", name)];
    text.counter(
        "highwater_delivered_records_total",
        "Records that the destination took.",
        &labels,
        destination.records,
    );
    text.counter(
        "highwater_rejected_records_total",
        "Records that the destination refused.",
        &labels,
        destination.rejected,
    );
    text.histogram(
        "highwater_delivery_duration_seconds",
        "How long a batch took, until it was applied and acknowledged.",
        &labels,
        &destination.batches,
    );
    text.flag(
        "highwater_breaker_open",
        "Whether the destination failed so often that it is left alone for a while.",
        &labels,
        destination.breaker_open,
    );
    text.counter(
        "highwater_breaker_opened_total",
        "Times that the destination's breaker opened; a trial that failed opens it again.",
        &labels,
        destination.breaker_opened,
    );
}

/// What a source and a destination have in common.
fn tell_part(text: &mut Exposition, name: &str, part: &Part) {
    let labels = [("part", name)];
    let mut failures: Vec<(&str, u64)> = part.failures.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    if failures.is_empty() {
        failures.push(("transient", 0));
    }
    for (kind, count) in failures {
        let labels = [("part", name), ("kind", kind)];
        text.counter("highwater_failures_total", "Failures of a part, by kind.", &labels, count);
    }
    text.counter(
        "highwater_retries_total",
        "Failures after which the part was tried again.",
        &labels,
        part.retries,
    );
    text.counter(
        "highwater_restarts_succeeded_total",
        "Tries after a failure that got on.",
        &labels,
        part.restarts_succeeded,
    );
    text.gauge(
        "highwater_consecutive_failures",
        "Failures in a row, with no progress in between.",
        &labels,
        part.failing,
    );
    text.flag("highwater_given_up", "Whether nobody tries the part any more.", &labels, part.given_up);
}
