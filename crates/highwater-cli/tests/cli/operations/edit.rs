//! `state edit`, with editors that are shell commands.

use super::*;

fn edit(log: &Log, editor: &str, options: &[&str]) -> Ran {
    let mut run = assert_cmd::Command::new(HIGHWATER);
    run.args(["state", "edit"]).arg(&log.path).args(by_hand(options));
    run.env("TMPDIR", log.path.parent().unwrap()).env_remove("VISUAL").env("EDITOR", editor);
    Ran::of(&run.output().unwrap())
}

fn left_behind(log: &Log) -> usize {
    let names = std::fs::read_dir(log.path.parent().unwrap()).unwrap();
    names
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("highwater-state"))
        .count()
}

#[test]
fn an_edited_state_is_checked_shown_and_written() {
    let log = two_streams();
    let sed = "sed -i 's/\"cursor\": 2/\"cursor\": 9/'";
    edit(&log, sed, &["--stream", "a"]).exits(2).says("cursor: 2 -> 9").says("--yes").says("is kept in");
    edit(&log, sed, &["--stream", "a", "--dry-run"]).exits(0).says("cursor: 2 -> 9");
    assert_eq!((sequence(&log), left_behind(&log)), (3, 1));
    edit(&log, sed, &["--stream", "a", "--yes"]).exits(0).prints("checkpoint 4: edit a\n");
    log.run("state get", &["--stream", "a"]).exits(0).prints(&format!("[{}]\n", stream_state("a", "9")));
}

#[test]
fn what_is_no_json_or_not_edited_changes_nothing() {
    let log = two_streams();
    edit(&log, "true", &["--stream", "a", "--yes"]).exits(0).says("nothing changes");
    edit(&log, "false", &["--stream", "a", "--yes"]).exits(1).says("ended with");
    edit(&log, "nosuch-editor", &["--stream", "a", "--yes"]).exits(1);
    assert_eq!(left_behind(&log), 0, "nothing was written in them");
    // Nobody sits there to use the usual one.
    edit(&log, "", &["--stream", "a", "--yes"]).exits(2).says("no terminal for vi").says("state set");
    edit(&log, "sed -i 's/}$//'", &["--stream", "a", "--yes"]).exits(1).says("not JSON").says("is kept in");
    edit(&log, "true", &["--stream", "nope", "--yes"]).exits(6);
    assert_eq!(sequence(&log), 3);
}

/// The editor is open for a while; what was decided then must not overwrite what came meanwhile.
#[test]
fn who_commits_while_the_editor_is_open_is_not_overwritten() {
    let log = two_streams();
    let other = format!(
        "sh -c '{HIGHWATER} state merge {} --stream b --reason meanwhile {{}} --dry-run >&2; \
         echo \"[]\" > \"$1\"; {HIGHWATER} state set {} --stream b --format text --reason meanwhile --yes 1 >&2' sh",
        log.path.display(),
        log.path.display()
    );
    edit(&log, &other, &["--stream", "a", "--yes"]).exits(1).says("look again").says("is kept in");
    assert_eq!(sequence(&log), 4);
    log.run("state get", &["--stream", "a"]).exits(0).prints(&format!("[{}]\n", stream_state("a", "2")));
}
