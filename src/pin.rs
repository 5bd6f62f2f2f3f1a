//! Pins: named holds on checkpoints, with an owner and an expiry. A backup or an upload takes one.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::format::names;
use crate::position::Sequence;
use crate::storage::{self, Access, Storage};

/// The largest pin file that is read, in bytes.
const PIN_BYTES_MAX: usize = 4096;

/// A hold: checkpoints from `from` on are not pruned before it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The first checkpoint it holds.
    pub from: Sequence,
    /// Who holds it, for people.
    pub owner: String,
    /// When it ends by itself, in microseconds since 1970-01-01 UTC.
    pub expires_us: i64,
}

/// A pin's file. Without the checksum one damaged digit would let go what is held, in silence.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    pin: Pin,
    /// Pins of the first versions have none.
    #[serde(default)]
    crc: Option<u32>,
}

impl Pin {
    /// Of what it says, not of the text that says it.
    fn crc(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.from.get().to_le_bytes());
        hasher.update(&self.expires_us.to_le_bytes());
        hasher.update(self.owner.as_bytes());
        hasher.finalize()
    }
}

/// Makes the pin whole and durable before it has its name: a power cut leaves the old one, the new one, or none.
pub(crate) fn write(storage: &dyn Storage, name: &str, pin: &Pin) -> Result<()> {
    if !names::is_valid(name) {
        return Err(Error::invalid(format!(
            "{name:?} can't name a pin; use up to 100 letters, digits, '.', '_', '-'"
        )));
    }
    let (made, file_name) = (names::new_pin(name), names::pin(name));
    let stored = Stored { pin: pin.clone(), crc: Some(pin.crc()) };
    let mut text = serde_json::to_vec(&stored).map_err(|e| Error::invalid(e.to_string()))?;
    if text.len() > PIN_BYTES_MAX {
        return Err(Error::too_large(
            format!("pin {name} with its owner"),
            PIN_BYTES_MAX as u64,
            text.len() as u64,
        ));
    }
    // Spaces behind it: a reader of an earlier version may find an older, longer one there.
    text.resize(PIN_BYTES_MAX, b' ');
    let make = || -> std::io::Result<()> {
        let file = storage::make_anew(storage, &made)?;
        storage::write_all_at(&*file, &[&text], 0)?;
        file.sync()?;
        storage.rename(&made, &file_name)?;
        storage::sync_names(storage)
    };
    make().map_err(|e| {
        let _ = storage.remove(&made);
        Error::io("writing a pin", &file_name, e)
    })
}

pub(crate) fn read(storage: &dyn Storage, name: &str) -> Result<Option<Pin>> {
    let file_name = names::pin(name);
    let bytes = match storage
        .open(&file_name, Access::Read)
        .and_then(|file| storage::read_small(&*file, PIN_BYTES_MAX))
    {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("reading a pin", &file_name, e)),
    };
    let damaged = |what: String| {
        let text = format!("not a pin ({what}); pruning stops until it is removed");
        Error::corrupt(&file_name, 0, text)
    };
    let Stored { pin, crc } = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    match crc.filter(|crc| *crc != pin.crc()) {
        Some(crc) => Err(damaged(format!("checksum: expected {crc:08x}, found {:08x}", pin.crc()))),
        None => Ok(Some(pin)),
    }
}

pub(crate) fn remove(storage: &dyn Storage, name: &str) -> Result<()> {
    let file_name = names::pin(name);
    storage.remove(&file_name).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!("no pin {name} in this log")),
        _ => Error::io("removing a pin", &file_name, e),
    })?;
    storage::sync_names(storage).map_err(|e| Error::io("flushing the log's directory", file_name, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Memory;

    #[test]
    fn a_pin_without_a_checksum_is_one_of_an_earlier_version() {
        let storage = Memory::new();
        storage.set_content("pin.old", br#"{"from":3,"owner":"x","expires_us":9}  "#.to_vec());
        let old = Pin { from: Sequence::new(3), owner: "x".into(), expires_us: 9 };
        assert_eq!(read(&storage, "old").unwrap(), Some(old.clone()));
        write(&storage, "old", &old).unwrap();
        assert_eq!(read(&storage, "old").unwrap(), Some(old));
        let mut text = String::from_utf8(storage.content("pin.old").unwrap()).unwrap();
        assert!(text.contains("\"crc\":"), "{text}");
        text = text.replace("\"from\":3", "\"from\":7");
        storage.set_content("pin.old", text.into_bytes());
        let refused = read(&storage, "old").unwrap_err();
        assert!(refused.to_string().contains("checksum"), "{refused}");
    }
}
