//! The records of a batch, on their way into the tables, inside one transaction.

use std::borrow::Cow;
use std::collections::HashMap;

use highwater::{OpKind, Record, StreamName};

use super::catalog::{Aside, Entry};
use super::evolution::{self, Step};
use super::known::{self, Known};
use super::ledger::Ledger;
use super::moment;
use super::names::Taken;
use super::row::{Action, Place, Row, key_text, saturating};
use super::session::{Param, Session};
use super::settings::{Deletes, Mode, Settings};
use super::statements::{self, Going};
use super::table::{Shape, Table};
use super::value::Misfit;
use crate::batch::{Delivered, Part};
use crate::definition::{Generation, StreamDefinition};
use crate::destination::Rejected;
use crate::failure::Result;

pub(crate) struct Run<'r, S> {
    pub(super) session: &'r mut S,
    pub(super) settings: &'r Settings,
    pub(super) streams: HashMap<StreamName, Known>,
    rejected: Vec<Rejected>,
}

/// Where a part's records go, and with what.
pub(super) struct Context<'c> {
    pub(super) committed: &'c str,
    pub(super) generation: u64,
    pub(super) is_aside: bool,
}

impl<'r, S: Session> Run<'r, S> {
    pub(crate) fn new(
        session: &'r mut S,
        settings: &'r Settings,
        streams: HashMap<StreamName, Known>,
    ) -> Self {
        Run { session, settings, streams, rejected: Vec::new() }
    }

    /// Writes what waits; the streams as they are now, and what was refused.
    pub(crate) fn finish(mut self) -> Result<(HashMap<StreamName, Known>, Vec<Rejected>)> {
        self.flush()?;
        Ok((self.streams, self.rejected))
    }

    pub(crate) fn checkpoint(&mut self, checkpoint: &Delivered<'_>) -> Result<()> {
        let committed = moment::format_us(checkpoint.committed_us());
        for part in checkpoint.parts() {
            self.part(checkpoint, &part, &committed)?;
        }
        for definition in checkpoint.definitions().iter().filter(|d| d.generation.replaces()) {
            self.complete(definition, &committed)?;
        }
        // Where tables refer to one another, what a later checkpoint does must not come before what this one did.
        if checkpoint.is_ordered() { self.flush() } else { Ok(()) }
    }

    fn part(&mut self, checkpoint: &Delivered<'_>, part: &Part<'_>, committed: &str) -> Result<()> {
        let unknown = StreamDefinition::new(part.name().clone());
        let definition = part.definition().unwrap_or(&unknown);
        let mut known = self.known(definition)?;
        let generation = definition.generation;
        let is_aside = known.entry.waits(&generation);
        if is_aside {
            self.set_aside(&mut known, &generation)?;
        }
        let context = Context { committed, generation: generation.number, is_aside };
        for (index, record) in (0..).zip(part.records()) {
            let sequence = checkpoint.sequence();
            let place = Place { sequence, index, generation: context.generation };
            self.record(&mut known, &context, place, &record?)?;
        }
        self.streams.insert(definition.name.clone(), known);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.session.flush(&mut self.rejected)
    }

    fn store(&mut self, entry: &Entry) -> Result<()> {
        Ledger { session: &mut *self.session, name: &self.settings.name }.store_stream(entry)
    }

    fn run(&mut self, statements: impl IntoIterator<Item = String>) -> Result<()> {
        statements.into_iter().try_for_each(|sql| self.session.execute(&sql, &[]))
    }
}

/// Tables.
impl<S: Session> Run<'_, S> {
    /// The stream's table, made or evolved as the definition wants it. Taken out of the map, and to be put back.
    pub(super) fn known(&mut self, definition: &StreamDefinition) -> Result<Known> {
        let mut known = match self.streams.remove(&definition.name) {
            Some(known) if known.follows(definition) => return Ok(known),
            Some(known) => known,
            None => self.create(definition)?,
        };
        let steps = match self.steps(&known, definition) {
            Ok(steps) => steps,
            Err(refused) => {
                known = self.without_renamed(known, definition)?.ok_or(refused)?;
                self.steps(&known, definition)?
            }
        };
        self.evolve(&mut known, &steps)?;
        known.now_follows(definition);
        Ok(known)
    }

    fn steps(&self, known: &Known, definition: &StreamDefinition) -> Result<Vec<Step>> {
        known.entry.check(definition, self.settings)?;
        known.entry.plan(definition, self.session.dialect().names())
    }

    pub(super) fn create(&mut self, definition: &StreamDefinition) -> Result<Known> {
        let mut taken: Taken = self.session.relations()?.iter().collect();
        // Tables that somebody dropped by hand are still somebody's.
        let promised = Ledger { session: &mut *self.session, name: &self.settings.name }.table_names()?;
        promised.iter().for_each(|name| taken.insert(name));
        let rules = self.session.dialect().names();
        let mut entry = Entry::new(definition, self.settings, rules, &mut taken);
        for step in entry.plan(definition, rules)? {
            evolution::apply(&mut entry.columns, &step);
        }
        let statements = self.session.dialect().create(&entry.target(false));
        self.run(statements)
            .map_err(|failure| failure.while_doing(format!("making table {:?}", entry.table)))?;
        self.store(&entry)?;
        Ok(Known::new(entry))
    }

    fn evolve(&mut self, known: &mut Known, steps: &[Step]) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        // Rows that wait are encoded for the columns there were.
        self.flush()?;
        for step in steps {
            for table in known.entry.tables() {
                self.alter(&known.entry, &table, step)?;
            }
            evolution::apply(&mut known.entry.columns, step);
        }
        known.refresh();
        self.store(&known.entry)
    }

    fn alter(&mut self, entry: &Entry, table: &str, step: &Step) -> Result<()> {
        let dialect = self.session.dialect();
        let (statements, doing) = match step {
            Step::Add(column) => {
                (vec![dialect.add(table, column)], format!("adding column {:?} to {table:?}", column.name))
            }
            Step::Widen { index, to } => {
                let Some(column) = entry.columns.get(*index) else { return Ok(()) };
                let doing =
                    format!("widening column {:?} of {table:?} from {} to {to}", column.name, column.kind);
                (dialect.widen(table, column, *to), doing)
            }
        };
        self.run(statements).map_err(|failure| failure.while_doing(doing))
    }

    /// Makes the table in which this generation is built, or empties the one of a generation that was never complete.
    pub(super) fn set_aside(&mut self, known: &mut Known, generation: &Generation) -> Result<()> {
        let entry = &mut known.entry;
        match &entry.aside {
            Some(aside) if aside.generation == generation.number => return Ok(()),
            Some(aside) => {
                let sql = format!("DELETE FROM {}", self.session.dialect().table(&aside.table));
                self.session.flush(&mut self.rejected)?;
                self.session.execute(&sql, &[])?;
            }
            None => {
                let name = entry.aside_name();
                let table = Table { name: &name, ..entry.target(false) };
                for sql in self.session.dialect().create(&table) {
                    self.session.execute(&sql, &[])?;
                }
            }
        }
        entry.aside = Some(Aside { table: entry.aside_name(), generation: generation.number });
        self.store(&known.entry)
    }

    /// The source has sent all of a generation that replaces what was there. That, and nothing less, takes rows away: a source
    /// that fails never comes here.
    fn complete(&mut self, definition: &StreamDefinition, committed: &str) -> Result<()> {
        let mut known = self.known(definition)?;
        let number = definition.generation.number;
        if number > known.entry.generation {
            self.flush()?;
            match self.settings.mode {
                Mode::Overwrite => self.show(&mut known.entry, number)?,
                Mode::Append => {}
                Mode::Upsert | Mode::History => {
                    self.take_away(&known.entry.target(false), Going::Older, committed, number)?;
                }
            }
            known.entry.generation = number;
            self.store(&known.entry)?;
        }
        self.streams.insert(definition.name.clone(), known);
        Ok(())
    }

    /// Shows what was built aside. Where nothing was, the generation is empty.
    fn show(&mut self, entry: &mut Entry, number: u64) -> Result<()> {
        let Some(aside) = entry.aside.take() else {
            let sql = format!("DELETE FROM {}", self.session.dialect().table(&entry.table));
            return self.session.execute(&sql, &[]);
        };
        let [delete, insert, drop] =
            statements::replace(self.session.dialect(), &entry.target(false), &aside.table);
        self.session.execute(&delete, &[])?;
        if aside.generation == number {
            self.session.execute(&insert, &[])?;
        }
        self.session.execute(&drop, &[])
    }

    fn take_away(&mut self, table: &Table<'_>, going: Going, committed: &str, generation: u64) -> Result<()> {
        let sql = statements::take_away(self.session.dialect(), table, self.settings.deletes, going);
        let Some(sql) = sql else { return Ok(()) };
        let time = statements::needs_time(table.shape).then_some(Param::Text(committed));
        let older = (going == Going::Older).then(|| Param::Integer(saturating(generation)));
        let params: Vec<Param<'_>> = time.into_iter().chain(older).collect();
        self.session.execute(&sql, &params)
    }
}

/// Records.
impl<S: Session> Run<'_, S> {
    pub(super) fn record(
        &mut self,
        known: &mut Known,
        context: &Context<'_>,
        place: Place,
        record: &Record,
    ) -> Result<()> {
        if record.op == OpKind::Truncate && known.entry.shape != Shape::Log {
            self.flush()?;
            let table = known.entry.target(context.is_aside);
            return self.take_away(&table, Going::All, context.committed, context.generation);
        }
        let action = match self.action(&known.entry, record.op) {
            Ok(Some(action)) => action,
            Ok(None) => return Ok(()),
            Err(why) => return self.reject(known, place, why),
        };
        match self.take(known, context, place, action, record)? {
            Ok(()) => Ok(()),
            Err(why) => self.reject(known, place, why),
        }
    }

    /// What becomes of the table's row; nothing, if deletes are ignored.
    fn action(&self, entry: &Entry, op: OpKind) -> std::result::Result<Option<Action>, String> {
        let has_key = !entry.key.is_empty();
        Ok(match (entry.shape, op) {
            (Shape::Log, _) | (_, OpKind::Insert | OpKind::Upsert | OpKind::Truncate) => Some(Action::Put),
            _ if !has_key => {
                return Err("it changes a row, and the stream has no key to find it by".to_owned());
            }
            (_, OpKind::Update) => Some(Action::Patch),
            (shape, OpKind::Delete) => match self.settings.deletes {
                Deletes::Ignore => None,
                Deletes::Soft if shape == Shape::Rows => Some(Action::Bury),
                Deletes::Soft | Deletes::Hard => Some(Action::Remove),
            },
        })
    }

    /// Writes the record; the inner error is why it can't be.
    fn take(
        &mut self,
        known: &mut Known,
        context: &Context<'_>,
        place: Place,
        action: Action,
        record: &Record,
    ) -> Result<std::result::Result<(), String>> {
        let key = match key_of(&known.entry, record) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        let mut fields = match known.fields(record) {
            Ok(fields) => fields,
            Err(why) => return Ok(Err(why)),
        };
        if !matches!(record.op, OpKind::Insert | OpKind::Upsert) {
            known.fill_key(&mut fields, &key);
        }
        let strictness = self.session.dialect().strictness();
        let extra = match known::extra(&fields, strictness) {
            Ok(extra) => extra,
            Err(why) => return Ok(Err(why)),
        };
        let values = loop {
            match known.values(&fields, strictness) {
                Ok(values) => break values,
                Err(misfitting) => match misfitting.misfit {
                    Misfit::Refuse(why) => return Ok(Err(known.refusal(misfitting.column, why))),
                    Misfit::Widen(to) => {
                        self.evolve(known, &[Step::Widen { index: misfitting.column, to }])?;
                    }
                },
            }
        };
        let key = (!key.is_empty()).then(|| key_text(&key));
        self.write(
            known,
            context,
            &Row {
                place,
                committed: context.committed,
                action,
                op: record.op,
                key: key.as_deref(),
                values: &values,
                extra: extra.as_deref(),
            },
        )?;
        Ok(Ok(()))
    }

    fn write(&mut self, known: &Known, context: &Context<'_>, row: &Row<'_>) -> Result<()> {
        let table = known.entry.target(context.is_aside);
        self.session.write(&table, row, &mut self.rejected)
    }

    fn reject(&mut self, known: &Known, place: Place, reason: String) -> Result<()> {
        let (sequence, index) = (place.sequence, place.index);
        self.rejected.push(Rejected { stream: known.name().clone(), sequence, index, reason });
        Ok(())
    }
}

/// The record's key: the one it has, or that of its payload. Empty for streams without one.
pub(super) fn key_of<'p>(entry: &Entry, record: &'p Record) -> std::result::Result<Cow<'p, [u8]>, String> {
    if entry.key.is_empty() || record.op == OpKind::Truncate {
        return Ok(Cow::Borrowed(&[]));
    }
    if !record.key.is_empty() {
        return Ok(Cow::Borrowed(&record.key));
    }
    let payload = std::str::from_utf8(&record.payload).map_err(|_| "the record is not UTF-8".to_owned())?;
    let key = highwater::key::of_payload(payload, &entry.key);
    key.map(Cow::Owned).map_err(|error| format!("the record has no key: {error}"))
}
