//! Gives a destination its dead letters again.

use std::collections::BTreeMap;

use highwater::{LogReader, Record};

use super::parts;
use crate::bookkeeping::Book;
use crate::definition::StreamDefinition;
use crate::destination::{Again, Destination, Retried};
use crate::event::Reporter;
use crate::failure::Result;
use crate::feed::Feed;
use crate::letters::{Letter, Writing};
use crate::pipeline::Pipeline;
use crate::stop::Stop;

/// Bytes of records that are given together.
const TOGETHER_BYTES: usize = 8 << 20;

/// What became of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecondTry {
    /// The destination has them now.
    pub taken: u64,
    /// The destination holds something newer; they are gone, too.
    pub superseded: u64,
    /// Refused again; they stay.
    pub refused: u64,
}

/// Gives letters to their destination again, oldest first. Fails with
/// [`ErrorKind::ConsumerBusy`](highwater::ErrorKind::ConsumerBusy) while somebody delivers to it. Blocks for all of it; killed on
/// the way, it can be done again, and nothing is applied twice.
pub fn second_try(
    pipeline: &Pipeline,
    name: &str,
    wanted: &BTreeMap<u64, Letter>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<SecondTry> {
    let (delivery, section) = pipeline.destination(name)?;
    let mut destination = parts::destination(pipeline, name, section, reporter, stop)?;
    let log = LogReader::open(&pipeline.log)?;
    // Held meanwhile: what a delivery knows of the tables would be wrong otherwise.
    let _feed = Feed::open(&log, name, delivery.start, delivery.max_lag)?;
    let definitions = Book::newest(&log)?.streams;
    let letters = pipeline.dead_letters(name, &delivery);
    let mut open = letters.open()?;
    let mut all = SecondTry::default();
    let mut together: Vec<(Letter, Record)> = Vec::new();
    let mut bytes = 0;
    letters.read(wanted, &mut |letter, record| {
        bytes += record.payload.len();
        together.push((letter.clone(), record.clone()));
        if bytes >= TOGETHER_BYTES {
            give(&mut *destination, &definitions, &mut open, &mut together, &mut all)?;
            bytes = 0;
        }
        Ok(())
    })?;
    give(&mut *destination, &definitions, &mut open, &mut together, &mut all)?;
    destination.close()?;
    open.tidy()?;
    Ok(all)
}

fn give(
    destination: &mut dyn Destination,
    definitions: &[StreamDefinition],
    open: &mut Writing,
    together: &mut Vec<(Letter, Record)>,
    all: &mut SecondTry,
) -> Result<()> {
    let known: Vec<StreamDefinition> = together
        .iter()
        .map(|(letter, _)| {
            let found = definitions.iter().find(|definition| definition.name == letter.stream);
            found.cloned().unwrap_or_else(|| StreamDefinition::new(letter.stream.clone()))
        })
        .collect();
    let again: Vec<Again<'_>> = together
        .iter()
        .zip(&known)
        .map(|((letter, record), definition)| Again {
            definition,
            sequence: letter.sequence(),
            index: letter.index,
            generation: letter.generation,
            committed_us: letter.committed_us,
            record,
        })
        .collect();
    let outcomes = destination.retry(&again)?;
    for ((letter, _), outcome) in together.iter().zip(outcomes) {
        match outcome {
            Retried::Refused(reason) => {
                open.refused_again(letter.number, &reason)?;
                all.refused += 1;
            }
            Retried::Superseded => {
                open.remove(letter)?;
                all.superseded += 1;
            }
            Retried::Taken => {
                open.remove(letter)?;
                all.taken += 1;
            }
        }
    }
    together.clear();
    open.commit(&[("action", "given again")])
}
