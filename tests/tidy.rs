//! Modules import downward only, and files stay small: what DESIGN.md says of the house holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// From the bottom up; what stands in one line may use each other's neighbours below, never above.
const LEVELS: &[&[&str]] = &[
    &["position", "protection", "sync", "histogram"],
    &["error"],
    &["environment", "finite", "replacement"],
    &["config"],
    &["format"],
    &["storage", "packer"],
    &["segment", "lock", "pin"],
    &["view"],
    &["recovery", "locate"],
    &["salvage"],
    &["journal"],
    &["origin", "streams"],
    &["reader", "states", "commit", "notes"],
    &["consumer", "writer"],
    &["operation"],
    &["pruning"],
    &["compaction"],
    &["growth"],
    &["status", "metrics", "verify", "rewind", "space", "audit"],
    &["log_reader", "background"],
    &["log"],
    &["repair", "backup"],
    &["fuzzing", "testing"],
];

/// Upward by nature: a full log prunes itself; verification reads definitions as the log's reader lists them.
const EXCUSED: &[(&str, &str)] = &[("journal", "pruning"), ("verify", "log_reader")];

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn level(module: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&module))
}

#[test]
fn modules_import_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = BTreeSet::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        if matches!(module.as_str(), "lib" | "key") {
            continue;
        }
        let own = level(&module).unwrap_or_else(|| panic!("module {module} has no level: add it to LEVELS"));
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for used in lines.flat_map(|line| line.split("crate::").skip(1)) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let Some(other) = level(&used) else { continue };
            if used != module && other >= own && !EXCUSED.contains(&(module.as_str(), used.as_str())) {
                wrong.insert(format!("{module} imports {used} ({})", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward imports: {wrong:#?}");
}

#[test]
fn unsafe_code_stays_in_its_two_rooms() {
    let rooms = ["src/storage/map.rs", "src/storage/writeback.rs"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("crates"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let has = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe {"));
        assert!(!has || rooms.iter().any(|room| file.ends_with(room)), "unsafe code in {}", file.display());
    }
}

/// A file that is cut short under a map kills the process: only the lock's text is ever replaced, and nobody maps that.
#[test]
fn nothing_of_ours_shortens_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for dir in std::fs::read_dir(root.join("crates")).unwrap() {
        sources(&dir.unwrap().path().join("src"), &mut files);
    }
    let simulated = ["crates/highwater-sim", "src/testing"]; // files that are none
    files.retain(|file| !simulated.iter().any(|dir| file.starts_with(root.join(dir))));
    let is_test =
        |file: &Path| file.ends_with("tests.rs") || file.parent().is_some_and(|dir| dir.ends_with("tests"));
    files.retain(|file| !is_test(file)); // nobody maps what a test damages
    let shortens = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let calls = [".set_len(", "truncate(true)", "File::create(", "fs::write(", "fs::copy("];
        calls.map(|call| code.matches(call).count()).iter().sum::<usize>()
    };
    let found: Vec<_> =
        files.iter().map(|file| (file, shortens(file))).filter(|(_, calls)| *calls > 0).collect();
    assert_eq!(found, []);
}

#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("crates"), &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines: give each idea a file", file.display());
    }
}
