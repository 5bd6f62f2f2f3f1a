//! dlt's pipeline state: a state per resource, and what the resources of a source share.

use highwater::StreamName;

use super::object::{Object, quoted};
use super::{Imported, ImportedState, global};
use crate::failure::{Failure, Result};
use crate::text::there_are;

/// The layout that is read. An older file becomes one of this when dlt opens its pipeline.
const ENGINE: &str = "4";

pub(super) fn parse(text: &str, wanted: Option<&str>) -> Result<Imported> {
    let state = Object::read(text, "")?;
    let engine = state.needed("_state_engine_version")?;
    if engine != ENGINE {
        let what = format!(
            "_state_engine_version: expected {ENGINE}, found {engine}; open the pipeline with a dlt that writes {ENGINE} (1.31 does)"
        );
        return Err(Failure::config(what));
    }
    let Some(sources) = state.object("sources")? else {
        return Err(Failure::config("sources: no source has a state yet"));
    };
    let names: Vec<&str> = sources.entries().map(|(name, _)| name).collect();
    let name = match (wanted, names.as_slice()) {
        (Some(wanted), names) if names.contains(&wanted) => wanted,
        (Some(wanted), names) => {
            let what = format!("sources: there is no {wanted:?}; {}", there_are(names));
            return Err(Failure::config(what));
        }
        (None, [one]) => *one,
        (None, _) => {
            let what = format!("sources: there are several; say which: {}", names.join(", "));
            return Err(Failure::config(what));
        }
    };
    let Some(source) = sources.object(name)? else {
        return Err(Failure::config(format!("{}: it is empty", sources.at(name))));
    };
    of_source(&source)
}

fn of_source(source: &Object<'_>) -> Result<Imported> {
    let mut imported = Imported::default();
    if let Some(resources) = source.object("resources")? {
        for (name, state) in resources.entries() {
            if Object::read(state, &resources.at(name))?.is_empty() {
                continue;
            }
            let stream = StreamName { namespace: None, name: name.to_owned() };
            imported.states.push(ImportedState { stream: Some(stream), text: unmarked(state) });
        }
    }
    let shared = source.entries().filter(|(key, _)| *key != "resources");
    let shared: Vec<String> =
        shared.map(|(key, value)| format!("{}:{}", quoted(key), unmarked(value))).collect();
    if !shared.is_empty() {
        imported.notes.push("what the resources share became the state of all streams".to_owned());
        imported.states.push(global(&format!("{{{}}}", shared.join(","))));
    }
    Ok(imported)
}

/// Without the character that tells of a value's type (U+F026 decimal, to U+F02D time): the value stays as it was written.
fn unmarked(json: &str) -> String {
    let is_mark = |c: char| ('\u{f026}'..='\u{f02d}').contains(&c);
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(quote) = rest.find('"') {
        let (before, text) = rest.split_at(quote + 1);
        out.push_str(before);
        let end = text_end(text);
        let (mut inside, after) = text.split_at(end);
        if let Some(bare) = inside.strip_prefix(is_mark) {
            inside = bare;
        } else if let Some(bare) = escaped(inside).filter(|(c, _)| is_mark(*c)).map(|(_, bare)| bare) {
            inside = bare;
        }
        out.push_str(inside);
        rest = after;
        if let Some(behind) = rest.strip_prefix('"') {
            out.push('"');
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// Where the closing quote stands.
fn text_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// A character that is written as `\uXXXX` at the beginning, and what follows.
fn escaped(text: &str) -> Option<(char, &str)> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
    Some((c, &text[6..]))
}
