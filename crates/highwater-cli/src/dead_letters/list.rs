//! `highwater dead-letters list`.

use std::io::Write;

use highwater::{Position, StreamName};
use highwater_connect::letters::Letter;
use highwater_connect::quantity::timestamp;
use highwater_connect::text::tame;
use serde::Serialize;

use super::Of;
use crate::failure::{Code, Failure};
use crate::output;

/// List the dead letters, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    letters: Vec<Json>,
}

/// A letter without its content.
#[derive(Serialize)]
pub(super) struct Json {
    destination: String,
    number: u64,
    stream: StreamName,
    /// Of its checkpoint.
    position: String,
    sequence: u64,
    /// Its place among that checkpoint's records of that stream.
    index: u64,
    generation: u64,
    op: &'static str,
    refused: String,
    attempts: u32,
    reason: String,
}

impl Json {
    pub(super) fn of(destination: &str, letter: &Letter) -> Self {
        let position: Position = letter.position;
        Json {
            destination: destination.to_owned(),
            number: letter.number,
            stream: letter.stream.clone(),
            position: position.to_string(),
            sequence: position.sequence.get(),
            index: letter.index,
            generation: letter.generation,
            op: letter.op_name(),
            refused: timestamp(letter.refused_us),
            attempts: letter.attempts,
            reason: letter.reason.clone(),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Code, Failure> {
    let all = args.of.all()?;
    let letters =
        all.iter().flat_map(|mail| mail.letters.iter().map(move |letter| (&*mail.destination, letter)));
    if args.json {
        let letters = letters.map(|(destination, letter)| Json::of(destination, letter)).collect();
        output::json(Document { letters })?;
        return Ok(Code::Well);
    }
    let header = ["DESTINATION", "NUMBER", "STREAM", "CHECKPOINT", "RECORD", "REFUSED", "TIMES", "REASON"];
    let mut table = output::table(header, &[1, 3, 4, 6]);
    for (destination, letter) in letters {
        table.add_row([
            tame(destination),
            letter.number.to_string(),
            tame(&letter.stream.to_string()),
            letter.sequence().to_string(),
            letter.index.to_string(),
            timestamp(letter.refused_us),
            letter.attempts.to_string(),
            tame(&letter.reason),
        ]);
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    out.flush()?;
    Ok(Code::Well)
}
