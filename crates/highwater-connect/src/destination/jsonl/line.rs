//! A record as a line.

use base64::prelude::{BASE64_STANDARD, Engine};
use highwater::Record;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::batch::{Delivered, Part};
use crate::failure::{Failure, Result};
use crate::json::push_line;
use crate::op;

/// What is the same for all records of a stream in a checkpoint, as JSON: `{"stream":...,"checkpoint":...`, without its end.
pub(crate) struct Head {
    text: Vec<u8>,
}

#[derive(Serialize)]
struct HeadFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    stream: &'a str,
    checkpoint: u64,
    committed_us: i64,
    generation: u64,
}

impl Head {
    pub(crate) fn new(checkpoint: &Delivered<'_>, part: &Part<'_>) -> Result<Self> {
        let fields = HeadFields {
            namespace: part.name().namespace.as_deref(),
            stream: &part.name().name,
            checkpoint: checkpoint.sequence().get(),
            committed_us: checkpoint.committed_us(),
            generation: part.definition().map_or(0, |definition| definition.generation.number),
        };
        let mut text =
            serde_json::to_vec(&fields).map_err(|e| Failure::permanent("writing a line").because(e))?;
        text.pop();
        Ok(Head { text })
    }

    /// Writes the record's line into `out`, or says why it can't be one.
    pub(crate) fn write(&self, record: &Record, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        self.write_with(record, out, push)
    }

    /// The same for bytes of whatever kind: what is not JSON comes as a text, `"data_base64"` instead of `"data"`.
    pub(crate) fn write_any(&self, record: &Record, out: &mut Vec<u8>) {
        // Nothing is refused, so nothing fails.
        let _ = self.write_with(record, out, |name, bytes, what, out| {
            if push(name, bytes, what, out).is_err() {
                let text = BASE64_STANDARD.encode(bytes);
                out.extend_from_slice(format!(",\"{name}_base64\":\"{text}\"").as_bytes());
            }
            Ok(())
        });
    }

    fn write_with(
        &self,
        record: &Record,
        out: &mut Vec<u8>,
        push: impl Fn(&str, &[u8], &str, &mut Vec<u8>) -> std::result::Result<(), String>,
    ) -> std::result::Result<(), String> {
        out.clear();
        out.extend_from_slice(&self.text);
        out.extend_from_slice(
            format!(",\"op\":\"{}\",\"emitted_us\":{}", op::name(record.op), record.emitted_us).as_bytes(),
        );
        push("key", &record.key, "key", out)?;
        push("meta", &record.metadata, "metadata", out)?;
        push("data", &record.payload, "payload", out)?;
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

fn push(name: &str, json: &[u8], what: &str, out: &mut Vec<u8>) -> std::result::Result<(), String> {
    if json.is_empty() {
        return Ok(());
    }
    let checked: std::result::Result<&RawValue, _> = serde_json::from_slice(json);
    let text = checked.map_err(|e| format!("its {what} is not JSON: {e}"))?.get();
    for part in [",\"", name, "\":"] {
        out.extend_from_slice(part.as_bytes());
    }
    push_line(text, out);
    Ok(())
}
