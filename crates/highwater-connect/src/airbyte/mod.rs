//! The Airbyte protocol: its messages, and programs that speak it.

pub mod catalog;
mod discovered;
pub mod message;
mod program;
mod session;
mod source;
pub mod trace;

pub use discovered::{Configured, Discovered, catalog_text, configure};
pub(crate) use program::ROTATED;
pub use program::{Connector, Settings};
pub use source::AirbyteSource;
