//! What a person decides about an SQL destination.

use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::pipeline::Section;

/// How records become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every record is a row, deletes and truncations included: the table holds what the log holds.
    Append,
    /// One row for each key, as the source has it now. Records of a stream without a key are rows of their own.
    #[default]
    Upsert,
    /// As `Upsert`, but a generation that replaces the one before is built aside, and shown when it is complete.
    Overwrite,
    /// Every version that a row ever had, with the times between which it was the current one.
    History,
}

impl Mode {
    /// Its name, as it stands in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Append => "append",
            Mode::Upsert => "upsert",
            Mode::Overwrite => "overwrite",
            Mode::History => "history",
        }
    }
}

/// What becomes of rows that the source deleted. `Append` keeps the deletions themselves, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// They go. In `History` their last version ends.
    Hard,
    /// They stay, with `_highwater_deleted` set. In `History` as `Hard`.
    #[default]
    Soft,
    /// They stay as they are.
    Ignore,
}

/// What both SQL destinations need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names this delivery in the database: its position and its tables are kept under it. Two pipelines that deliver to
    /// one database need two names.
    pub name: String,
    /// How records become rows. A table keeps the mode with which it was made.
    pub mode: Mode,
    /// What becomes of deleted rows.
    pub deletes: Deletes,
}

impl Settings {
    /// Upserts with soft deletes, under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Settings { name: name.into(), mode: Mode::default(), deletes: Deletes::default() }
    }

    /// With this mode.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// With this treatment of deletes.
    #[must_use]
    pub fn deletes(mut self, deletes: Deletes) -> Self {
        self.deletes = deletes;
        self
    }

    /// Takes `mode` and `deletes` from a destination's section. It is named by the pipeline and by itself.
    pub(crate) fn read(pipeline: &str, section: &mut Section<'_>) -> Result<Self> {
        let destination = section.path().strip_prefix("destinations.").unwrap_or(section.path());
        let modes =
            [Mode::Append, Mode::Upsert, Mode::Overwrite, Mode::History].map(|mode| (mode.name(), mode));
        let deletes = [("hard", Deletes::Hard), ("soft", Deletes::Soft), ("ignore", Deletes::Ignore)];
        Ok(Settings {
            name: format!("{pipeline}/{destination}"),
            mode: section.choice("mode", &modes)?.unwrap_or_default(),
            deletes: section.choice("deletes", &deletes)?.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;
    use crate::destination::sql::{Postgres, Sqlite};
    use crate::pipeline::Variables;

    #[test]
    fn a_section_names_the_delivery_and_its_ways() {
        let variables = Variables::new("/base", "/work");
        let section = |text: &str| Section::new("destinations.lake", text.parse().unwrap(), &variables);
        let read = |text: &str| Settings::read("shop", &mut section(text));
        assert_eq!(read("").unwrap(), Settings::new("shop/lake"));
        let other = Settings::new("shop/lake").mode(Mode::History).deletes(Deletes::Ignore);
        assert_eq!(read("mode = \"history\"\ndeletes = \"ignore\"").unwrap(), other);
        assert_eq!(read("mode = \"merge\"").unwrap_err().kind(), FailureKind::Config);
        assert!(Sqlite::read("shop", section("path = \"a.db\"")).is_ok());
        assert!(Sqlite::read("shop", section("path = \"a.db\"\npaht = 1")).is_err());
        assert!(Postgres::read("shop", section("url = \"postgres://h/d\"\nschema = \"raw\"")).is_ok());
        let failure = Postgres::read("shop", section("url = \"postgres://u:hunter2@[\"")).unwrap_err();
        assert!(!format!("{failure} {failure:?}").contains("hunter2"));
    }
}
