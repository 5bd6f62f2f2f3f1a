//! The Airbyte protocol: its messages, and programs that speak it.

pub mod catalog;
pub mod message;
pub mod trace;
