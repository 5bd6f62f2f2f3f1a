//! A file of JSON lines.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use serde_json::value::RawValue;

use super::Sink;
use crate::failure::Result;
use crate::lines::Lines;

pub(super) fn read(sink: &mut Sink<'_, '_>) -> Result<()> {
    let mut file = File::open(sink.path).map_err(|e| sink.io(e))?;
    let start = sink.cursor.position;
    file.seek(SeekFrom::Start(start)).map_err(|e| sink.io(e))?;
    // What comes while it is read is for the next time: whether the last line has its end is seen from this length.
    let length = file.metadata().map_err(|e| sink.io(e))?.len();
    let mut lines = Lines::new(std::io::Read::take(file, length.saturating_sub(start)));
    let mut position = start;
    while let Some(line) = lines.next().map_err(|e| sink.io(e))? {
        let next = position + line.bytes.len() as u64 + u64::from(line.whole);
        if !line.bytes.trim_ascii().is_empty() {
            let row: std::result::Result<&RawValue, _> = serde_json::from_slice(line.bytes.trim_ascii());
            let row = match row {
                Ok(row) if row.get().starts_with('{') => row.get(),
                // Somebody is still writing it.
                Err(error) if !line.whole && sink.is_last && error.is_eof() => return Ok(()),
                Ok(_) => return Err(sink.wrong(position, "the line is not an object")),
                Err(error) => return Err(sink.wrong(position, error)),
            };
            if !sink.row(row, position, next)? {
                return Ok(());
            }
        }
        position = next;
    }
    Ok(())
}
