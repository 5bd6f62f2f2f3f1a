//! The streams, a page at a time: cursor, age, counts.

use std::cmp::Reverse;

use highwater::{ColumnPath, Sequence, StreamInfo};
use serde::{Deserialize, Serialize};

use super::{App, Refused, limit};
use crate::index::Seen;

/// So much of a state is answered in a list, in characters.
const TEXT_MAX: usize = 400;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Question {
    /// A part of the name, in any case.
    q: Option<String>,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// In the order in which they were registered.
    #[default]
    Registered,
    /// By the alphabet.
    Name,
    /// The newest checkpoint first.
    Newest,
    /// The one that got nothing for the longest time first.
    Oldest,
    /// Most records first.
    Records,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    /// All streams, and those that fit.
    total: usize,
    matching: usize,
    offset: usize,
    streams: Vec<Row>,
    /// The counts are of the checkpoints from this one on.
    counted_from: u64,
}

#[derive(Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    key: Vec<ColumnPath>,
    state: Option<State>,
    records: u64,
    bytes: u64,
    checkpoints: u64,
    /// The newest checkpoint with records of it, and its time.
    last: Option<u64>,
    last_us: Option<i64>,
}

#[derive(Serialize)]
struct State {
    text: String,
    /// There is more of it.
    cut: bool,
    since: Sequence,
    since_us: Option<i64>,
}

pub(crate) fn streams(app: &App, question: Question) -> Result<Answer, Refused> {
    let all = definitions(app)?;
    let wanted = question.q.as_deref().map(str::to_lowercase).filter(|q| !q.is_empty());
    let fits =
        |info: &&StreamInfo| wanted.as_ref().is_none_or(|q| info.name.to_string().to_lowercase().contains(q));
    let of_sources = || all.iter().filter(|info| !info.name.is_of_runtime());
    let mut found: Vec<(&StreamInfo, Seen)> = {
        let index = app.index();
        of_sources().filter(fits).map(|info| (info, index.seen(Some(&info.name)))).collect()
    };
    sort(&mut found, question.sort);
    let (total, matching) = (of_sources().count(), found.len());
    let page = found.into_iter().skip(question.offset).take(limit(question.limit)?);
    let streams = page.map(|(info, seen)| row(app, info, seen)).collect::<Result<_, _>>()?;
    let counted_from = app.index().from;
    Ok(Answer { total, matching, offset: question.offset, streams, counted_from })
}

/// A renamed stream shows after a while, a new one at once.
fn definitions(app: &App) -> Result<std::sync::Arc<Vec<StreamInfo>>, Refused> {
    let log = app.log()?;
    Ok(app.streams.get(log.status()?.streams, || log.streams())?)
}

fn sort(found: &mut [(&StreamInfo, Seen)], sort: Sort) {
    match sort {
        Sort::Registered => {}
        Sort::Name => found.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name)),
        Sort::Newest => found.sort_by_key(|(_, seen)| Reverse(seen.last)),
        Sort::Oldest => found.sort_by_key(|(_, seen)| seen.last),
        Sort::Records => found.sort_by_key(|(_, seen)| Reverse(seen.records)),
    }
}

fn row(app: &App, info: &StreamInfo, seen: Seen) -> Result<Row, Refused> {
    let log = app.log()?;
    let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
    let states = app.states.get(end, || log.state())?;
    let state = states.get_text(&info.name)?.map(|state| {
        let (text, cut) = cut(&state.text);
        let since_us = Some(seen.state_us).filter(|us| *us != 0);
        State { text, cut, since: state.since, since_us }
    });
    Ok(Row {
        namespace: info.name.namespace.clone(),
        name: info.name.name.clone(),
        key: info.key.clone(),
        state,
        records: seen.records,
        bytes: seen.bytes,
        checkpoints: seen.checkpoints,
        last: Some(seen.last).filter(|last| *last != 0),
        last_us: Some(seen.last_us).filter(|_| seen.last != 0),
    })
}

fn cut(text: &str) -> (String, bool) {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => (text[..at].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_state_is_cut_between_characters() {
        let long = "ä".repeat(TEXT_MAX + 1);
        assert_eq!(cut(&long), ("ä".repeat(TEXT_MAX), true));
        assert_eq!(cut("{}"), ("{}".to_owned(), false));
    }
}
