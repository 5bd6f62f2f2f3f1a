//! Files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Writes a file that only we may read (mode 0600), durably and at once: whoever looks sees the old content or the new.
/// Blocks for two flushes.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write_whole(path, content, 0o600)
}

/// The same with another mode, which the process's mask narrows.
pub fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let mut file = create(&temporary, mode)?;
    file.write_all(content)?;
    publish(file, &temporary, path)
}

/// A new file; a leftover of that name, which may have another mode, goes.
pub fn create(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Makes a file durable under its final name, in the same directory, at once. Blocks for two flushes.
pub fn publish(file: File, temporary: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Makes a directory that only we may enter (mode 0700), with its parents, unless it is there.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(dir.path().join("config.json.tmp"), "left").unwrap();
        for content in ["{}", "{\"a\":1}"] {
            write_private(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
