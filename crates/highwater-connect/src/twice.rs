//! What a source sends again: which destinations will hold it twice.

use highwater::{LogReader, StreamName};
use serde::Serialize;

use crate::failure::Result;
use crate::rules::{OnRepeat, Rules};

/// A consumer that gets records again, and what its destination makes of them.
#[derive(Debug, Serialize)]
pub struct Twice {
    /// The consumer.
    pub consumer: String,
    /// `None`: it is no destination of a pipeline that is known.
    pub on_repeat: Option<OnRepeat>,
    /// The streams whose records it will hold twice, as far as that is known.
    pub streams: Vec<StreamName>,
}

/// Of every consumer of the log, for records of the streams `again`. Fails with what reading the log fails with.
pub fn twice(log: &LogReader, rules: Option<&Rules>, again: &[StreamName]) -> Result<Vec<Twice>> {
    if again.is_empty() {
        return Ok(Vec::new());
    }
    let mut keyless = Vec::new();
    for stream in again {
        if log.find_stream(stream)?.key.is_empty() {
            keyless.push(stream.clone());
        }
    }
    let of = |consumer: String| {
        let on_repeat = rules.and_then(|rules| rules.destinations.get(&consumer).copied());
        let streams = match on_repeat {
            Some(OnRepeat::Appends) => again.to_owned(),
            Some(OnRepeat::ByKey | OnRepeat::Versions) | None => keyless.clone(),
        };
        Twice { consumer, on_repeat, streams }
    };
    Ok(log.consumers()?.into_iter().map(|consumer| of(consumer.name)).collect())
}
