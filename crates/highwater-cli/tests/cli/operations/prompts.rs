//! Questions on a terminal: what is answered counts, and nothing but "y" and "yes" is a yes.

use std::process::Command;

use super::*;

/// Runs a command on a terminal of its own, and answers its question.
const ON_A_TERMINAL: &str = r"
import os, pty, sys
answer, command = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
shown = b''
while b'[y/N]' not in shown:
    shown += os.read(terminal, 4096)
os.write(terminal, answer.encode() + b'\n')
try:
    while piece := os.read(terminal, 4096):
        shown += piece
except OSError:
    pass
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

fn answer(log: &Log, answer: &str, command: &str, options: &[&str]) -> Ran {
    let mut run = Command::new("python3");
    run.args(["-c", ON_A_TERMINAL, answer, HIGHWATER]).args(command.split(' ')).arg(&log.path).args(options);
    Ran::of(&run.output().unwrap())
}

#[test]
fn nothing_is_changed_without_a_yes() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    let rewind = by_hand(&["--to", "1"]);
    let (reset, clear) = (by_hand(&["--stream", "a"]), by_hand(&["--stream", "b"]));
    let commands: &[(&str, &[&str])] = &[
        ("rewind", &rewind),
        ("reset", &reset),
        ("state clear", &clear),
        ("refresh", &reset),
        ("consumer seek", &["lake", "--to", "now"]),
        ("consumer drop", &["lake"]),
    ];
    for (command, options) in commands {
        for no in ["", "n", "no", "yess", "ja", "0"] {
            let refused = answer(&log, no, command, options).exits(1);
            assert!(refused.out.contains("nothing was changed"), "{command}, {no:?}: {refused:?}");
        }
    }
    assert_eq!(sequence(&log), 3);
    let listed = log.run("consumer list", &["--json"]).exits(0).json();
    assert_eq!(listed["consumers"][0]["acknowledged"], 0);
}

#[test]
fn segments_stay_until_somebody_says_yes() {
    let log = Log::new();
    let big = |id: u64| record("a", &format!(r#"{{"id":{id},"x":"{}"}}"#, "x".repeat(20_000)));
    let lines: Vec<String> = (0..20).flat_map(|id| [big(id), state("a", "1")]).collect();
    log.ingest_with(&lines, &["--segment-bytes", "64KiB"]).exits(0);
    let refused = answer(&log, "n", "prune", &[]).exits(1);
    assert!(
        refused.out.contains("would remove") && refused.out.contains("nothing was changed"),
        "{refused:?}"
    );
    assert_eq!(log.run("cat", &[]).exits(0).out.lines().count(), 20);
    let done = answer(&log, "y", "prune", &[]).exits(0);
    assert!(done.out.contains("removed"), "{done:?}");
    assert!(log.run("cat", &[]).exits(0).out.lines().count() < 10);
    // There is nothing to ask then.
    log.run("prune", &[])
        .exits(0)
        .prints("nothing can be removed; checkpoint 20 and later are held by the newest checkpoint\n");
}

#[test]
fn a_yes_is_enough() {
    let log = two_streams();
    log.run("consumer add", &["lake"]).exits(0);
    answer(&log, "y", "rewind", &by_hand(&["--to", "1"])).exits(0);
    assert_eq!(sequence(&log), 4);
    answer(&log, " YES ", "reset", &by_hand(&["--stream", "a"])).exits(0);
    assert_eq!(sequence(&log), 5);
    answer(&log, "Y", "consumer drop", &["lake"]).exits(0);
    assert_eq!(log.run("consumer list", &["--json"]).exits(0).json()["consumers"], serde_json::json!([]));
}
