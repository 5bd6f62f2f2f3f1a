//! Singer's states, as taps take and send them, and as Meltano keeps them.

use super::object::{Object, quoted};
use super::{Imported, global};
use crate::failure::{Failure, Result};

/// A tap's state file, or STATE messages, a line each: the last one counts.
pub(super) fn tap(text: &str) -> Result<Imported> {
    let Ok(object) = Object::read(text, "") else { return messages(text) };
    if object.text("type").is_ok_and(|kind| kind.as_deref() == Some("STATE")) {
        return messages(text);
    }
    if let Some(tool) = others(&object) {
        return Err(Failure::config(format!("this is {tool} form of a state: import it as that")));
    }
    if !object.is_empty() {
        check_is_state(&object)?;
    }
    only(object.is_empty(), text)
}

/// A tap's state may be any object. So what other tools' certainly have is told apart.
fn others(object: &Object<'_>) -> Option<&'static str> {
    let has = |keys: &[&str]| keys.iter().any(|key| object.get(key).is_some());
    let kind = object.text("type").ok().flatten();
    match () {
        () if has(&["singer_state", "completed"]) => Some("Meltano's"),
        () if has(&["_state_engine_version"]) => Some("dlt's"),
        () if has(&["stateType", "streamStates"]) => Some("Airbyte's"),
        () if matches!(kind.as_deref(), Some("STREAM" | "GLOBAL" | "LEGACY")) => Some("Airbyte's"),
        () if has(&["code"]) && has(&["data"]) => Some("Fivetran's"),
        () => None,
    }
}

/// A state is the tap's business; but what taps have in common tells one from the file of another tool.
fn check_is_state(object: &Object<'_>) -> Result<()> {
    let has_bookmarks = object.object("bookmarks")?.is_some();
    if has_bookmarks || object.text("currently_syncing").is_ok_and(|name| name.is_some()) {
        return Ok(());
    }
    let what = "it has no \"bookmarks\", as a tap's state has; if it is one all the same, import it as the message that the tap \
                sends: {\"type\": \"STATE\", \"value\": ...}";
    Err(Failure::config(what))
}

fn messages(text: &str) -> Result<Imported> {
    let mut last = None;
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = format!("line {}", n + 1);
        let message = Object::read(line.trim(), &at)?;
        if message.text("type")?.as_deref() != Some("STATE") {
            return Err(Failure::config(format!(
                "{at}: expected a STATE message, or one object for the whole file"
            )));
        }
        let value = message.needed("value")?;
        // An empty one is no news.
        if !Object::read(value, &message.at("value"))?.is_empty() {
            last = Some(value);
        }
    }
    only(last.is_none(), last.unwrap_or_default())
}

/// `meltano state get`, or a state file of a backend.
pub(super) fn meltano(text: &str) -> Result<Imported> {
    let object = Object::read(text, "")?;
    if let Some(state) = object.get("singer_state") {
        return only(Object::read(state, "singer_state")?.is_empty(), state);
    }
    if object.get("completed").is_none() && object.get("partial").is_none() {
        let what =
            "expected \"singer_state\", as `meltano state get` prints it, or \"completed\" and \"partial\"";
        return Err(Failure::config(what));
    }
    let part = |key: &str| -> Result<Option<&str>> {
        Ok(object.object(key)?.and_then(|part| part.get("singer_state")))
    };
    match (part("completed")?, part("partial")?) {
        (Some(completed), None) => only(false, completed),
        (None, Some(partial)) => only(false, partial),
        (Some(completed), Some(partial)) => only(false, &merged(completed, partial)?),
        (None, None) => only(true, ""),
    }
}

/// The completed state with the partial one over it, as Meltano resumes: objects are merged, anything else is replaced.
fn merged(below: &str, above: &str) -> Result<String> {
    let (Ok(old), Ok(new)) = (Object::read(below, ""), Object::read(above, "")) else {
        return Ok(above.to_owned());
    };
    let mut entries = Vec::new();
    for (key, value) in old.entries() {
        let value = match new.entries().find(|(known, _)| *known == key) {
            Some((_, newer)) => merged(value, newer)?,
            None => value.to_owned(),
        };
        entries.push(format!("{}:{value}", quoted(key)));
    }
    let added = new.entries().filter(|(key, _)| !old.entries().any(|(known, _)| known == *key));
    entries.extend(added.map(|(key, value)| format!("{}:{value}", quoted(key))));
    Ok(format!("{{{}}}", entries.join(",")))
}

fn only(is_empty: bool, text: &str) -> Result<Imported> {
    if is_empty {
        return Err(Failure::config("the state is empty: there is nothing to go on from"));
    }
    Ok(Imported { states: vec![global(text)], notes: Vec::new() })
}
