//! What anybody can compute from a log, whoever writes it.

use std::path::Path;

use highwater::{ConsumerInfo, LogReader, Result, Sequence, Status};

use super::seconds;
use super::text::Exposition;
use crate::subject::{self, Subject};

/// `is_live`: a process writes it now.
pub(super) fn tell(text: &mut Exposition, subject: &Subject, log: &LogReader, is_live: bool) -> Result<()> {
    let status = log.status()?;
    tell_readable(text, true);
    tell_end(text, &status, is_live);
    tell_space(text, subject, log, &status)?;
    for consumer in &status.consumers {
        tell_consumer(text, log, consumer)?;
    }
    Ok(())
}

pub(super) fn tell_readable(text: &mut Exposition, is_readable: bool) {
    let help = "Whether the log can be read. If not, what else is told here is of its files and of the process that writes it.";
    text.flag("highwater_log_readable", help, &[], is_readable);
}

pub(super) fn tell_size(text: &mut Exposition, bytes: u64) {
    text.gauge("highwater_log_size_bytes", "All files of the log.", &[], bytes);
}

pub(super) fn tell_disk(text: &mut Exposition, log: &Path) {
    if let Some((free, all)) = subject::disk(log) {
        text.gauge("highwater_disk_free_bytes", "Free on the log's file system.", &[], free);
        text.gauge("highwater_disk_size_bytes", "The size of the log's file system.", &[], all);
    }
}

fn tell_end(text: &mut Exposition, status: &Status, is_live: bool) {
    let last = status.end.map_or(0, |end| end.sequence.get());
    text.flag("highwater_writer_up", "Whether a process writes the log now.", &[], is_live);
    text.counter(
        "highwater_checkpoints_total",
        "Checkpoints committed since the log was created: the number of the last durable one.",
        &[],
        last,
    );
    text.counter(
        "highwater_records_total",
        "Records committed since the log was created.",
        &[],
        status.records,
    );
    text.counter(
        "highwater_record_bytes_total",
        "Bytes of keys, metadata and payloads committed since the log was created.",
        &[],
        status.bytes,
    );
    if let Some(us) = status.last_checkpoint_us {
        text.gauge(
            "highwater_last_checkpoint_timestamp_seconds",
            "When the last durable checkpoint was committed.",
            &[],
            seconds(us),
        );
    }
    text.gauge("highwater_retained_checkpoints", "Checkpoints that can be read.", &[], status.checkpoints);
    text.gauge("highwater_streams", "Streams that are defined.", &[], status.streams);
}

fn tell_space(text: &mut Exposition, subject: &Subject, log: &LogReader, status: &Status) -> Result<()> {
    tell_size(text, status.disk_bytes);
    text.gauge("highwater_segments", "Segments that hold the log.", &[], status.segments.len());
    text.gauge(
        "highwater_spare_segments",
        "Files that are prepared, or wait to be written over.",
        &[],
        status.spare_segments,
    );
    let reclaimable = log.plan_prune(&subject.retention())?.bytes;
    text.gauge("highwater_reclaimable_bytes", "What a pruning would free now.", &[], reclaimable);
    if let Some(max) = subject.pipeline.as_ref().and_then(|known| known.max_size) {
        let counted = status.size_bytes;
        text.gauge(
            "highwater_log_capped_bytes",
            "What the cap counts: segments and base files.",
            &[],
            counted,
        );
        text.gauge("highwater_log_size_max_bytes", "The most that the log may occupy.", &[], max);
    }
    tell_disk(text, log.path());
    Ok(())
}

fn tell_consumer(text: &mut Exposition, log: &LogReader, consumer: &ConsumerInfo) -> Result<()> {
    let labels = [("consumer", consumer.name.as_str())];
    text.gauge(
        "highwater_consumer_acknowledged_checkpoint",
        "The last checkpoint that the consumer has acknowledged, with everything before it.",
        &labels,
        consumer.acknowledged,
    );
    text.gauge(
        "highwater_consumer_lag_checkpoints",
        "Checkpoints that the consumer has not acknowledged.",
        &labels,
        consumer.lag_checkpoints,
    );
    text.gauge(
        "highwater_consumer_lag_bytes",
        "Bytes of the log behind what the consumer has acknowledged, about.",
        &labels,
        consumer.lag_bytes,
    );
    text.flag(
        "highwater_consumer_diverged",
        "Whether what the consumer has acknowledged is not on the log's history: it gets nothing, and its lag says nothing.",
        &labels,
        consumer.diverged,
    );
    if let Some(lag) = lag_us(log, consumer)? {
        text.gauge(
            "highwater_consumer_lag_seconds",
            "The age of the oldest checkpoint that the consumer has not acknowledged; 0 if it has all.",
            &labels,
            seconds(lag),
        );
    }
    Ok(())
}

/// How old the oldest checkpoint is that a consumer lacks, in microseconds; 0 if it has all, `None` if that one is pruned. Blocks
/// for reading one commit.
pub(crate) fn lag_us(log: &LogReader, consumer: &ConsumerInfo) -> Result<Option<i64>> {
    if consumer.lag_checkpoints == 0 {
        return Ok(Some(0));
    }
    let first = consumer.acknowledged.next().max(Sequence::FIRST);
    let found = log.reader(first).and_then(|mut reader| reader.next());
    match found {
        Ok(Some(checkpoint)) => Ok(Some((highwater_connect::runs::now_us() - checkpoint.time_us()).max(0))),
        // Everybody went on meanwhile; or it is gone, which is the consumer's trouble and no failure of ours.
        Ok(None) => Ok(None),
        Err(error) if matches!(error.kind(), highwater::ErrorKind::Gap { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
