//! What is the same for programs of every protocol.

use std::time::Duration;

use crate::failure::Result;
use crate::pipeline::Section;

/// How records arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Every record stays.
    Append,
    /// Of each key the newest record stays; streams without a key are appended.
    Upsert,
    /// The same, and what is read anew takes the place of what was there.
    Overwrite,
}

/// The part of a destination's table that is neither the delivery's nor the program's.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Before each stream's name.
    pub(crate) prefix: String,
    pub(crate) unconfirmed: Unconfirmed,
}

/// How much it may be given that it has not acknowledged. Many programs acknowledge only at their end: at this their input is
/// closed, they come to it, and the next one begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unconfirmed {
    pub(crate) bytes_max: u64,
    pub(crate) age_max: Duration,
}

/// How records arrive, out of a section. The default is what every program does.
pub(crate) fn mode(section: &mut Section<'_>) -> Result<Mode> {
    let modes = [("append", Mode::Append), ("upsert", Mode::Upsert), ("overwrite", Mode::Overwrite)];
    Ok(section.choice("mode", &modes)?.unwrap_or(Mode::Append))
}

impl Settings {
    /// Takes them from a section, in which those of the program stay.
    pub(crate) fn read(section: &mut Section<'_>) -> Result<Self> {
        let mode = mode(section)?;
        let prefix = section.text("prefix")?.unwrap_or_default();
        let mut limits = section.section("unconfirmed")?;
        let unconfirmed = Unconfirmed {
            bytes_max: limits.size("max_size")?.unwrap_or(256 << 20),
            age_max: limits.time("max_age")?.unwrap_or(Duration::from_secs(5 * 60)),
        };
        limits.finish()?;
        Ok(Settings { mode, prefix, unconfirmed })
    }
}
