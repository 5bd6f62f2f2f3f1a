//! A record that was refused comes again, when what follows it may be here already. It may not undo what is newer.

use super::known::Known;
use super::moment;
use super::names::quote;
use super::row::{Place, key_text};
use super::run::{Context, Run, key_of};
use super::session::{Param, Session};
use super::table::{Own, Shape};
use crate::definition::Generation;
use crate::destination::{Again, Retried};
use crate::failure::Result;

impl<S: Session> Run<'_, S> {
    /// Takes the record, unless something newer is there. Whether the database takes it, too, is known when the run is finished.
    pub(crate) fn again(&mut self, letter: &Again<'_>) -> Result<Retried> {
        let mut known = self.known(letter.definition)?;
        let outcome = self.again_into(&mut known, letter);
        self.streams.insert(letter.definition.name.clone(), known);
        outcome
    }

    fn again_into(&mut self, known: &mut Known, letter: &Again<'_>) -> Result<Retried> {
        let generation = Generation { number: letter.generation, ..letter.definition.generation };
        // A table that holds every record holds this one, however old it is.
        if known.entry.shape != Shape::Log {
            let oldest = known.entry.generation.max(generation.minimum);
            if generation.number < oldest || self.is_overtaken(known, letter)? {
                return Ok(Retried::Superseded);
            }
        }
        let is_aside = known.entry.waits(&generation);
        if is_aside {
            self.set_aside(known, &generation)?;
        }
        let committed = moment::format_us(letter.committed_us);
        let context = Context { committed: &committed, generation: generation.number, is_aside };
        let place = Place { sequence: letter.sequence, index: letter.index, generation: generation.number };
        self.record(known, &context, place, letter.record)?;
        Ok(Retried::Taken)
    }

    /// Whether the table has something of the record's key that a later record brought.
    fn is_overtaken(&mut self, known: &Known, letter: &Again<'_>) -> Result<bool> {
        if !known.entry.shape.own_columns().contains(&Own::Key) {
            return Ok(false);
        }
        // One that has no key is refused by whoever writes it.
        let Ok(key) = key_of(&known.entry, letter.record) else { return Ok(false) };
        let dialect = self.session.dialect();
        let [at, row] = [Own::Checkpoint, Own::Row].map(|own| quote(own.name()));
        let (of_key, param) = (quote(Own::Key.name()), dialect.param(1));
        let newest = |table: &String| {
            let table = dialect.table(table);
            format!(
                "SELECT {at}, {row} FROM {table} WHERE {of_key} = {param} ORDER BY {at} DESC, {row} DESC LIMIT 1"
            )
        };
        let statements: Vec<String> = known.entry.tables().iter().map(newest).collect();
        let mut found = false;
        for sql in statements {
            let newest = self.session.query(&sql, &[Param::Text(&key_text(&key))])?;
            if let Some([at, row]) = newest.first().map(Vec::as_slice) {
                found |= (at.integer()?, row.integer()?) > (letter.sequence.get(), letter.index);
            }
        }
        Ok(found)
    }
}
