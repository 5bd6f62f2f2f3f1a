//! Airbyte's states: as a source takes them, as it sends them, and as the platform shows them.

use highwater::StreamName;

use super::object::{Object, list, quoted};
use super::{Imported, ImportedState};
use crate::airbyte::message::{State, StateKind};
use crate::failure::{Failure, Result};

pub(super) fn parse(text: &str) -> Result<Imported> {
    if text.starts_with('[') {
        return of_list(text);
    }
    if let Ok(object) = Object::read(text, "") {
        return of_object(text, &object);
    }
    messages(text)
}

/// What a source takes with `--state`, or the platform's states per stream.
fn of_list(text: &str) -> Result<Imported> {
    let mut imported = Imported::default();
    for (n, element) in list(text, "the file")?.into_iter().enumerate() {
        let at = format!("[{n}]");
        let object = Object::read(element, &at)?;
        if object.get("streamDescriptor").is_some() {
            platform_stream(&object, &mut imported)?;
        } else {
            imported.states.push(protocol(element, &at)?);
        }
    }
    check_kinds(&imported.states)?;
    Ok(imported)
}

fn of_object(text: &str, object: &Object<'_>) -> Result<Imported> {
    if object.get("stateType").is_some() {
        return connection(object);
    }
    if object.get("streamStates").is_some() {
        return Ok(Imported { states: vec![platform_global(object)?], notes: Vec::new() });
    }
    if object.text("type")?.as_deref() == Some("STATE") {
        return messages(text);
    }
    Ok(Imported { states: vec![protocol(text, "the file")?], notes: Vec::new() })
}

/// A state of the protocol, kept to the letter.
fn protocol(text: &str, at: &str) -> Result<ImportedState> {
    let state = State::parse(text).map_err(|why| Failure::config(format!("{at}: {why}")))?;
    let stream = state.stream.map(|of| StreamName {
        namespace: of.namespace.as_deref().map(str::to_owned),
        name: (*of.name).to_owned(),
    });
    Ok(ImportedState { stream, text: text.to_owned() })
}

/// STATE messages as a source wrote them, a line each: of each stream the last one counts.
fn messages(text: &str) -> Result<Imported> {
    let mut states: Vec<ImportedState> = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = format!("line {}", n + 1);
        let message = Object::read(line.trim(), &at)?;
        let kind = message.text("type")?;
        if kind.as_deref() != Some("STATE") {
            let found = kind.unwrap_or_else(|| "no type".to_owned());
            return Err(Failure::config(format!("{at}: expected a STATE message, found {found}")));
        }
        let state = protocol(message.needed("state")?, &message.at("state"))?;
        states.retain(|known| known.stream != state.stream);
        states.push(state);
    }
    check_kinds(&states)?;
    Ok(Imported { states, notes: Vec::new() })
}

/// A connection's state, as the platform's API gives it.
fn connection(object: &Object<'_>) -> Result<Imported> {
    let mut imported = Imported::default();
    match object.text("stateType")?.unwrap_or_default().to_lowercase().as_str() {
        "stream" => {
            for (n, element) in object.list("streamState")?.unwrap_or_default().into_iter().enumerate() {
                platform_stream(&Object::read(element, &format!("streamState[{n}]"))?, &mut imported)?;
            }
        }
        "global" => {
            let global = object.object("globalState")?;
            let global = global.ok_or_else(|| Failure::config("globalState: it is missing"))?;
            imported.states.push(platform_global(&global)?);
        }
        "legacy" => {
            let text = format!(r#"{{"type":"LEGACY","data":{}}}"#, object.needed("state")?);
            imported.states.push(super::global(&text));
        }
        "not_set" => return Err(Failure::config("stateType: the connection has no state yet")),
        other => {
            let what = format!("stateType: expected stream, global, legacy or not_set, found {other:?}");
            return Err(Failure::config(what));
        }
    }
    Ok(imported)
}

/// One of the platform's states per stream, as the protocol has it.
fn platform_stream(object: &Object<'_>, imported: &mut Imported) -> Result<()> {
    let (stream, descriptor) = descriptor(object)?;
    let Some(state) = object.get("streamState") else {
        imported.notes.push(format!("stream {stream} has no state yet"));
        return Ok(());
    };
    let text = format!(
        r#"{{"type":"STREAM","stream":{{"stream_descriptor":{descriptor},"stream_state":{state}}}}}"#
    );
    imported.states.push(ImportedState { stream: Some(stream), text });
    Ok(())
}

/// The platform's state of all streams, as the protocol has it.
fn platform_global(object: &Object<'_>) -> Result<ImportedState> {
    let mut streams = Vec::new();
    for (n, element) in object.list("streamStates")?.unwrap_or_default().into_iter().enumerate() {
        let object = Object::read(element, &format!("{}[{n}]", object.at("streamStates")))?;
        let (_, descriptor) = descriptor(&object)?;
        let state = object.get("streamState").unwrap_or("null");
        streams.push(format!(r#"{{"stream_descriptor":{descriptor},"stream_state":{state}}}"#));
    }
    let shared = object.get("shared_state").or_else(|| object.get("sharedState"));
    let shared = shared.map(|state| format!(r#""shared_state":{state},"#)).unwrap_or_default();
    let states = streams.join(",");
    Ok(super::global(&format!(r#"{{"type":"GLOBAL","global":{{{shared}"stream_states":[{states}]}}}}"#)))
}

fn descriptor(object: &Object<'_>) -> Result<(StreamName, String)> {
    let found = object.object("streamDescriptor")?;
    let found =
        found.ok_or_else(|| Failure::config(format!("{}: it is missing", object.at("streamDescriptor"))))?;
    found.needed("name")?;
    let name =
        StreamName { name: found.text("name")?.unwrap_or_default(), namespace: found.text("namespace")? };
    let namespace = name.namespace.as_deref().map(|ns| format!(r#","namespace":{}"#, quoted(ns)));
    let text = format!(r#"{{"name":{}{}}}"#, quoted(&name.name), namespace.unwrap_or_default());
    Ok((name, text))
}

/// A source has one kind or the other.
fn check_kinds(states: &[ImportedState]) -> Result<()> {
    let is_global = |state: &&ImportedState| state.stream.is_none();
    let globals = states.iter().filter(is_global).count();
    if globals > 0 && globals < states.len() {
        let what =
            "there are states per stream and one for all streams: a source sends one kind or the other";
        return Err(Failure::config(what));
    }
    debug_assert!(states.iter().all(|state| {
        State::parse(&state.text)
            .is_ok_and(|parsed| (parsed.kind == StateKind::Stream) == state.stream.is_some())
    }));
    Ok(())
}
