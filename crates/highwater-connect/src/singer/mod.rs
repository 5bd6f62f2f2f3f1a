//! Singer taps, as commands.

mod catalog;
mod message;
mod names;
mod source;

pub use source::SingerSource;
