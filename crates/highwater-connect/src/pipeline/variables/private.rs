//! Whether a file is fit for a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What others than the file's owner may do with it.
const OF_OTHERS: u32 = 0o077;
/// The same of a file of root's, which a group may read: so a container engine hands a secret to a process that is not root.
const OF_OTHERS_THAN_ROOT: u32 = 0o037;
const ROOT: u32 = 0;

/// Fails, with what is wrong, if others can read or write the file. A pipe or a terminal has no content that stays.
pub(super) fn check(file: &Metadata) -> Result<(), String> {
    let mode = file.mode() & 0o777;
    if !file.is_file() || is_private(file.uid(), mode) {
        return Ok(());
    }
    Err(format!("can be read or written by others (mode {mode:03o}): chmod 600 makes it one"))
}

fn is_private(owner: u32, mode: u32) -> bool {
    mode & if owner == ROOT { OF_OTHERS_THAN_ROOT } else { OF_OTHERS } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roots_may_be_read_by_a_group() {
        for mode in [0o600, 0o400, 0o700] {
            assert!(is_private(ROOT, mode) && is_private(1000, mode), "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o620, 0o602, 0o601] {
            assert!(!is_private(ROOT, mode) && !is_private(1000, mode), "{mode:o}");
        }
        assert!(is_private(ROOT, 0o440) && !is_private(1000, 0o440));
    }
}
