//! As JSON lines, the very lines that the destination `jsonl` writes.

use highwater::{LogReader, StreamName};

use super::{Exported, Wanted, walk};
use crate::destination::jsonl::line::Head;
use crate::failure::{Failure, Result};

/// Gives each record's line to `write`, with its stream, checkpoint by checkpoint. Streams that are the runtime's own are left
/// out. Where a repair has left a gap `gap` is told, and it goes on behind it. Blocks for reading all of it, with bounded memory.
///
/// Fails with [`FailureKind::Permanent`](crate::FailureKind::Permanent) at a record that is not JSON, and says which.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # use highwater::{Commit, Config, Log, Op, Sequence, StreamSpec};
/// # use highwater_connect::export::{self, Wanted};
/// # let (log, _) = Log::open(dir.path(), Config::default())?;
/// # let orders = log.stream(StreamSpec::new("orders").key(["id"]))?;
/// # let mut writer = log.writer(&[&orders])?;
/// # writer.append(&orders, Op::Upsert { key: b"[1]", row: br#"{"id":1}"# })?;
/// # writer.commit(Commit::new().stream(&orders, &1))?;
/// let all = Wanted { from: log.first(), to: Sequence::new(1), stream: None };
/// let mut text = Vec::new();
/// let mut write = |_: &highwater::StreamName, line: &[u8]| Ok(text.extend_from_slice(line));
/// let exported = export::json_lines(&log, &all, &mut write, &mut |_| {})?;
/// assert_eq!(exported.records, 1);
/// assert!(String::from_utf8_lossy(&text).contains(r#""op":"upsert""#));
/// # Ok::<(), highwater_connect::Failure>(())
/// ```
pub fn json_lines(
    log: &LogReader,
    wanted: &Wanted,
    write: &mut dyn FnMut(&StreamName, &[u8]) -> std::io::Result<()>,
    gap: &mut dyn FnMut(&highwater::Error),
) -> Result<Exported> {
    let (mut records, mut line) = (0, Vec::new());
    let checkpoints = walk(log, wanted, gap, &mut |checkpoint, part| {
        let head = Head::new(checkpoint, part)?;
        for (index, record) in (0u64..).zip(part.records()) {
            let place =
                || format!("checkpoint {}, stream {}, record {index}", checkpoint.sequence(), part.name());
            head.write(&record?, &mut line)
                .map_err(|why| Failure::permanent(format!("{}: {why}", place())))?;
            write(part.name(), &line).map_err(|e| Failure::permanent("writing a line").because(e))?;
            records += 1;
        }
        Ok(())
    })?;
    Ok(Exported { checkpoints, records })
}
