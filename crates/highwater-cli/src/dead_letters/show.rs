//! `highwater dead-letters show`: one letter with its content.

use std::collections::BTreeMap;
use std::io::Write;

use highwater::Record;
use highwater_connect::letters::Letter;
use highwater_connect::quantity::{bytes, plural, timestamp};
use highwater_connect::text::tame;
use serde::Serialize;
use serde_json::value::RawValue;

use super::list::Json;
use super::{Of, no_letter};
use crate::failure::{Code, Failure};
use crate::output;

/// Show one dead letter: where it comes from, why it was refused, and the record itself
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// Its number
    number: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the record's payload as it is, to the byte, and nothing else
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// Bytes that need not be text: JSON as it is, else text, else numbers.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Hex(String),
}

impl<'a> Shown<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(json), _) => Shown::Json(json),
            (_, Ok(text)) => Shown::Text(text),
            _ => Shown::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    letter: Json,
    key: Shown<'a>,
    metadata: Shown<'a>,
    payload: Shown<'a>,
}

pub(super) fn run(args: &Args) -> Result<Code, Failure> {
    let mail = args.of.one()?;
    let found = mail.letters.iter().find(|letter| letter.number == args.number);
    let letter = found.ok_or_else(|| no_letter(&mail.destination, args.number))?;
    let mut record = None;
    let wanted = BTreeMap::from([(letter.number, letter.clone())]);
    mail.store.read(&wanted, &mut |_, found| {
        record = Some(found.clone());
        Ok(())
    })?;
    let record = record.ok_or_else(|| no_letter(&mail.destination, args.number))?;
    if args.raw {
        let mut out = output::buffered();
        out.write_all(&record.payload)?;
        out.flush()?;
    } else if args.json {
        let (key, metadata) = (Shown::of(&record.key), Shown::of(&record.metadata));
        let payload = Shown::of(&record.payload);
        output::json(Document { letter: Json::of(&mail.destination, letter), key, metadata, payload })?;
    } else {
        print(&mail.destination, letter, &record)?;
    }
    Ok(Code::Well)
}

fn print(destination: &str, letter: &Letter, record: &Record) -> Result<(), Failure> {
    let mut out = output::buffered();
    let text = |bytes: &[u8]| tame(&String::from_utf8_lossy(bytes));
    writeln!(out, "destination  {}", tame(destination))?;
    writeln!(out, "record       {} of stream {}", letter.index, tame(&letter.stream.to_string()))?;
    writeln!(out, "checkpoint   {}", letter.position)?;
    writeln!(out, "operation    {}", letter.op_name())?;
    writeln!(
        out,
        "refused      {}, {} so far",
        timestamp(letter.refused_us),
        plural(letter.attempts.into(), "time")
    )?;
    writeln!(out, "reason       {}", tame(&letter.reason))?;
    if !record.key.is_empty() {
        writeln!(out, "key          {}", text(&record.key))?;
    }
    if !record.metadata.is_empty() {
        writeln!(out, "metadata     {}", text(&record.metadata))?;
    }
    writeln!(out, "payload      {}: {}", bytes(record.payload.len() as u64), text(&record.payload))?;
    Ok(out.flush()?)
}
