//! A source's schema changes: what changed, and what becomes of it.

mod difference;
mod merge;

use std::fmt;

use highwater::ColumnPath;
use serde::Serialize;

pub use difference::difference;
pub use merge::with_additions;

use crate::failure::{Failure, Result};
use crate::pipeline::SchemaPolicy;

impl SchemaPolicy {
    /// The schema that holds from now on, where `now` follows `before` with these changes. Fails with
    /// [`FailureKind::Paused`](crate::FailureKind::Paused) where a person has to accept them.
    pub fn decide(self, before: &str, now: Option<&str>, changes: &[Change]) -> Result<Option<String>> {
        let taken = now.map(str::to_owned);
        // What is told of columns is the same: descriptions and the like may follow.
        if changes.is_empty() && now.is_some() {
            return Ok(taken);
        }
        match self {
            SchemaPolicy::Propagate => Ok(taken),
            SchemaPolicy::PropagateAdditions => with_additions(before, now).map(Some),
            SchemaPolicy::Ignore => Ok(Some(before.to_owned())),
            SchemaPolicy::Pause => {
                let text: Vec<String> = changes.iter().map(Change::to_string).collect();
                Err(Failure::paused(format!("its schema has changed: {}", text.join("; "))))
            }
        }
    }
}

/// One thing that differs between what a stream was and what its source says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A column is new.
    ColumnAdded {
        /// Its name.
        column: String,
        /// What it holds, in short.
        to: String,
    },
    /// A column is gone.
    ColumnRemoved {
        /// Its name.
        column: String,
        /// What it held.
        from: String,
    },
    /// A column holds something else.
    ColumnChanged {
        /// Its name.
        column: String,
        /// What it held.
        from: String,
        /// What it holds.
        to: String,
    },
    /// The stream has other key columns.
    KeyChanged {
        /// What they were.
        from: Vec<ColumnPath>,
        /// What they are.
        to: Vec<ColumnPath>,
    },
    /// Another column tells what is new in the stream.
    CursorChanged {
        /// Which it was.
        from: Option<ColumnPath>,
        /// Which it is.
        to: Option<ColumnPath>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::ColumnAdded { column, to } => write!(f, "+ {column}: {to}"),
            Change::ColumnRemoved { column, from } => write!(f, "- {column}: {from}"),
            Change::ColumnChanged { column, from, to } => write!(f, "~ {column}: {from} -> {to}"),
            Change::KeyChanged { from, to } => write!(f, "~ key: {} -> {}", key(from), key(to)),
            Change::CursorChanged { from, to } => {
                write!(f, "~ cursor: {} -> {}", cursor(from.as_ref()), cursor(to.as_ref()))
            }
        }
    }
}

/// A key for people.
pub fn key(columns: &[ColumnPath]) -> String {
    if columns.is_empty() {
        return "none".to_owned();
    }
    columns.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(", ")
}

/// A cursor for people.
pub fn cursor(path: Option<&ColumnPath>) -> String {
    path.map_or("none".to_owned(), |path| path.join("."))
}

#[cfg(test)]
mod tests;
