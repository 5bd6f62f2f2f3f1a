//! What every source and every destination must do, as suites that an implementation runs in its tests. They interrupt, kill and
//! deliver again; each finding is an error that says what was expected and what came.
//!
//! ```
//! use highwater_connect::conformance::{self, Held};
//! use highwater_connect::{Destination, JsonLines};
//!
//! struct Lake(std::path::PathBuf);
//!
//! impl conformance::Subject for Lake {
//!     fn open(&mut self) -> Box<dyn Destination> {
//!         Box::new(JsonLines::new(&self.0))
//!     }
//!
//!     fn held(&mut self) -> Vec<Held> {
//!         let mut files: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
//!         files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
//!         files.sort();
//!         let lines = files.iter().flat_map(|file| {
//!             let text = std::fs::read_to_string(file).unwrap();
//!             text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
//!         });
//!         let held = |line: serde_json::Value| Held {
//!             stream: line["stream"].as_str().unwrap().to_owned(),
//!             row: line["data"].clone(),
//!         };
//!         lines.map(held).collect()
//!     }
//!
//!     fn lose(&mut self) -> bool {
//!         std::fs::remove_dir_all(&self.0).is_ok()
//!     }
//!
//!     fn refused(&self) -> Option<&'static [u8]> {
//!         Some(b"no JSON")
//!     }
//! }
//!
//! let dir = tempfile::tempdir().unwrap();
//! conformance::destination(|n| Lake(dir.path().join(n.to_string()))).unwrap();
//! ```

mod destination;
mod source;

pub use destination::{Held, Subject, destination};
pub use source::{Overlap, source};

/// What was found to be wrong.
pub type Finding = String;
