//! Adding up what a log holds, in the same way from the plan and from what was read back.

use std::collections::{BTreeMap, VecDeque};

use highwater::Checkpoint;

use crate::plan::{LanePlan, Plan, name};
use crate::{KEPT, text};

/// Payloads by stream, in order.
type Records = BTreeMap<String, Vec<Vec<u8>>>;

#[derive(Default)]
pub(crate) struct Content {
    /// The hash over everything so far, or of the last 16 checkpoints each.
    all: u64,
    last: VecDeque<u64>,
    states: BTreeMap<String, String>,
}

fn mix(hash: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut hash = hash ^ (bytes.len() as u64).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let mut step = |word: u64| hash = (hash ^ word).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29);
    for word in &mut words {
        step(u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]));
    }
    let mut rest = [0; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    step(u64::from_le_bytes(rest));
    hash
}

impl Content {
    /// A checkpoint: its records by stream in order, and the state that it set.
    fn add(&mut self, records: &Records, state: (&str, &str)) {
        let mut hash = 1;
        for (stream, records) in records {
            hash = mix(hash, stream.as_bytes());
            for record in records {
                hash = mix(hash, record);
            }
        }
        self.states.insert(state.0.to_owned(), state.1.to_owned());
        self.all = mix(mix(mix(self.all, &hash.to_le_bytes()), state.0.as_bytes()), state.1.as_bytes());
        self.last.push_back(hash);
        if self.last.len() as u64 > KEPT {
            self.last.pop_front();
        }
    }

    /// What the log should hold after the next checkpoint.
    pub(crate) fn add_planned(&mut self, plan: &Plan) {
        let mut records = Records::new();
        for (stream, payload) in &plan.records {
            if plan.covers.is_none_or(|covers| covers == *stream) {
                records.entry(name(*stream)).or_default().push(payload.clone());
            }
        }
        self.add(&records, (&plan.covers.map_or(String::new(), name), &plan.state));
    }

    /// The same of one of several writers.
    pub(crate) fn add_planned_lane(&mut self, stream: u64, plan: &LanePlan) {
        let mut records = Records::new();
        if !plan.records.is_empty() {
            records.insert(name(stream), plan.records.clone());
        }
        self.add(&records, (&name(stream), &plan.state));
    }

    /// What the log does hold. Returns the text of the state that the checkpoint set.
    pub(crate) fn add_read(&mut self, checkpoint: &Checkpoint) -> Result<String, String> {
        let mut records = Records::new();
        for counts in checkpoint.streams() {
            let of_stream = checkpoint.records_of(counts.stream);
            let payloads = of_stream.map(|record| record.map(|record| record.payload.to_vec()));
            records.insert(counts.name.name.clone(), payloads.collect::<Result<_, _>>().map_err(text)?);
        }
        let stream = checkpoint.states().into_iter().find_map(|(stream, _)| stream);
        let state = checkpoint.state_text(stream.as_ref()).map_err(text)?.unwrap_or_default();
        self.add(&records, (stream.as_ref().map_or("", |stream| &stream.name), &state));
        Ok(state)
    }

    /// In place of the states that the checkpoints set: those that the log tells.
    pub(crate) fn set_states(&mut self, states: BTreeMap<String, String>) {
        self.states = states;
    }

    pub(crate) fn hash(&self, consumer: bool) -> u64 {
        if self.last.is_empty() {
            return 0;
        }
        let mut hash = if consumer { 2 } else { self.all };
        if consumer {
            for checkpoint in &self.last {
                hash = mix(hash, &checkpoint.to_le_bytes());
            }
        }
        for (name, text) in &self.states {
            hash = mix(mix(hash, name.as_bytes()), text.as_bytes());
        }
        hash
    }
}
