//! Which destinations will hold records twice when a source sends them again.

use std::path::Path;

use highwater::{LogReader, StreamName};
pub(crate) use highwater_connect::Twice;
use highwater_connect::rules::OnRepeat;
use highwater_connect::text::tame;

use crate::failure::Failure;
use crate::given;
use crate::terminal;

/// Of every consumer of the log, for records of these streams. Rules that can't be read are told, and are as none.
pub(crate) fn gather(typed: &Path, log: &LogReader, again: &[StreamName]) -> Result<Vec<Twice>, Failure> {
    let rules = given::rules(typed).unwrap_or_else(|failure| {
        terminal::warning(failure.text());
        None
    });
    Ok(highwater_connect::twice(log, rules.as_ref(), again)?)
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
