//! The pipeline runtime of Highwater: a source is read into a log, and from the log delivered to destinations, all of it
//! restartable at any moment, none waiting for another. A failing destination never makes the source be read again.
//!
//! It uses the engine's public interface only; the command line (`highwater run`) is its face.

pub mod airbyte;
pub mod alerts;
mod batch;
pub mod beside;
pub mod bookkeeping;
pub mod columns;
pub mod compaction;
pub mod conformance;
mod definition;
mod definitions;
pub mod destination;
pub mod event;
pub mod export;
mod failure;
mod feed;
mod file_name;
pub mod files;
pub mod import;
mod json;
pub mod json_text;
pub mod letters;
pub mod lines;
mod names;
mod op;
mod output;
pub mod pipeline;
mod place;
pub mod process;
pub mod pump;
pub mod quantity;
pub mod record;
pub mod refresh;
mod reject;
pub mod rules;
pub mod runs;
pub mod runtime;
pub mod schema;
pub mod singer;
pub mod source;
mod stop;
pub mod text;
mod twice;

pub use batch::{Batch, Delivered, Part};
pub use definition::{Generation, StreamDefinition};
pub use definitions::Definitions;
pub use destination::jsonl::JsonLines;
pub use destination::{Again, Applied, Confirmed, Counted, Destination, Rejected, Retried, Stored};
pub use failure::{Failure, FailureKind, Result};
pub use feed::Feed;
pub use names::Names;
pub use output::{Handle, Output, Surroundings};
pub use pipeline::{OnReject, Pipeline};
pub use place::Place;
pub use source::{Offer, Reading, Source, State};
pub use stop::{Stop, Urgency};
pub use twice::{Twice, twice};
