//! Asking for a stream to be read from its beginning: a request in the log, on record with who and why, which the next run
//! obeys. The stream gets a new generation, and what is there stays until that is whole.
//!
//! The requests are the state of the stream `refresh` in the runtime's namespace. A run that begins to obey one notes in which
//! sync; so further attempts of that sync go on with it, and the next sync forgets it.

use highwater::{Committed, ErrorKind, Log, LogReader, Operation, StreamName, StreamSpec};
use serde::{Deserialize, Serialize};

use crate::bookkeeping::{self, NAMESPACE};
use crate::failure::{Failure, Result};
use crate::import::object::{Object, quoted};

const NAME: &str = "refresh";
const VERSION: u32 = 1;

/// A stream that is to be read again, or is being read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The stream.
    #[serde(flatten)]
    pub stream: StreamName,
    /// Rows of older generations go once the new one is whole. Otherwise they stay beside it.
    pub truncate: bool,
    /// The sync that obeys it; `None`: the next one that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<u64>,
}

/// All requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requests(Vec<Request>);

#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    streams: Vec<Request>,
}

/// The stream whose state has the requests.
pub fn state_name() -> StreamName {
    StreamName { namespace: Some(NAMESPACE.to_owned()), name: NAME.to_owned() }
}

pub(crate) fn spec() -> StreamSpec {
    StreamSpec::new(NAME).namespace(NAMESPACE)
}

impl Requests {
    /// At the end of the log.
    pub fn newest(log: &LogReader) -> Result<Requests> {
        let text = match log.state()?.get_text(&state_name()) {
            Ok(Some(state)) => state.text,
            Ok(None) => return Ok(Self::default()),
            Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let unreadable = |e| Failure::permanent("the log's requests to read again can't be read").because(e);
        let text: Text = serde_json::from_str(&text).map_err(unreadable)?;
        if text.version != VERSION {
            let what =
                format!("the log was written by a newer version (refresh {}, not {VERSION})", text.version);
            return Err(Failure::config(what));
        }
        Ok(Requests(text.streams))
    }

    /// The stream's request.
    pub fn of(&self, stream: &StreamName) -> Option<&Request> {
        self.0.iter().find(|request| request.stream == *stream)
    }

    pub(crate) fn of_mut(&mut self, stream: &StreamName) -> Option<&mut Request> {
        self.0.iter_mut().find(|request| request.stream == *stream)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.0.iter()
    }

    /// With another; one of the same stream goes.
    fn with(self, request: Request) -> Self {
        let mut requests = self.without(&request.stream);
        requests.0.push(request);
        requests
    }

    fn without(mut self, stream: &StreamName) -> Self {
        self.0.retain(|known| known.stream != *stream);
        self
    }

    /// Without those that an earlier sync has obeyed.
    pub(crate) fn forget_before(&mut self, sync: u64) {
        self.0.retain(|request| request.sync.is_none_or(|obeyed| obeyed >= sync));
    }

    /// The text of the state.
    pub(crate) fn text(&self) -> Result<String> {
        let text = Text { version: VERSION, streams: self.0.clone() };
        serde_json::to_string(&text).map_err(|e| Failure::permanent("writing a request").because(e))
    }
}

/// Asks for a stream to be read from its beginning by the next run, in a checkpoint that says who did it and why. Blocks for a
/// flush.
///
/// Fails with [`ErrorKind::NotFound`] for a stream that the log does not know, and with
/// [`FailureKind::Config`](crate::FailureKind::Config) where the source has one state for all streams, of a form from which one
/// stream's part can't be taken.
pub fn request(log: &Log, stream: &StreamName, truncate: bool, who: &str, why: &str) -> Result<Committed> {
    check(log, stream)?;
    let requests = Requests::newest(log)?;
    let request = Request { stream: stream.clone(), truncate, sync: None };
    log.stream(spec())?;
    let what = format!("refresh {stream}{}", if truncate { ", replacing what is there" } else { "" });
    let operation = Operation::new(what, who, why).set(&state_name(), requests.with(request).text()?);
    Ok(log.operate(operation.expecting(log.end()))?)
}

/// Takes a request back that no run has begun to obey, in a checkpoint that says who did it and why. Blocks for a flush.
///
/// Fails with [`FailureKind::Config`](crate::FailureKind::Config) where there is no such request.
pub fn cancel(log: &Log, stream: &StreamName, who: &str, why: &str) -> Result<Committed> {
    let requests = Requests::newest(log)?;
    check_cancel(&requests, stream)?;
    let operation = Operation::new(format!("cancel the refresh of {stream}"), who, why);
    let operation = operation.set(&state_name(), requests.without(stream).text()?);
    Ok(log.operate(operation.expecting(log.end()))?)
}

/// Whether there is a request that can be taken back: see [`cancel`].
pub fn check_cancel(requests: &Requests, stream: &StreamName) -> Result<()> {
    match requests.of(stream) {
        Some(request) if request.sync.is_none() => Ok(()),
        Some(_) => {
            Err(Failure::config(format!("a run has begun to read {stream} again: that can't be taken back")))
        }
        None => Err(Failure::config(format!("nobody has asked for {stream} to be read again"))),
    }
}

/// Whether the stream can be read again by itself: see [`request`].
pub fn check(log: &LogReader, stream: &StreamName) -> Result<()> {
    if bookkeeping::is_ours(stream) {
        return Err(Failure::config(format!("{stream} is the runtime's own, and comes from no source")));
    }
    log.find_stream(stream)?;
    let states = log.state()?;
    match states.global()? {
        Some(global) if log.is_global_newest(&states)? => without(&global.text, stream).map(drop),
        _ => Ok(()),
    }
}

/// A state of all streams without the part of one. Airbyte's and Singer's have such parts. A stream that has none of its own would
/// not be read again, and with `truncate` its rows would go for nothing: that is refused.
pub(crate) fn without(global: &str, stream: &StreamName) -> Result<String> {
    let object = Object::read(global, "")?;
    let is_airbyte = object.text("type").is_ok_and(|kind| kind.as_deref() == Some("GLOBAL"));
    let left = if is_airbyte { airbyte(&object, stream)? } else { singer(&object, stream)? };
    left.ok_or_else(|| {
        Failure::config(format!(
            "the source has one state for all streams, and in it no part that is known to be {stream}'s: change it by hand \
             (highwater state edit), or clear it to read all streams again"
        ))
    })
}

fn airbyte(object: &Object<'_>, stream: &StreamName) -> Result<Option<String>> {
    let Some(global) = object.object("global")? else { return Ok(None) };
    let all = global.list("stream_states")?.unwrap_or_default();
    let mut kept = Vec::new();
    for element in &all {
        let descriptor = Object::read(element, "stream_states")?.object("stream_descriptor")?;
        let is_it = |of: Object<'_>| -> Result<bool> {
            Ok(of.text("name")?.as_deref() == Some(&*stream.name)
                && of.text("namespace")? == stream.namespace)
        };
        if !descriptor.map(is_it).transpose()?.unwrap_or(false) {
            kept.push(*element);
        }
    }
    if kept.len() == all.len() {
        return Ok(None);
    }
    let global = replaced(&global, "stream_states", &format!("[{}]", kept.join(",")));
    Ok(Some(replaced(object, "global", &global)))
}

fn singer(object: &Object<'_>, stream: &StreamName) -> Result<Option<String>> {
    let Some(bookmarks) = object.object("bookmarks")? else { return Ok(None) };
    if bookmarks.get(&stream.name).is_none() {
        return Ok(None);
    }
    let kept = bookmarks.entries().filter(|(name, _)| *name != stream.name);
    let kept: Vec<String> = kept.map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    let text = replaced(object, "bookmarks", &format!("{{{}}}", kept.join(",")));
    // A tap that was stopped in the middle of it would go on there.
    let is_syncing = object.text("currently_syncing").is_ok_and(|name| name.as_ref() == Some(&stream.name));
    if !is_syncing {
        return Ok(Some(text));
    }
    Ok(Some(replaced(&Object::read(&text, "")?, "currently_syncing", "null")))
}

/// The object with another value for one key; everything else stays to the letter.
fn replaced(object: &Object<'_>, wanted: &str, value: &str) -> String {
    let entry =
        |(key, old): (&str, &str)| format!("{}:{}", quoted(key), if key == wanted { value } else { old });
    let entries: Vec<String> = object.entries().map(entry).collect();
    format!("{{{}}}", entries.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(namespace: Option<&str>, name: &str) -> StreamName {
        StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn one_streams_part_is_taken_out_of_a_state_of_all() {
        let state = |ns: &str, n| {
            format!(r#"{{"stream_descriptor":{{"name":"a"{ns}}},"stream_state":{{"c": {n}.0}}}}"#)
        };
        let (none, empty) = (state("", 1), state(r#","namespace":"""#, 2));
        let global = |states: &str| {
            format!(
                r#"{{"type":"GLOBAL","global":{{"shared_state":{{"lsn": 7.0}},"stream_states":[{states}]}}}}"#
            )
        };
        let both = global(&format!("{none},{empty}"));
        assert_eq!(without(&both, &name(None, "a")).unwrap(), global(&empty));
        assert_eq!(without(&both, &name(Some(""), "a")).unwrap(), global(&none));
        assert!(without(&both, &name(None, "b")).is_err(), "it would not be read again");
        let singer = r#"{"bookmarks":{"a":{"id": 1.0},"b":{}},"currently_syncing":"a"}"#;
        let left = r#"{"bookmarks":{"b":{}},"currently_syncing":null}"#;
        assert_eq!(without(singer, &name(None, "a")).unwrap(), left);
        for other in [r#"{"cursor":1}"#, r#"{"type":"LEGACY","data":{}}"#, left] {
            assert!(without(other, &name(None, "a")).is_err());
        }
    }

    #[test]
    fn requests_come_back_from_their_state() {
        let request = |n: &str, sync| Request { stream: name(Some("s"), n), truncate: true, sync };
        let mut requests = Requests::default().with(request("a", None)).with(request("b", Some(3)));
        let text: Text = serde_json::from_str(&requests.text().unwrap()).unwrap();
        assert_eq!(Requests(text.streams), requests);
        requests.forget_before(3);
        assert_eq!(requests.iter().count(), 2);
        requests.forget_before(4);
        assert_eq!(requests, Requests::default().with(request("a", None)));
        assert_eq!(requests.of(&name(Some("s"), "a")), Some(&request("a", None)));
    }
}
