//! As JSON lines, the very lines that the destination `jsonl` writes.

use highwater::{LogReader, StreamName};

use super::{Exported, Wanted, walk};
use crate::destination::jsonl::line::Head;
use crate::failure::{Failure, Result};

/// Gives each record's line to `write`, with its stream, checkpoint by checkpoint. Streams that are the runtime's own are left
/// out. Where a repair has left a gap `gap` is told, and it goes on behind it. Blocks for reading all of it, with bounded memory.
///
/// Bytes that are not JSON, as a program of its own may have appended, come as a text: `"data_base64"` instead of `"data"`.
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
        for record in part.records() {
            head.write_any(&record?, &mut line);
            write(part.name(), &line).map_err(|e| Failure::permanent("writing a line").because(e))?;
            records += 1;
        }
        Ok(())
    })?;
    Ok(Exported { checkpoints, records })
}

#[cfg(test)]
mod tests {
    use highwater::{Commit, Config, Log, Op, Sequence, StreamSpec};

    use super::*;

    #[test]
    fn bytes_that_are_no_json_are_exported_too() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = Log::open(dir.path(), Config::default()).unwrap();
        let blobs = log.stream(StreamSpec::new("blobs")).unwrap();
        let mut writer = log.writer(&[&blobs]).unwrap();
        writer.append(&blobs, Op::Upsert { key: b"k", row: &[0xff, 0x00] }).unwrap();
        writer.append(&blobs, Op::Upsert { key: b"7", row: b"{}" }).unwrap();
        writer.commit(Commit::new().records(&blobs)).unwrap();
        let all = Wanted { from: log.first(), to: Sequence::new(1), stream: None };
        let mut lines: Vec<serde_json::Value> = Vec::new();
        let mut write = |_: &StreamName, line: &[u8]| {
            lines.push(serde_json::from_slice(line)?);
            Ok(())
        };
        json_lines(&log, &all, &mut write, &mut |_| {}).unwrap();
        let members =
            |n: usize, names: [&str; 3]| names.map(|name| lines[n].get(name).map(ToString::to_string));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            members(0, ["key_base64", "data_base64", "data"]),
            [text("\"aw==\""), text("\"/wA=\""), None]
        );
        assert_eq!(members(1, ["key", "data", "data_base64"]), [text("7"), text("{}"), None]);
    }
}
