//! A Parquet file. The cursor counts the rows that are read, so the first one is row 1.

mod int96;
mod meaning;
mod moment;
#[cfg(test)]
mod tests;
mod text;
mod types;

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::CompressionCodec;
use parquet::errors::{ParquetError, Result as Read};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::Row;
use parquet::schema::types::TypePtr;

use self::int96::Columns;
use self::meaning::property;
use self::types::Types;
use super::Sink;
use crate::failure::{Failure, Result};

/// What every such file begins and ends with.
const MAGIC: [u8; 4] = *b"PAR1";

pub(super) fn read(sink: &mut Sink<'_, '_>) -> Result<()> {
    if sink.is_last && !is_whole(sink.path).map_err(|e| sink.io(e))? {
        // Somebody is still writing it.
        return Ok(());
    }
    let reader = open(sink.path)?;
    let start = sink.cursor.position;
    let mut at = 0;
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).map_err(|e| sink.wrong(at, e))?;
        let rows = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        if at + rows <= start {
            at += rows;
            continue;
        }
        let mut rows = Rows::open(&*group).map_err(|e| sink.wrong(at, e))?;
        while let Some(text) = rows.next(at < start).map_err(|e| sink.wrong(at, e))? {
            at += 1;
            if at > start && !sink.row(&text, at, at)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Whether it has its end: the footer is written last.
fn is_whole(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < 2 * MAGIC.len() as u64 {
        return Ok(false);
    }
    let mut end = [0; MAGIC.len()];
    file.seek(SeekFrom::End(-(MAGIC.len() as i64)))?;
    file.read_exact(&mut end)?;
    Ok(end == MAGIC)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file =
        File::open(path).map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
    let reader = SerializedFileReader::new(file)
        .map_err(|e| Failure::permanent(format!("{} is no Parquet file", path.display())).because(e))?;
    let groups = reader.metadata().row_groups().iter();
    let mut codecs = groups.flat_map(|group| group.columns()).map(|column| column.compression_codec());
    match codecs.find(|codec| !is_readable(*codec)) {
        None => Ok(reader),
        Some(codec) => Err(Failure::permanent(format!(
            "{} is compressed with {codec:?}, which is not read here; snappy, gzip, zstd and LZ4 are",
            path.display()
        ))),
    }
}

fn is_readable(codec: CompressionCodec) -> bool {
    !matches!(codec, CompressionCodec::BROTLI | CompressionCodec::LZO)
}

/// The columns of all files. One that has another type in another file is of any of them.
pub(super) fn schema(directory: &Path, names: &[String]) -> Result<String> {
    let mut types = Types::default();
    for (n, name) in names.iter().enumerate() {
        let path = directory.join(name);
        let is_last = n + 1 == names.len();
        let whole = is_whole(&path)
            .map_err(|e| Failure::transient(format!("reading {}", path.display())).because(e))?;
        if is_last && !whole {
            continue;
        }
        let reader = open(&path)?;
        for column in reader.metadata().file_metadata().schema_descr().root_schema().get_fields() {
            types.add(column.name(), property(column));
        }
    }
    Ok(types.schema().to_string())
}

/// The rows of a row group.
struct Rows<'g> {
    rows: Box<dyn Iterator<Item = Read<Row>> + 'g>,
    exact: Columns,
    types: Vec<TypePtr>,
}

impl<'g> Rows<'g> {
    fn open(group: &'g dyn RowGroupReader) -> Read<Self> {
        guarded(|| {
            let exact = Columns::open(group)?;
            let types = group.metadata().schema_descr().root_schema().get_fields().to_vec();
            Ok(Rows { rows: Box::new(group.get_row_iter(None)?), exact, types })
        })
    }

    /// The next row as the text of an object; as nothing, if it is only to be passed over.
    fn next(&mut self, is_passed: bool) -> Read<Option<String>> {
        let Some(row) = guarded(|| self.rows.next().transpose())? else { return Ok(None) };
        guarded(|| self.exact.advance())?;
        let mut text = String::new();
        if !is_passed {
            text::push_row(&row, &self.types, &self.exact, &mut text);
        }
        Ok(Some(text))
    }
}

/// The library panics at types that it does not know, and at some files that were made for it.
fn guarded<T>(read: impl FnOnce() -> Read<T>) -> Read<T> {
    let panicked =
        |_| ParquetError::General("the file can't be read: its types are not understood".to_owned());
    catch_unwind(AssertUnwindSafe(read)).map_err(panicked).flatten()
}

/// The rows of a file.
#[cfg(test)]
pub(super) fn texts(path: &Path) -> Vec<String> {
    let reader = open(path).unwrap();
    let mut texts = Vec::new();
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).unwrap();
        let mut rows = Rows::open(&*group).unwrap();
        while let Some(text) = rows.next(false).unwrap() {
            texts.push(text);
        }
    }
    texts
}
