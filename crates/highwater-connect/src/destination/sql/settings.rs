//! What a person decides about an SQL destination.

use serde::{Deserialize, Serialize};

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
}
