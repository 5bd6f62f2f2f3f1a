//! Disks that are full or read-only, each in a mount namespace that ends with the command.

use std::process::Command;

use crate::helpers::*;

/// Runs highwater in a mount namespace of its own, after `setup`. `None` where the system does not allow that.
fn in_namespace(setup: &str, log: &Log, input: &str) -> Option<Ran> {
    let probe = Command::new("unshare").args(["-rm", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no namespaces here");
        return None;
    }
    let script = format!("{setup} && exec \"$0\" ingest \"$1\"");
    let mut command = assert_cmd::Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, HIGHWATER]).arg(&log.path).write_stdin(input);
    Some(Ran::of(&command.output().unwrap()))
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let log = Log::new();
    std::fs::create_dir(&log.path).unwrap();
    let big = |id: u64| record("a", &format!(r#"{{"id":{id},"x":"{}"}}"#, "x".repeat(100_000)));
    let lines: Vec<String> = (0..200).flat_map(|id| [big(id), state("a", &id.to_string())]).collect();
    let Some(ran) = in_namespace("mount -t tmpfs -o size=6m none \"$1\"", &log, &joined(&lines)) else {
        return;
    };
    let ran = ran.exits(7).says("no room").says("prune");
    // It went well for a while, and every echo was of what is kept.
    assert!(ran.out.lines().count() > 5, "{ran:#?}");
}

#[test]
fn a_read_only_directory_is_named() {
    let log = Log::of(&[]);
    let setup = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\"";
    let Some(ran) = in_namespace(setup, &log, "") else { return };
    ran.exits(1).says("log.hw").says("ls -ld");
}
