//! Which streams and columns of a source are wanted, and how.

use highwater::{ColumnPath, StreamName};

use super::section::Section;
use crate::failure::Result;

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// From where the last sync ended.
    Incremental,
    /// From its beginning, each sync.
    FullRefresh,
}

impl SyncMode {
    /// As messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            SyncMode::Incremental => "incremental",
            SyncMode::FullRefresh => "full_refresh",
        }
    }
}

/// A stream of the pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamChoice {
    /// Its name; without a namespace, one that has none or the only one of that name.
    pub name: StreamName,
    /// How it is read; as the source can, if it is not said.
    pub sync_mode: Option<SyncMode>,
    /// The path of the column that tells what is new.
    pub cursor: Option<ColumnPath>,
    /// The key columns.
    pub primary_key: Option<Vec<ColumnPath>>,
    /// What happens to its columns before anything reaches the disk.
    pub columns: Columns,
}

/// What happens to a stream's top-level columns before anything reaches the disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// Only these stay, if any is named.
    pub select: Vec<String>,
    /// These do not.
    pub exclude: Vec<String>,
    /// These are replaced by a keyed hash of themselves.
    pub hash: Vec<String>,
    /// The names are believed, also where the source's schema lacks them or there is none.
    pub allow_undeclared: bool,
}

impl Columns {
    /// Whether records go through as they come.
    pub fn are_all(&self) -> bool {
        self.select.is_empty() && self.exclude.is_empty() && self.hash.is_empty()
    }

    /// Whether a column stays.
    pub fn keeps(&self, column: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|one| one == column);
        (self.select.is_empty() || is_in(&self.select)) && !is_in(&self.exclude)
    }
}

impl StreamChoice {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self> {
        let choice = StreamChoice {
            name: StreamName { namespace: section.text("namespace")?, name: section.needed_text("name")? },
            sync_mode: section.choice(
                "sync_mode",
                &[("incremental", SyncMode::Incremental), ("full_refresh", SyncMode::FullRefresh)],
            )?,
            cursor: Some(section.texts("cursor")?).filter(|path| !path.is_empty()),
            primary_key: section.paths("primary_key")?,
            columns: Columns {
                select: section.texts("select")?,
                exclude: section.texts("exclude")?,
                hash: section.texts("hash")?,
                allow_undeclared: section.flag("allow_undeclared")?.unwrap_or(false),
            },
        };
        for key in choice.primary_key.iter().flatten().filter_map(|path| path.first()) {
            if !choice.columns.keeps(key) {
                return Err(section.wrong("primary_key", format!("column {key} is excluded")));
            }
        }
        section.finish()?;
        Ok(choice)
    }
}
