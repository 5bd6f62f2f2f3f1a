//! A log and its copy lie apart: a copy inside of what it is copied from would go with it, and be copied itself.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where one of two directories is the other, or lies in it, whatever
/// symbolic links lead there. They need not be there yet. For who copies more than the log itself; [`take`](super::take) and
/// [`restore`](super::restore) ask by themselves.
pub fn check_apart(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let (real_from, real_to) = (real(from)?, real(to)?);
    let what = match (real_to.starts_with(&real_from), real_from.starts_with(&real_to)) {
        (true, true) => "is the same directory as",
        (true, false) => "lies in",
        (false, true) => "has in it",
        (false, false) => return Ok(()),
    };
    let (from, to) = (from.display(), to.display());
    Err(Error::invalid(format!("{to} {what} {from}: a copy has to lie apart from what it is a copy of")))
}

/// Where a path leads. Of what is not there yet, the part that is there counts.
fn real(path: &Path) -> Result<PathBuf> {
    let io = |e| Error::io("finding out where it lies", path, e);
    let whole = std::path::absolute(path).map_err(io)?;
    let (mut there, mut missing) = (whole.as_path(), Vec::new());
    loop {
        match std::fs::canonicalize(there) {
            Ok(real) => {
                let path = missing.iter().rev().fold(real, step);
                return Ok(std::fs::canonicalize(&path).unwrap_or(path));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io(e)),
        }
        let (Some(parent), Some(last)) = (there.parent(), there.components().next_back()) else {
            return Ok(whole);
        };
        missing.push(last);
        there = parent;
    }
}

fn step(mut path: PathBuf, component: &Component<'_>) -> PathBuf {
    match component {
        Component::ParentDir => drop(path.pop()),
        other => path.push(other),
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_other_is_refused_wherever_a_link_leads() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("shop.hw/deep")).unwrap();
        std::fs::create_dir_all(at("elsewhere")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("shop.hw"), at("elsewhere/link")).unwrap();
        let refused = |to: &str| check_apart(at("shop.hw"), at(to)).map_err(|error| error.to_string());
        for to in
            ["shop.hw", "shop.hw/in", "shop.hw/deep/er/still", "elsewhere/../shop.hw/new", "no/../shop.hw/x"]
        {
            let text = refused(to).unwrap_err();
            assert!(text.contains("apart") && text.contains("shop.hw"), "{text}");
        }
        if cfg!(unix) {
            refused("elsewhere/link").unwrap_err();
            refused("elsewhere/link/new").unwrap_err();
        }
        assert!(refused(".").unwrap_err().contains("has in it"));
        for to in ["shop.hw2", "elsewhere", "elsewhere/new", "shop.hw.connect", "shop.hw/../new"] {
            refused(to).unwrap();
        }
    }
}
