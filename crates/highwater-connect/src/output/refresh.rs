//! Obeying requests to read streams from their beginning.

use highwater::{Log, StreamName, Writer};

use super::plan::Plan;
use crate::bookkeeping::Book;
use crate::failure::Result;
use crate::refresh::{self, Requests};
use crate::source::State;

/// The requests, as a sync begins or goes on.
#[derive(Debug)]
pub(super) struct Refreshing {
    sync: u64,
    /// As the log has them.
    before: Requests,
    requests: Requests,
    /// Streams that are read from their beginning from here on.
    begun: Vec<StreamName>,
}

impl Refreshing {
    pub(super) fn begin(log: &Log, sync: u64) -> Result<Self> {
        let before = Requests::newest(log)?;
        let mut requests = before.clone();
        requests.forget_before(sync);
        Ok(Refreshing { sync, before, requests, begun: Vec::new() })
    }

    /// Gives the stream a new generation, if that was asked for; in a further attempt of the same sync it keeps it, unless its state
    /// is not that of the attempt before (`is_by_hand`). Whether its state is to go.
    pub(super) fn obey(&mut self, book: &mut Book, stream: &StreamName, is_by_hand: bool) -> bool {
        let Some(request) = self.requests.of_mut(stream) else { return false };
        let Some(known) = book.streams.get_mut(stream) else { return false };
        let is_new = request.sync.is_none() || is_by_hand;
        request.sync = Some(self.sync);
        let generation = &mut known.generation;
        generation.number += u64::from(is_new);
        // Of a stream that is read whole each time the new rows take the place of the others anyway.
        if request.truncate || generation.minimum > 0 {
            generation.minimum = generation.number;
        }
        if is_new {
            self.begun.push(stream.clone());
        }
        is_new
    }

    /// Takes into the plan what has changed: who is obeyed now, and a state of all streams without theirs.
    pub(super) fn plan(&self, log: &Log, writer: &mut Writer, states: &State, plan: &mut Plan) -> Result<()> {
        if self.requests == self.before {
            return Ok(());
        }
        let ours = log.stream(refresh::spec())?;
        writer.add(&ours)?;
        plan.set(&ours, self.requests.text()?);
        let Some(global) = states.global.as_ref().filter(|_| states.is_global_newest) else { return Ok(()) };
        let mut left = global.clone();
        for stream in &self.begun {
            left = refresh::without(&left, stream)?;
        }
        if left != *global {
            plan.set_global(left);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use highwater::{Commit, Config, Op, StreamSpec};

    use super::*;
    use crate::definition::{Generation, StreamDefinition};

    fn name() -> StreamName {
        StreamName { namespace: None, name: "a".to_owned() }
    }

    /// A book in which the stream was read twice, and this is another sync.
    fn book(sync: u64) -> Book {
        let generation = Generation { number: 2, minimum: 0, is_complete: false, sync };
        let stream = StreamDefinition { generation, ..StreamDefinition::new(name()) };
        Book { streams: [stream].into_iter().collect(), sync, ..Book::default() }
    }

    fn generation(book: &Book) -> (u64, u64) {
        (book.streams[0].generation.number, book.streams[0].generation.minimum)
    }

    /// A record of a stream, committed.
    fn write(log: &Log, name: &str) {
        let stream = log.stream(StreamSpec::new(name)).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        writer.append(&stream, Op::Insert { key: b"", row: b"{}" }).unwrap();
        writer.commit(Commit::new().records(&stream)).unwrap();
    }

    /// Whether something was to be committed.
    fn commit(log: &Log, refreshing: &Refreshing, states: &State) -> bool {
        let mut writer = log.writer(&[]).unwrap();
        let mut plan = Plan::default();
        refreshing.plan(log, &mut writer, states, &mut plan).unwrap();
        if !plan.is_empty() {
            writer.commit(plan.commit(&[])).unwrap();
        }
        !plan.is_empty()
    }

    #[test]
    fn a_request_is_obeyed_by_one_sync_and_all_its_attempts() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        let a = log.stream(StreamSpec::new("a")).unwrap();
        log.writer(&[&a]).unwrap().commit(Commit::new().stream(&a, &1)).unwrap();
        let none = State::default();
        let mut idle = Refreshing::begin(&log, 7).unwrap();
        assert!(!idle.obey(&mut book(7), &name(), false) && !commit(&log, &idle, &none));

        refresh::request(&log, &name(), true, "ops", "x").unwrap();
        let mut first = Refreshing::begin(&log, 7).unwrap();
        let mut now = book(7);
        assert!(first.obey(&mut now, &name(), false), "its state goes");
        assert_eq!(generation(&now), (3, 3));
        // A crash before the commit: it is as if nothing had happened.
        let mut again = Refreshing::begin(&log, 7).unwrap();
        assert!(again.obey(&mut book(7), &name(), false));
        assert!(commit(&log, &again, &none));
        // A further attempt goes on with it, and still replaces.
        now.streams.get_mut(&name()).unwrap().generation.minimum = 0;
        let mut next = Refreshing::begin(&log, 7).unwrap();
        assert!(!next.obey(&mut now, &name(), false), "its state stays");
        assert_eq!(generation(&now), (3, 3));
        assert!(!commit(&log, &next, &none));
        // The next sync goes on where that one ended.
        now.streams.get_mut(&name()).unwrap().generation.minimum = 0;
        let mut later = Refreshing::begin(&log, 8).unwrap();
        assert!(!later.obey(&mut now, &name(), false));
        assert_eq!(generation(&now), (3, 0));
        assert!(commit(&log, &later, &none));
        assert_eq!(Requests::newest(&log).unwrap(), Requests::default());
    }

    #[test]
    fn a_stream_that_is_replaced_by_each_sync_is_replaced_by_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        write(&log, "a");
        refresh::request(&log, &name(), false, "ops", "x").unwrap();
        let mut now = book(1);
        now.streams.get_mut(&name()).unwrap().generation.minimum = 2;
        assert!(Refreshing::begin(&log, 1).unwrap().obey(&mut now, &name(), false));
        assert_eq!(generation(&now), (3, 3), "a minimum between the two is of no destination's protocol");
    }

    #[test]
    fn a_state_of_all_streams_loses_the_streams_part_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        write(&log, "a");
        let global = r#"{"bookmarks":{"a":{"id":1},"b":{"id":2.0}}}"#;
        log.writer(&[]).unwrap().commit(Commit::new().global_text(global)).unwrap();
        refresh::request(&log, &name(), false, "ops", "x").unwrap();
        let states = State { global: Some(global.to_owned()), streams: Vec::new(), is_global_newest: true };
        let mut refreshing = Refreshing::begin(&log, 1).unwrap();
        let mut now = book(1);
        refreshing.obey(&mut now, &name(), false);
        assert_eq!(generation(&now), (3, 0), "what is there stays beside it");
        assert!(commit(&log, &refreshing, &states));
        let left = log.state().unwrap().global().unwrap().unwrap().text;
        assert_eq!(left, r#"{"bookmarks":{"b":{"id":2.0}}}"#);
        // One whose part is not known can't be asked for.
        write(&log, "c");
        let c = StreamName { namespace: None, name: "c".to_owned() };
        let error = refresh::request(&log, &c, true, "ops", "x").unwrap_err();
        assert!(error.to_string().contains("no part that is known to be c's"), "{error}");
    }
}
