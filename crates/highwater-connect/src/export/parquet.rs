//! As Parquet files, with the columns that the destination `parquet` writes: one file for each stream.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use highwater::{LogReader, Position, Sequence, StreamName};
use parquet::basic::Compression;

use super::{Exported, Wanted, file_name, walk};
use crate::batch::{Delivered, Part};
use crate::bookkeeping::{Shared, Tracker};
use crate::destination::parquet::file::{GROUP_BYTES, Head, Writing};
use crate::failure::{Failure, Result};
use crate::files;

const EXTENSION: &str = "parquet";
/// So many files are written at once; more streams take another pass over the log.
const STREAMS_MAX: usize = 200;
/// So much of records is held in memory, of all these streams together, in bytes.
const HELD_BYTES_MAX: usize = 256 << 20;
/// Files are for everybody whom the process's mask allows.
const MODE: u32 = 0o666;

/// Writes a file `NAMESPACE.NAME.parquet` for each stream into `dir`, which is there; their names, in the order in which the streams
/// come in the log. A file appears when it is whole.
///
/// Its columns are those that the stream's schema declares at the last of the wanted checkpoints, and ours. What an earlier schema
/// had beside them is in `_highwater_extra`, and so is a value that does not fit its column. Streams that are the runtime's own are left out,
/// and those without a record. Where a repair has left a gap `gap` is told, and it goes on behind it. Blocks for reading all of it,
/// with bounded memory, and for two flushes a file.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # use highwater::{Commit, Config, Log, Op, Sequence, StreamSpec};
/// # use highwater_connect::export::{self, Wanted};
/// # let (log, _) = Log::open(dir.path().join("shop.hw"), Config::default())?;
/// # let orders = log.stream(StreamSpec::new("orders").schema(r#"{"properties":{"id":{"type":"integer"}}}"#))?;
/// # let mut writer = log.writer(&[&orders])?;
/// # writer.append(&orders, Op::Insert { key: b"", row: br#"{"id":1}"# })?;
/// # writer.commit(Commit::new().stream(&orders, &1))?;
/// let all = Wanted { from: log.first(), to: Sequence::new(1), stream: None };
/// let (exported, files) = export::parquet_files(&log, &all, dir.path(), &mut |_| {})?;
/// assert_eq!((exported.records, files), (1, vec!["orders.parquet".to_owned()]));
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
pub fn parquet_files(
    log: &LogReader,
    wanted: &Wanted,
    dir: &Path,
    gap: &mut dyn FnMut(&highwater::Error),
) -> Result<(Exported, Vec<String>)> {
    let last = Last::of(log, wanted)?;
    let streams = if wanted.stream.is_some() { 1 } else { log.streams()?.len() };
    let group_bytes = GROUP_BYTES.min(HELD_BYTES_MAX / streams.clamp(1, STREAMS_MAX));
    let mut exported = Exported::default();
    let (mut done, mut names) = (HashSet::new(), Vec::new());
    loop {
        let mut pass = Pass::new(dir, &last, group_bytes, &done);
        let is_first = names.is_empty();
        let mut tell = |error: &highwater::Error| {
            if is_first {
                gap(error);
            }
        };
        exported.checkpoints =
            walk(log, wanted, &mut tell, &mut |checkpoint, part| pass.take(checkpoint, part))?;
        let ended = pass.finish()?;
        exported.records += ended.records;
        names.extend(ended.streams.iter().map(|stream| file_name(stream, EXTENSION)));
        done.extend(ended.streams);
        if !ended.left_some {
            return Ok((exported, names));
        }
    }
}

/// What holds at the last of the wanted checkpoints.
struct Last {
    position: Option<Position>,
    definitions: Shared,
}

impl Last {
    fn of(log: &LogReader, wanted: &Wanted) -> Result<Last> {
        let nothing = Last { position: None, definitions: Shared::default() };
        let end = log.end().map_or(Sequence::NONE, |end| end.sequence);
        let to = wanted.to.min(end);
        if to < wanted.from {
            return Ok(nothing);
        }
        let mut reader = log.reader(to)?;
        loop {
            match reader.next() {
                Ok(Some(checkpoint)) => {
                    let position = Some(checkpoint.position()).filter(|position| position.sequence <= to);
                    return Ok(Last { position, definitions: Tracker::new(log.clone()).at(&checkpoint)? });
                }
                Ok(None) => return Ok(nothing),
                // A repair gave that checkpoint up: what holds behind the gap will do.
                Err(_) if reader.pass_gap().is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The schema of a stream, which may have been dropped by then.
    fn schema<'a>(&'a self, part: &'a Part<'_>) -> Option<&'a str> {
        let known = self.definitions.iter().find(|definition| definition.name == *part.name());
        known.or(part.definition())?.schema.as_deref()
    }
}

/// One pass over the log.
struct Pass<'a> {
    dir: &'a Path,
    last: &'a Last,
    group_bytes: usize,
    /// Streams of the passes before.
    done: &'a HashSet<StreamName>,
    open: HashMap<StreamName, Writing>,
    ended: Ended,
}

/// What a pass has done.
#[derive(Default)]
struct Ended {
    /// In the order in which they came.
    streams: Vec<StreamName>,
    records: u64,
    /// There are more streams.
    left_some: bool,
}

impl<'a> Pass<'a> {
    fn new(dir: &'a Path, last: &'a Last, group_bytes: usize, done: &'a HashSet<StreamName>) -> Self {
        Pass { dir, last, group_bytes, done, open: HashMap::new(), ended: Ended::default() }
    }

    fn take(&mut self, checkpoint: &Delivered<'_>, part: &Part<'_>) -> Result<()> {
        if self.done.contains(part.name()) {
            return Ok(());
        }
        if !self.open.contains_key(part.name()) {
            if self.open.len() == STREAMS_MAX {
                self.ended.left_some = true;
                return Ok(());
            }
            self.begin(part)?;
        }
        if let Some(writing) = self.open.get_mut(part.name()) {
            writing.take(checkpoint, part).map_err(|failure| failure.while_doing(part.name()))?;
            self.ended.records += part.record_count();
        }
        Ok(())
    }

    fn begin(&mut self, part: &Part<'_>) -> Result<()> {
        let stream = part.name();
        let (schema, end) = (self.last.schema(part), self.last.position);
        let head = Head { stream, schema, end, compression: Compression::SNAPPY };
        let (temporary, _) = self.paths(stream);
        let file = files::create(&temporary, MODE)
            .map_err(|e| Failure::transient(format!("making {}", temporary.display())).because(e))?;
        let writing = Writing::begin(file, &head).map_err(|failure| failure.while_doing(stream))?;
        self.open.insert(stream.clone(), writing.with_group_bytes(self.group_bytes));
        self.ended.streams.push(stream.clone());
        Ok(())
    }

    /// Where a file is written, and where it will be.
    fn paths(&self, stream: &StreamName) -> (PathBuf, PathBuf) {
        let path = self.dir.join(file_name(stream, EXTENSION));
        (path.with_added_extension("tmp"), path)
    }

    fn finish(mut self) -> Result<Ended> {
        for (stream, writing) in std::mem::take(&mut self.open) {
            let (temporary, path) = self.paths(&stream);
            let file = writing.finish().map_err(|failure| failure.while_doing(path.display()))?;
            files::publish(file, &temporary, &path)
                .map_err(|e| Failure::transient(format!("writing {}", path.display())).because(e))?;
        }
        Ok(self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bookkeeping::{self, Book};
    use crate::definition::StreamDefinition;
    use highwater::{Commit, Config, Log, Op, StreamSpec};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Row, RowAccessor};

    const ID: &str = r#"{"properties":{"id":{"type":"integer"}}}"#;
    const ID_AND_AT: &str =
        r#"{"properties":{"id":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;

    fn write(log: &Log, spec: StreamSpec, row: &str) {
        let stream = log.stream(spec).unwrap();
        let mut writer = log.writer(&[&stream]).unwrap();
        writer.append(&stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
        writer.commit(Commit::new().stream(&stream, &1)).unwrap();
    }

    /// As the runtime keeps it, from this checkpoint on.
    fn define(log: &Log, name: &str, schema: &str) {
        let of_stream = StreamName { namespace: None, name: name.to_owned() };
        let definition =
            StreamDefinition { schema: Some(schema.to_owned()), ..StreamDefinition::new(of_stream) };
        let book = Book { streams: [definition].into_iter().collect(), ..Book::default() };
        let StreamName { name, namespace } = bookkeeping::definitions_name();
        let stream = log.stream(StreamSpec::new(name).namespace(namespace.unwrap())).unwrap();
        let commit = Commit::new().stream_text(&stream, book.definitions_text().unwrap());
        log.writer(&[&stream]).unwrap().commit(commit).unwrap();
    }

    fn open(dir: &Path) -> Log {
        Log::open(dir.join("log"), Config::default()).unwrap().0
    }

    fn all(log: &Log) -> Wanted {
        Wanted { from: log.first(), to: log.end().unwrap().sequence, stream: None }
    }

    fn export(log: &Log, wanted: &Wanted, dir: &Path) -> (Exported, Vec<String>) {
        parquet_files(log, wanted, dir, &mut |error| panic!("{error}")).unwrap()
    }

    fn rows(path: &Path) -> Vec<Row> {
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect()
    }

    fn columns(path: &Path) -> Vec<String> {
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
        fields.iter().map(|field| field.name().to_owned()).collect()
    }

    #[test]
    fn a_stream_has_one_file_with_the_columns_of_its_last_schema() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        define(&log, "a", ID);
        write(&log, StreamSpec::new("a"), r#"{"id":1,"at":"1970-01-01T00:00:01Z","old":[1]}"#);
        write(&log, StreamSpec::new("b").namespace("n"), "{}");
        define(&log, "a", ID_AND_AT);
        write(&log, StreamSpec::new("a"), r#"{"id":2,"at":"soon"}"#);
        write(&log, StreamSpec::new("runs").namespace("_highwater"), "{}");
        let told = export(&log, &all(&log), dir.path());
        let names = ["a.parquet", "n.b.parquet"].map(str::to_owned).to_vec();
        assert_eq!(told, (Exported { checkpoints: 6, records: 3 }, names));
        let path = dir.path().join("a.parquet");
        assert_eq!(columns(&path)[..3], ["id", "at", "_highwater_extra"]);
        let rows = rows(&path);
        let first = (rows[0].get_long(0).unwrap(), rows[0].get_timestamp_micros(1).unwrap());
        assert_eq!((first, rows[0].get_string(2).unwrap().as_str()), ((1, 1_000_000), r#"{"old":[1]}"#));
        let second = (rows[1].get_long(0).unwrap(), rows[1].get_string(2).unwrap().as_str());
        assert_eq!((second, rows.len()), ((2, r#"{"at":"soon"}"#), 2));
        assert!(
            !std::fs::read_dir(dir.path()).unwrap().any(|entry| {
                entry.unwrap().path().extension().is_some_and(|extension| extension == "tmp")
            })
        );
    }

    #[test]
    fn a_range_has_what_was_committed_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        for (n, name) in (1..).zip(["a", "b", "a", "a", "b"]) {
            write(&log, StreamSpec::new(name).schema(ID), &format!(r#"{{"id":{n}}}"#));
        }
        let wanted = |from, to, stream: Option<&str>| Wanted {
            from: Sequence::new(from),
            to: Sequence::new(to),
            stream: stream.map(|name| StreamName { namespace: None, name: name.to_owned() }),
        };
        let (told, names) = export(&log, &wanted(3, 4, None), dir.path());
        assert_eq!((told.records, names), (2, vec!["a.parquet".to_owned()]));
        let ids: Vec<i64> =
            rows(&dir.path().join("a.parquet")).iter().map(|row| row.get_long(0).unwrap()).collect();
        assert_eq!(ids, [3, 4]);
        let (told, names) = export(&log, &wanted(1, 99, Some("b")), dir.path());
        assert_eq!((told.records, names), (2, vec!["b.parquet".to_owned()]));
        assert_eq!(export(&log, &wanted(6, 5, None), dir.path()), (Exported::default(), Vec::new()));
    }

    #[test]
    fn more_streams_than_files_may_be_open_take_several_passes() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let streams: Vec<_> = (0..STREAMS_MAX + 3)
            .map(|n| log.stream(StreamSpec::new(format!("s{n}")).schema(ID)).unwrap())
            .collect();
        let mut writer = log.writer(&streams.iter().collect::<Vec<_>>()).unwrap();
        for id in 0..2 {
            for stream in &streams {
                let row = format!(r#"{{"id":{id}}}"#);
                writer.append(stream, Op::Insert { key: b"", row: row.as_bytes() }).unwrap();
            }
            writer.commit(Commit::new().all()).unwrap();
        }
        let (told, names) = export(&log, &all(&log), dir.path());
        let count = STREAMS_MAX as u64 + 3;
        assert_eq!((told, names.len() as u64), (Exported { checkpoints: 2, records: 2 * count }, count));
        for name in names {
            assert_eq!(rows(&dir.path().join(&name)).len(), 2, "{name}");
        }
    }
}
