//! The command line, run as its users run it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and may say that it was skipped"
)]

mod airbyte;
mod crash;
#[cfg(unix)]
mod damage;
mod helpers;
mod jsonl;
#[cfg(target_os = "linux")]
mod namespace;
mod operations;
#[cfg(target_os = "linux")]
mod pipeline;
mod reading;
#[cfg(target_os = "linux")]
mod runbooks;
mod states;
mod trouble;
mod watching;
