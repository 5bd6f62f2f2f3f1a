//! Singer taps, as commands.

mod catalog;
mod message;
mod source;

pub use source::SingerSource;
