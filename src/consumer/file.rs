//! What the device holds of a consumer's position, past the page cache.

use std::io;

use crate::format::consumer::{CONSUMER_FILE, ConsumerState};
use crate::storage::StorageFile;

/// The newest position that no power cut takes back; `None` where that can't be known. A flush that failed leaves pages
/// that look clean and are not on the device, and a second flush that succeeds proves nothing.
pub(crate) fn on_device(file: &dyn StorageFile) -> io::Result<Option<ConsumerState>> {
    let mut bytes = vec![0; CONSUMER_FILE];
    Ok(file.read_device(&mut bytes, 0)?.and_then(|n| ConsumerState::newest(&bytes[..n])))
}
