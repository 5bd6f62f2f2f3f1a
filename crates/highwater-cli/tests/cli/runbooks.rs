//! Every runbook, run as a person would who pastes it into a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helpers::HIGHWATER;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks")
}

/// The blocks of a page that are for a shell, in order.
fn script(page: &str) -> String {
    let text = std::fs::read_to_string(pages().join(page)).unwrap();
    let mut script = String::new();
    let mut is_inside = false;
    for line in text.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            line if is_inside => script.extend([line, "\n"]),
            _ => script.push('\n'), // so that the shell's line numbers are the page's
        }
    }
    assert!(!is_inside && script.contains("highwater"), "{page}");
    script
}

/// The pipeline to practise on, and then the page, in an empty directory. The first command that fails ends it.
#[track_caller]
fn run(page: &str) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let setup = write("setup.sh", &script("README.md"));
    let page_script = write(page, &script(page));
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(HIGHWATER, bin.join("highwater")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let shell = format!("set -euo pipefail; . {}; set -x; . {}", setup.display(), page_script.display());
    let ran =
        Command::new("bash").args(["-c", &shell]).current_dir(&place).env("PATH", path).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{page} ended with {}\n{out}\n{err}", ran.status);
}

/// A page that nobody runs is no runbook.
#[test]
fn every_page_is_run() {
    let this = include_str!("runbooks.rs");
    let index = std::fs::read_to_string(pages().join("README.md")).unwrap();
    for entry in std::fs::read_dir(pages()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(this.contains(&format!("run(\"{name}\")")), "{name} is not run");
            assert!(index.contains(&format!("({name})")), "{name} is not in the index");
        }
    }
}

/// `command || true` is well whatever comes. A failure that belongs to the event is asked for by its code, and has to come.
#[test]
fn no_page_hides_a_failure() {
    for entry in std::fs::read_dir(pages()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for line in script(&name).lines().filter(|line| line.contains("||")) {
            let (_, then) =
                line.split_once(" && exit 1 || test $? = ").unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(then.trim().parse::<u8>().is_ok(), "{name}: {line}");
        }
    }
}

#[test]
fn stuck() {
    run("stuck.md");
}

#[test]
fn damaged() {
    run("damaged.md");
}

#[test]
fn disk_full() {
    run("disk-full.md");
}

#[test]
fn bad_cursor() {
    run("bad-cursor.md");
}

#[test]
fn backfill() {
    run("backfill.md");
}

#[test]
fn schema_change() {
    run("schema-change.md");
}

#[test]
fn moved() {
    run("move.md");
}
