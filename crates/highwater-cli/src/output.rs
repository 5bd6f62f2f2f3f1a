//! What goes to standard output: lines, JSON with a version at its top, tables.

use std::io::{self, BufWriter, StdoutLock, Write};

use comfy_table::{CellAlignment, Table, presets};
use highwater::LogReader;
use serde::Serialize;

use crate::terminal;

/// Large enough that a write costs little beside what it carries.
const BUFFER_BYTES: usize = 256 << 10;

/// Standard output, buffered; whoever writes flushes when it waits or ends.
pub(crate) fn buffered() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock())
}

/// The shape of every command's JSON: a version, which changes when a field is removed or changes its meaning.
#[derive(Debug, Serialize)]
pub(crate) struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

impl<T> Versioned<T> {
    pub(crate) fn new(content: T) -> Self {
        Versioned { version: 1, content }
    }
}

/// Writes one JSON document on a line of its own.
pub(crate) fn json(content: impl Serialize) -> io::Result<()> {
    let mut out = buffered();
    serde_json::to_writer(&mut out, &Versioned::new(content))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What a command did: as JSON, or in a sentence, if there is one.
pub(crate) fn told(as_json: bool, content: &impl Serialize, sentence: Option<&str>) -> io::Result<()> {
    match sentence {
        _ if as_json => json(content),
        Some(sentence) => {
            let mut out = buffered();
            writeln!(out, "{sentence}")?;
            out.flush()
        }
        None => Ok(()),
    }
}

/// A table without lines: it reads well, and can be cut by columns. The columns in `numbers` are aligned to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for (n, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&n) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Without a live writer the end of a log is what recovery would accept, and whoever reads it should know.
pub(crate) fn say_unconfirmed(log: &LogReader) {
    if let Some(text) = log.unconfirmed() {
        terminal::note(format!("unconfirmed: {text}"));
    }
}
