//! Whether there is something to read, and what it looks like.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Files, Format, csv, parquet};
use crate::failure::{Failure, Result};
use crate::lines::Lines;
use crate::quantity::plural;

/// So much of a file is looked at for a first row, in bytes.
const SAMPLE_BYTES: u64 = 1 << 20;
/// So many columns are told.
const COLUMNS_TOLD_MAX: usize = 20;

impl Files {
    /// How many files there are, and which columns the first row of them has.
    pub(super) fn look(&self) -> Result<Vec<String>> {
        let names = self.names()?;
        let place = format!("{} (*.{})", self.directory.display(), self.format.extension());
        if names.is_empty() {
            return Ok(vec![format!("there is no file in {place} yet")]);
        }
        let columns = match self.format {
            Format::JsonLines => self.first_row(&names)?,
            Format::Csv => properties(&csv::schema(&self.directory, &names)?),
            Format::Parquet => properties(&parquet::schema(&self.directory, &names)?),
        };
        let count = plural(names.len() as u64, "file");
        Ok(vec![match columns.as_slice() {
            [] => format!("{count} in {place}, without a row yet"),
            columns => format!("{count} in {place}, with the columns {}", told(columns)),
        }])
    }

    /// The columns of the first row that is whole.
    fn first_row(&self, names: &[String]) -> Result<Vec<String>> {
        for name in names {
            if let Some(columns) = first_of(&self.directory.join(name))? {
                return Ok(columns);
            }
        }
        Ok(Vec::new())
    }
}

fn first_of(path: &Path) -> Result<Option<Vec<String>>> {
    let cant = |e| Failure::transient(format!("reading {}", path.display())).because(e);
    let file = File::open(path).map_err(cant)?;
    let length = file.metadata().map_err(cant)?.len();
    let mut read = 0;
    let mut lines = Lines::new(file.take(SAMPLE_BYTES));
    while let Some(line) = lines.next().map_err(cant)? {
        read += line.bytes.len() as u64 + 1;
        let row = line.bytes.trim_ascii();
        if row.is_empty() {
            continue;
        }
        return match serde_json::from_slice::<Map<String, Value>>(row) {
            Ok(row) => Ok(Some(row.keys().cloned().collect())),
            // It is longer than a sample, or still being written.
            Err(_) if read > length.min(SAMPLE_BYTES) => Ok(None),
            Err(e) => Err(Failure::permanent(format!(
                "{}, line {}: expected an object",
                path.display(),
                line.number
            ))
            .because(e)),
        };
    }
    Ok(None)
}

fn properties(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys).cloned().collect()
}

fn told(columns: &[String]) -> String {
    let more = if columns.len() > COLUMNS_TOLD_MAX { ", and more" } else { "" };
    format!("{}{more}", columns[..columns.len().min(COLUMNS_TOLD_MAX)].join(", "))
}
