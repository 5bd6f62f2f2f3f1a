//! The server as others see it: real requests to a real socket, about real logs.

#![allow(clippy::unwrap_used)] // a test panics

mod changes;
mod document;
mod guard;
mod metrics;
mod site;
mod unreadable;
