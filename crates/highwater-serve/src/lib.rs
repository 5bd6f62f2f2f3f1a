//! Watching a Highwater log: metrics for Prometheus, a JSON API, and a page for people.
//!
//! - [`gather`] computes the metrics of a log, of the process that writes it, and of a pipeline; [`Exposition`] is the text.
//! - [`Monitor`] counts what happens during a run, [`Keeper`] leaves it where other processes find it.
//! - [`Server`] answers HTTP: `/metrics`, the API, and the page.
//!
//! The engine knows nothing of all this; it is read by its public interface only.

mod anomaly;
mod api;
mod history;
mod index;
mod measured;
mod metrics;
mod server;
mod subject;
mod verdict;

pub use anomaly::Habit;
pub use history::History;
pub use measured::{Failed, Measured, Opening, Part, Writer};
pub use metrics::{
    CONTENT_TYPE, Exposition, Keeper, Monitor, damaged_places, gather, gather_unreadable, is_unreadable,
    tell_verified,
};
pub use server::{Listen, Server};
pub use subject::{Known, Subject, disk};
