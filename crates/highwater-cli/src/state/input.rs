//! States as somebody gives them: what `state get` prints, in each of its formats.

use std::io::Read;
use std::path::PathBuf;

use highwater::StreamName;
use highwater_connect::json_text as json;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Format;
use super::target::Name;
use crate::failure::Failure;
use highwater_connect::airbyte::message::{self, StateKind};

/// Reads the given text, the file, or standard input.
pub(crate) fn read(given: Option<&String>, file: Option<&PathBuf>) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let mut text = String::new();
    match file {
        Some(path) => {
            text = std::fs::read_to_string(path)
                .map_err(|e| Failure::io(format!("reading {}", path.display()), &e))?;
        }
        None => {
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Failure::io("reading standard input", &e))?;
        }
    }
    Ok(text)
}

/// What `state get` prints as JSON bears the log's name; what it prints for a source does not.
pub(crate) fn recognise(text: &str) -> Format {
    #[derive(Deserialize)]
    struct Document<'a> {
        #[serde(rename = "version")]
        _version: u32,
        #[serde(rename = "log", borrow)]
        _log: std::borrow::Cow<'a, str>,
        #[serde(rename = "sequence")]
        _sequence: u64,
        #[serde(rename = "streams")]
        _streams: Vec<serde::de::IgnoredAny>,
    }
    match serde_json::from_str::<Document<'_>>(text) {
        Ok(_) => Format::Json,
        Err(_) => Format::Airbyte,
    }
}

/// The states in it, each stream once. `target` is the one that was named on the command line; `current` its text.
pub(crate) fn parse(
    text: &str,
    format: Format,
    target: Option<&Name>,
    current: Option<&str>,
) -> Result<Vec<(Name, String)>, Failure> {
    let found = match format {
        // What `get` prints ends with a line's end of its own.
        Format::Text => one(text.strip_suffix('\n').unwrap_or(text), target),
        Format::Json => document(text, target),
        Format::Airbyte => airbyte(text.trim(), target, current),
    }?;
    let mut seen = std::collections::HashSet::new();
    match found.iter().find(|(name, _)| !seen.insert(name)) {
        Some((twice, _)) => Err(Failure::error(format!("{} is in it twice", super::target::describe(twice)))),
        None => Ok(found),
    }
}

fn one(text: &str, target: Option<&Name>) -> Result<Vec<(Name, String)>, Failure> {
    let Some(target) = target else {
        return Err(Failure::usage("a text is one state's: say which, with --stream NAME or --global"));
    };
    json::check(text).map_err(|e| Failure::error(format!("the state is not JSON: {e}")))?;
    Ok(vec![(target.clone(), text.to_owned())])
}

#[derive(Deserialize)]
struct Document<'a> {
    version: u32,
    #[serde(borrow)]
    global: Option<&'a RawValue>,
    #[serde(borrow)]
    streams: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    namespace: Option<String>,
    name: String,
    #[serde(borrow)]
    state: &'a RawValue,
}

fn document(text: &str, target: Option<&Name>) -> Result<Vec<(Name, String)>, Failure> {
    let foreign = |e| Failure::error(format!("this is not what --format json prints: {e}"));
    let document: Document<'_> = serde_json::from_str(text).map_err(foreign)?;
    if document.version != 1 {
        return Err(Failure::error(format!("version {} of the format is not known", document.version)));
    }
    let global = document.global.map(|state| (None, state.get().to_owned()));
    let streams = document.streams.into_iter().map(|entry| {
        let name = StreamName { namespace: entry.namespace, name: entry.name };
        (Some(name), entry.state.get().to_owned())
    });
    let all = global.into_iter().chain(streams);
    let found: Vec<_> = all.filter(|(name, _)| target.is_none_or(|target| target == name)).collect();
    match target {
        Some(target) if found.is_empty() => {
            Err(Failure::not_found(format!("{} is not in it", super::target::describe(target))))
        }
        _ => Ok(found),
    }
}

fn airbyte(text: &str, target: Option<&Name>, current: Option<&str>) -> Result<Vec<(Name, String)>, Failure> {
    let Some(states) = json::elements(text) else { return legacy(text, target, current) };
    let alone = states.len() == 1;
    states.into_iter().map(|state| Ok((whose(state, target, alone)?, state.to_owned()))).collect()
}

/// Whose state it is: it says so itself, or, where it is not Airbyte's, the command line does.
fn whose(state: &str, target: Option<&Name>, alone: bool) -> Result<Name, Failure> {
    let own = match message::State::parse(state) {
        Ok(parsed) => match parsed.stream {
            Some(of) => Some(StreamName {
                namespace: of.namespace.as_deref().map(str::to_owned),
                name: (*of.name).to_owned(),
            }),
            None => None,
        },
        Err(_) => {
            let target = target.filter(|_| alone);
            return target.cloned().ok_or_else(|| {
                Failure::usage(
                    "a state in the list is not Airbyte's: name one with --stream, or use --format json",
                )
            });
        }
    };
    match target {
        Some(target) if *target != own => {
            let name = |name: &Name| super::target::describe(name);
            let what = format!("it is a state of {}, not of {}", name(&own), name(target));
            Err(Failure::usage(what).hint("highwater state copy LOG, which gives it the other name"))
        }
        _ => Ok(own),
    }
}

/// A bare object: the data of a LEGACY state, or the state that was named.
fn legacy(text: &str, target: Option<&Name>, current: Option<&str>) -> Result<Vec<(Name, String)>, Failure> {
    json::check(text).map_err(|e| Failure::error(format!("the state is not JSON: {e}")))?;
    let kind = |text| message::State::parse(text).map(|state| state.kind).ok();
    let is_legacy = current.is_some_and(|current| kind(current) == Some(StateKind::Legacy));
    if target.is_none_or(Option::is_none) && is_legacy && kind(text).is_none() {
        let current = current.unwrap_or_default();
        let data = message::legacy_data(current);
        // It is a part of that very text.
        let at = data.as_ptr().addr() - current.as_ptr().addr();
        let end = at + data.len();
        return Ok(vec![(None, format!("{}{text}{}", &current[..at], &current[end..]))]);
    }
    let Some(target) = target else {
        return Err(Failure::usage(
            "say which state this is, with --stream NAME or --global, or use --format json",
        ));
    };
    if let Some(was) = current.and_then(kind)
        && kind(text) != Some(was)
    {
        let what =
            format!("the state is an Airbyte {} and this is not, so a source would not take it", was.name());
        return Err(Failure::error(what)
            .hint("highwater state merge LOG changes a part; --format text takes it as it is"));
    }
    Ok(vec![(target.clone(), text.to_owned())])
}
