//! What a person has renamed, because it could not follow its stream: a table that has gone from its name is theirs, and so is a
//! column. What it held stays with them, and the stream gets a new one.

use super::known::Known;
use super::ledger::Ledger;
use super::run::Run;
use super::session::Session;
use crate::definition::StreamDefinition;
use crate::failure::Result;

impl<S: Session> Run<'_, S> {
    /// A stream's table as it is without what was renamed; `None` if nothing was. Only asked where a table can't follow: else a
    /// table or column that is missing is somebody's mistake, and an error.
    pub(super) fn without_renamed(
        &mut self,
        mut known: Known,
        definition: &StreamDefinition,
    ) -> Result<Option<Known>> {
        // Rows that wait are encoded for the columns there were.
        self.flush()?;
        let mut there = Vec::new();
        for table in known.entry.tables() {
            there.push(self.session.columns(&table)?);
        }
        if there.iter().all(Vec::is_empty) {
            self.forget(&known)?;
            return self.create(definition).map(Some);
        }
        let before = known.entry.columns.len();
        known.entry.columns.retain(|column| there.iter().any(|names| names.contains(&column.name)));
        known.refresh();
        Ok((known.entry.columns.len() < before).then_some(known))
    }

    fn forget(&mut self, known: &Known) -> Result<()> {
        let drop_index = self.session.dialect().drop_index_current(&known.entry.table);
        self.session.execute(&drop_index, &[])?;
        Ledger { session: &mut *self.session, name: &self.settings.name }.forget_stream(known.name())
    }
}
