//! A log as it was, and what a repair has to have kept of it.

use super::*;

/// All that a checkpoint is.
pub(crate) type Content = (Position, Vec<(String, String)>, Vec<String>);

/// What can be read, checkpoint by checkpoint; gaps are stepped over.
pub(crate) fn content(log: &LogReader) -> BTreeMap<u64, Content> {
    let mut found = BTreeMap::new();
    let end = end(log);
    let mut next = log.first().max(Sequence::FIRST);
    while next <= end {
        let mut reader = log.reader(next).unwrap();
        let met = loop {
            match reader.next() {
                Ok(Some(checkpoint)) => {
                    let records =
                        checkpoint.records().map(|record| format!("{:?}", record.unwrap())).collect();
                    let labels = checkpoint.labels().to_vec();
                    found.insert(checkpoint.sequence().get(), (checkpoint.position(), labels, records));
                }
                Ok(None) => return found,
                Err(error) => break error,
            }
        };
        match met.kind() {
            ErrorKind::Gap { last, .. } => next = last.next(),
            _ => panic!("{met}"),
        }
    }
    found
}

/// Each state's text and the checkpoint that set it.
pub(crate) fn states(states: &highwater::States) -> BTreeMap<String, (String, u64)> {
    let streams = states.all().unwrap().into_iter().map(|(name, state)| (name.to_string(), state));
    let global = states.global().unwrap().map(|state| ("global".to_owned(), state));
    streams.chain(global).map(|(name, state)| (name, (state.text, state.since.get()))).collect()
}

/// What was there before the damage.
pub(crate) struct Original {
    pub(crate) files: Memory,
    pub(crate) checkpoints: BTreeMap<u64, Content>,
    /// After each of them.
    pub(crate) states: BTreeMap<u64, BTreeMap<String, (String, u64)>>,
}

impl Original {
    pub(crate) fn new(pruned: bool) -> Self {
        let files = sample(pruned);
        let log = reader(&files);
        let checkpoints = content(&log);
        assert!(checkpoints.len() > 10);
        let at = |n: &u64| (*n, states(&log.state_at(Sequence::new(*n)).unwrap()));
        let states = checkpoints.keys().map(at).collect();
        Original { files, checkpoints, states }
    }

    /// Both kinds of repair, and everything that has to hold of them.
    pub(crate) fn check(&self, damaged: &Memory, what: &str) -> usize {
        let mut repaired = 0;
        for mode in [Mode::Cut, Mode::SkipDamaged] {
            let before = image(damaged);
            let planned = match plan(damaged, mode) {
                Ok(plan) => plan,
                Err(error) => panic!("{what}: {error}"),
            };
            assert_eq!(image(damaged), before, "{what}: a plan changes nothing");
            if !planned.is_needed() {
                let log =
                    open(&damaged.image()).unwrap_or_else(|e| panic!("{what}: nothing to repair, but {e}"));
                assert!(
                    log.verify(&mut |_| {}).unwrap().is_sound(),
                    "{what}: nothing to repair, but not sound"
                );
                continue;
            }
            let files = damaged.image();
            match apply(&files, mode) {
                Ok(done) => {
                    assert_eq!(done, planned, "{what}");
                    self.check_repaired(&files, &done, what);
                    repaired += 1;
                }
                Err(error) => {
                    assert!(mode == Mode::Cut && !planned.can_cut, "{what}, {mode:?}: {error}");
                    assert_eq!(image(&files), before, "{what}: a repair that failed changes nothing");
                }
            }
        }
        repaired
    }

    pub(crate) fn check_repaired(&self, files: &Memory, done: &RepairPlan, what: &str) {
        let what = format!("{what}, {:?}: {done}", done.mode);
        let log = open(files).unwrap_or_else(|e| panic!("{what}: {e}"));
        let verification = log.verify(&mut |_| {}).unwrap();
        assert!(verification.is_sound(), "{what}: {:?}", verification.problems);
        let found = content(&log);
        let lost = |n: &u64| done.lost.iter().any(|run| (run.first.get()..=run.last.get()).contains(n));
        let expected: BTreeMap<u64, Content> = self
            .checkpoints
            .iter()
            .filter(|(n, _)| !lost(n))
            .map(|(n, content)| (*n, content.clone()))
            .collect();
        // A log that begins anew may restore states in a checkpoint of its own, behind the others.
        let found: BTreeMap<u64, Content> = found
            .into_iter()
            .filter(|(_, (_, labels, _))| !labels.iter().any(|(name, _)| name == "repair"))
            .collect();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
        assert!(found == expected, "{what}: a checkpoint that was kept is not what it was");
        self.check_states(&log, &expected, &what);
        check_record(
            &log,
            done,
            self.files.names().unwrap().iter().any(|name| name.starts_with("base")),
            &what,
        );
        let end = end(&log);
        // It takes more, and goes on counting.
        let a = log
            .stream(StreamSpec::new("a").namespace("n").key(["id"]).schema("{}").allow_key_change())
            .unwrap();
        let mut writer = log.writer(&[&a]).unwrap();
        writer.append(&a, Op::Insert { key: b"", row: b"after" }).unwrap();
        assert_eq!(writer.commit(Commit::new().stream(&a, &1)).unwrap().sequence(), end.next(), "{what}");
        drop(writer);
        log.close().unwrap();
        assert!(!plan(files, Mode::Cut).unwrap().is_needed(), "{what}: it is whole now");
    }
}

/// Every repair is on record with its number, also one that gives nothing up; and it is no pruning.
pub(crate) fn check_record(log: &Log, done: &RepairPlan, was_pruned: bool, what: &str) {
    let (mut lost, mut repairs, mut prunings) = (0, 0, 0);
    log.audit(&mut |entry| match entry.event {
        AuditEvent::Repair { repair, first, last, .. } => {
            assert_eq!(repair, done.number, "{what}");
            repairs += 1;
            lost += first.zip(last).map_or(0, |(first, last)| last.get() - first.get() + 1);
        }
        AuditEvent::Pruning { .. } | AuditEvent::Compaction { .. } => prunings += 1,
        _ => {}
    })
    .unwrap();
    let told: u64 = done.lost.iter().map(|run| run.last.get() - run.first.get() + 1).sum();
    assert!(repairs > 0 && lost == told, "{what}: {repairs} repairs are on record, with {lost} checkpoints");
    // Where the record of a pruning is what was damaged, the repair says again what is kept: up to its cut, and behind.
    assert!(prunings <= if was_pruned { 2 } else { 0 }, "{what}: {prunings} prunings are on record");
}

impl Original {
    /// Each state is the one that the last checkpoint set that was kept.
    pub(crate) fn check_states(&self, log: &Log, kept: &BTreeMap<u64, Content>, what: &str) {
        let mut expected = BTreeMap::new();
        for (n, after) in &self.states {
            let set = after.iter().filter(|(_, (_, since))| since == n && kept.contains_key(n));
            expected.extend(set.map(|(name, (text, _))| (name.clone(), text.clone())));
        }
        let found = states(&log.state().unwrap());
        for (name, text) in &expected {
            assert!(found.get(name).is_some_and(|(found, _)| found == text), "{what}: the state of {name}");
        }
        // What was set before the first checkpoint that can be read may be lost with a base file, never invented.
        for (name, (text, _)) in found.iter().filter(|(name, _)| !expected.contains_key(*name)) {
            assert!(text.parse::<u32>().is_ok_and(|i| i < 60), "{what}: the old state of {name} is {text}");
        }
    }
}
