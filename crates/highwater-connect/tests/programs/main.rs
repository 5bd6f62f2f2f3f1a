//! Programs as destinations: what they are told, what counts as an acknowledgement, and what happens when they misbehave.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod acknowledging;
mod airbyte;
mod conformance;
mod singer;
mod trouble;
mod world;
