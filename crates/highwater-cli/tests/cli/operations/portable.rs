//! `export`, `backup`, `restore`, `import`, and states of another log.

use std::path::Path;
use std::process::Command;

use super::*;

fn run(words: &[&str]) -> Ran {
    Ran::of(&Command::new(HIGHWATER).args(words).output().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn records_are_exported_as_lines_and_in_files() {
    let log = two_streams();
    let all = log.run("export", &[]).exits(0);
    let lines: Vec<serde_json::Value> =
        all.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|line| (line["checkpoint"].as_u64(), line["data"]["id"].as_u64())).collect();
    assert_eq!(told, [(Some(1), Some(1)), (Some(2), Some(2)), (Some(3), Some(3))]);
    assert_eq!((&lines[0]["stream"], &lines[0]["op"]), (&"a".into(), &"insert".into()));
    let some = log.run("export", &["--stream", "a", "--from", "2"]).exits(0);
    assert_eq!(some.out.lines().count(), 1);
    assert_eq!(log.run("export", &["--from", "2", "--to", "2"]).exits(0).out.lines().count(), 1);
    let listed = log.run("checkpoints", &["--json"]).exits(0).json();
    let second = listed["checkpoints"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(log.run("export", &["--to", &second]).exits(0).out.lines().count(), 2);
    assert_eq!(log.run("export", &["--from", "2999-01-01"]).exits(0).out, "");
    log.run("export", &["--from", "9"]).exits(6);
    log.run("export", &["--stream", "nope"]).exits(6);
    let out = log.path.with_extension("export");
    let told = log.run("export", &["--out", text(&out), "--json"]).exits(0).json();
    assert_eq!((&told["records"], &told["files"]), (&3.into(), &serde_json::json!(["a.jsonl", "b.jsonl"])));
    assert_eq!(
        std::fs::read_to_string(out.join("b.jsonl")).unwrap(),
        all.out.lines().last().unwrap().to_owned() + "\n"
    );
    log.run("export", &["--out", text(&out)]).exits(1).says("there already");
}

#[test]
fn records_are_exported_as_parquet() {
    let log = two_streams();
    log.run("export", &["--format", "parquet"]).exits(2).says("--out");
    let out = log.path.with_extension("parquet");
    let options = ["--format", "parquet", "--from", "2", "--out", text(&out), "--json"];
    let told = log.run("export", &options).exits(0).json();
    assert_eq!(
        (&told["records"], &told["files"]),
        (&2.into(), &serde_json::json!(["a.parquet", "b.parquet"]))
    );
    for name in ["a.parquet", "b.parquet"] {
        let file = std::fs::read(out.join(name)).unwrap();
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"), "{name}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 2);
    log.run("export", &options).exits(1).says("there already");
}

#[test]
fn a_log_at_work_is_backed_up_and_restored_as_of_any_checkpoint() {
    let log = two_streams();
    let mut running = log.start();
    running.send(&[records("a", [4]), vec![state("a", "4")]].concat());
    running.echo();
    let copy = log.path.with_extension("copy");
    let first = log.run("backup", &[text(&copy)]).exits(0);
    assert!(first.out.starts_with("checkpoints 1 to 4: 1 file copied ("), "{first:?}");
    running.send(&[records("a", [5]), vec![state("a", "5")]].concat());
    running.echo();
    let again = log.run("backup", &[text(&copy), "--json"]).exits(0).json();
    assert_eq!((&again["end"]["sequence"], &again["since"]["sequence"]), (&5.into(), &4.into()));
    assert!(again["copied_bytes"].as_u64().unwrap() < 50_000, "{again}");
    run(&["verify", text(&copy)]).exits(0);
    let audit = run(&["audit", text(&copy)]).exits(0);
    assert!(!audit.out.contains("recovery"), "{audit:?}");
    let then = log.path.with_extension("then");
    run(&["restore", text(&copy), text(&then), "--to", "2"]).exits(2).says("--reason");
    let restored =
        run(&["restore", text(&copy), text(&then), "--to", "2", "--reason", "a test", "--by", "ops"]);
    assert!(restored.exits(0).out.contains("3 later checkpoints"));
    run(&["verify", text(&then)]).exits(0);
    run(&["state", "get", text(&then)]).exits(0).prints(&format!("[{}]\n", stream_state("a", "2")));
    assert!(run(&["audit", text(&then)]).exits(0).out.contains("restore to 2, by ops: a test"));
    run(&["restore", text(&copy), text(&then), "--reason", "a test"]).exits(1).says("a log already");
    run(&["restore", text(&copy), text(&log.path.with_extension("x")), "--to", "9", "--reason", "x"])
        .exits(6);
    run(&["restore", "/nowhere", text(&then), "--reason", "x"]).exits(6);
    log.run("backup", &[text(&then)]).exits(1).says("no backup");
    let other = two_streams();
    other.run("backup", &[text(&copy)]).exits(8).says("it is a backup of log").says("try: highwater info ");
}

#[test]
fn states_of_other_tools_are_taken_over() {
    let log = Log::new();
    let meltano = log.file("meltano.json", r#"{"singer_state": {"bookmarks": {"users": {"id": 7.0}}}}"#);
    let import = |file: &Path, options: &[&str]| {
        let options: Vec<&str> = [text(file)].into_iter().chain(options.iter().copied()).collect();
        log.run("import", &by_hand(&options))
    };
    import(&meltano, &["--from", "meltano", "--dry-run"]).exits(0).says("the global state");
    assert!(!log.path.exists());
    import(&meltano, &["--from", "meltano"]).exits(0).prints("checkpoint 1: import the global state\n");
    let global = log.run("state get", &["--global", "--format", "text"]).exits(0);
    assert_eq!(global.out, "{\"bookmarks\": {\"users\": {\"id\": 7.0}}}\n");
    // A log that has states asks first.
    let airbyte = log.file("airbyte.json", &format!("[{}]", stream_state("users", "41")));
    import(&airbyte, &["--from", "airbyte"]).exits(2).says("--yes");
    import(&airbyte, &["--from", "airbyte", "--yes"]).exits(0).prints("checkpoint 2: import users\n");
    log.run("state get", &[]).exits(0).prints(&format!("[{}]\n", stream_state("users", "41")));
    // What is not understood is refused with its place, and nothing is written.
    import(&meltano, &["--from", "airbyte", "--yes"]).exits(1).says("meltano.json").says("neither a type");
    import(&airbyte, &["--from", "dlt", "--yes"]).exits(1).says("expected an object");
    import(&log.path.with_extension("none"), &["--from", "dlt"]).exits(6);
    assert_eq!(sequence(&log), 2);
    log.run("verify", &[]).exits(0);
    // The source's own key comes with its first records.
    let lines = [records("users", [1]), vec![state("users", "42")]].concat();
    let catalog = log.file("catalog.json", &catalog("users", "id"));
    log.ingest_with(&lines, &["--catalog", text(&catalog), "--allow-key-change"]).exits(0);
}

#[test]
fn a_new_log_goes_on_with_the_states_of_an_old_one() {
    let old = two_streams();
    let new = Log::of(&[records("c", [1]), vec![state("c", "9")]].concat());
    new.run("state copy", &sure(&["--from", text(&old.path), "--register"]))
        .exits(0)
        .prints("checkpoint 2: copy 2 states\n");
    let all = format!("[{},{},{}]\n", stream_state("c", "9"), stream_state("a", "2"), stream_state("b", "3"));
    new.run("state get", &[]).exits(0).prints(&all);
    new.run("verify", &[]).exits(0);
}

#[test]
fn a_log_that_is_not_there_is_made_where_streams_are_to_be_registered() {
    let (old, new) = (two_streams(), Log::new());
    let from = text(&old.path);
    new.run("copy-state", &by_hand(&["--from", from])).exits(6).says("with --register a new log is made");
    new.run("copy-state", &by_hand(&["--from", from, "--register", "--dry-run"])).exits(0);
    assert!(!new.path.exists());
    new.run("copy-state", &by_hand(&["--from", from, "--register"]))
        .exits(0)
        .prints("checkpoint 1: copy 2 states\n");
    let both = format!("[{},{}]\n", stream_state("a", "2"), stream_state("b", "3"));
    new.run("state get", &[]).exits(0).prints(&both);
    // Under another name, which nobody knows yet.
    new.run("state copy", &sure(&["--from", from, "--register", "--stream", "a", "--to-stream", "c"]))
        .exits(0);
    new.run("state get", &["--stream", "c"]).exits(0).prints(&format!("[{}]\n", stream_state("c", "2")));
    new.run("verify", &[]).exits(0);
}

/// What is wrong is said of the log that it is wrong with.
#[test]
fn a_log_to_copy_from_that_is_not_there_is_the_one_that_is_named() {
    let (log, none) = (two_streams(), Log::new());
    let from = text(&none.path);
    let missing = log.run("state copy", &by_hand(&["--from", from])).exits(6);
    missing.says(&format!("highwater ingest {from}")).does_not_say(&format!("ingest {}", text(&log.path)));
    let late = log.run("state copy", &by_hand(&["--at", "99"])).exits(6);
    late.says(&format!("highwater checkpoints {}", text(&log.path)));
}
