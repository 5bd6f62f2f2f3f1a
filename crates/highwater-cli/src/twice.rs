//! Which destinations will hold records twice when a source sends them again.

use std::path::Path;

use highwater::{LogReader, StreamName};
use highwater_connect::rules::OnRepeat;
use highwater_connect::text::tame;
use serde::Serialize;

use crate::failure::Failure;
use crate::given;
use crate::terminal;

/// A consumer that gets records again, and what its destination makes of them.
#[derive(Debug, Serialize)]
pub(crate) struct Twice {
    consumer: String,
    /// `None`: no pipeline file was named, and no run has written down what it says.
    on_repeat: Option<OnRepeat>,
    /// The streams whose records it will hold twice, as far as that is known.
    streams: Vec<StreamName>,
}

/// Of every consumer of the log, for records of these streams. Rules that can't be read are told, and are as none.
pub(crate) fn gather(typed: &Path, log: &LogReader, again: &[StreamName]) -> Result<Vec<Twice>, Failure> {
    if again.is_empty() {
        return Ok(Vec::new());
    }
    let rules = given::rules(typed).unwrap_or_else(|failure| {
        terminal::warning(failure.text());
        None
    });
    let mut keyless = Vec::new();
    for stream in again {
        if log.find_stream(stream)?.key.is_empty() {
            keyless.push(stream.clone());
        }
    }
    let of = |consumer: String| {
        let on_repeat = rules.as_ref().and_then(|rules| rules.destinations.get(&consumer).copied());
        let streams = match on_repeat {
            Some(OnRepeat::Appends) => again.to_owned(),
            Some(OnRepeat::ByKey | OnRepeat::Versions) | None => keyless.clone(),
        };
        Twice { consumer, on_repeat, streams }
    };
    Ok(log.consumers()?.into_iter().map(|consumer| of(consumer.name)).collect())
}

/// So many streams are named.
const NAMED_MAX: usize = 10;

/// In words: a warning where something is going to be there twice.
pub(crate) fn tell(all: &[Twice]) {
    for twice in all {
        let name = tame(&twice.consumer);
        let streams = named(&twice.streams);
        match (twice.on_repeat, twice.streams.is_empty()) {
            (Some(OnRepeat::Appends), _) => {
                terminal::warning(format!(
                    "destination {name} appends: it will hold twice what is read again"
                ));
            }
            (Some(OnRepeat::ByKey), true) => {
                terminal::say(format!("destination {name} writes by key: it will hold each row once"));
            }
            (Some(OnRepeat::Versions), true) => {
                terminal::say(format!(
                    "destination {name} keeps history: it will hold another version of each row"
                ));
            }
            (Some(OnRepeat::ByKey | OnRepeat::Versions), false) => terminal::warning(format!(
                "destination {name} writes by key, and there is none of {streams}: it will hold twice what is read again of that"
            )),
            (None, true) => terminal::say(format!(
                "how {name} writes is not known here: by key it will hold each row once, otherwise what is read again twice"
            )),
            (None, false) => terminal::warning(format!(
                "how {name} writes is not known here: it will hold what is read again twice, unless it writes by key; and there is none of {streams}"
            )),
        }
    }
}

fn named(streams: &[StreamName]) -> String {
    let mut names: Vec<String> = streams.iter().take(NAMED_MAX).map(|name| tame(&name.to_string())).collect();
    if streams.len() > NAMED_MAX {
        names.push(format!("{} more", streams.len() - NAMED_MAX));
    }
    names.join(", ")
}
