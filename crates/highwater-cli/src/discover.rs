//! `highwater discover`: the streams that a pipeline's source has.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_connect::event::Reporter;
use highwater_connect::runtime;
use highwater_connect::source::{Offer, Reading};
use highwater_connect::text::tame;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::{Code, Failure};
use crate::known;
use crate::output;
use crate::run::{Watcher, listening};

const EXAMPLES: &str = "\
Examples:
  highwater discover pipeline.toml
  highwater discover pipeline.toml --toml >> pipeline.toml       then keep what you want of it
  highwater discover pipeline.toml --json | jq '.streams[].schema'";

/// List the streams that a pipeline's source has
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// As tables for the pipeline file
    #[arg(long)]
    toml: bool,
    /// As one JSON object, with the streams' schemas
    #[arg(long, conflicts_with = "toml")]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let pipeline = known::pipeline(&args.pipeline)?;
    let reporter = Reporter::new(Arc::new(Watcher::start(false)), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let found = runtime::discover(&pipeline, &reporter, &stop)?;
    if args.json {
        print_json(&found.streams)?;
    } else if args.toml {
        if !found.is_choosable {
            return Err(Failure::usage(
                "this kind of source names its streams in [source]: none are chosen in [[streams]]",
            ));
        }
        print_toml(&found.streams)?;
    } else {
        print_table(&found.streams)?;
    }
    Ok(Code::Well)
}

/// Whether it can be read from where the last sync ended.
fn is_incremental(stream: &Offer) -> bool {
    stream.reading == Reading::Onward
}

#[derive(Serialize)]
struct Json<'a> {
    streams: Vec<StreamJson<'a>>,
}

#[derive(Serialize)]
struct StreamJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    incremental: bool,
    key: &'a [Vec<String>],
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a RawValue>,
}

fn print_json(streams: &[Offer]) -> Result<(), Failure> {
    let mut list = Vec::new();
    for stream in streams {
        let definition = &stream.definition;
        let schema = definition.schema.as_deref().map(serde_json::from_str).transpose();
        list.push(StreamJson {
            namespace: definition.name.namespace.as_deref(),
            name: &definition.name.name,
            incremental: is_incremental(stream),
            key: &definition.key,
            schema: schema.map_err(|e| Failure::error(format!("a schema is not JSON: {e}")))?,
        });
    }
    Ok(output::json(Json { streams: list })?)
}

fn print_table(streams: &[Offer]) -> Result<(), Failure> {
    let mut table = output::table(["STREAM", "INCREMENTAL", "KEY"], &[]);
    for stream in streams {
        let key: Vec<String> = stream.definition.key.iter().map(|path| path.join(".")).collect();
        table.add_row([
            tame(&stream.definition.name.to_string()),
            if is_incremental(stream) { "yes" } else { "no" }.to_owned(),
            tame(&key.join(", ")),
        ]);
    }
    let mut out = output::buffered();
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(out.flush()?)
}

fn print_toml(streams: &[Offer]) -> Result<(), Failure> {
    let mut out = output::buffered();
    for stream in streams {
        let definition = &stream.definition;
        writeln!(out, "[[streams]]\nname = {}", quoted(&definition.name.name))?;
        if let Some(namespace) = &definition.name.namespace {
            writeln!(out, "namespace = {}", quoted(namespace))?;
        }
        let mode = if is_incremental(stream) { "incremental" } else { "full_refresh" };
        writeln!(out, "sync_mode = \"{mode}\"")?;
        if !definition.key.is_empty() {
            let path = |path: &Vec<String>| {
                let columns: Vec<String> = path.iter().map(|column| quoted(column)).collect();
                format!("[{}]", columns.join(", "))
            };
            let key: Vec<String> = definition.key.iter().map(path).collect();
            writeln!(out, "primary_key = [{}]", key.join(", "))?;
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// A text of TOML: JSON's spelling is one of it, but for one character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
