//! `highwater check`.

use super::place::Place;

const MORE: &str = "[destinations.base]\ntype = 'sqlite'\npath = 'base.db'\n\
                    [destinations.warehouse]\ntype = 'postgres'\nurl = 'postgresql://u:hunter2secret@127.0.0.1:1/db'\n";

#[test]
fn all_parts_are_asked_whatever_the_others_say() {
    let place = Place::new("{}", "");
    place.write_file("{ a = 5 }", "page = 5\npassword = 'wrong'", MORE);
    // A file where the directory should be.
    place.file("lake", "");
    let ran = place.run("check", &[]).exits(9);
    for part in [
        "source: it refuses its configuration: password is wrong",
        "destination lake: ",
        "destination warehouse: ",
    ] {
        assert!(ran.err.contains(&format!("highwater: {part}")), "{part}: {}", ran.err);
    }
    ran.says("destination base: well, and holds nothing yet").does_not_say("hunter2secret");
    let told = place.run("check", &["--json"]).exits(9).json();
    assert_eq!((&told["pipeline"], &told["well"]), (&"pipe".into(), &false.into()));
    let parts = told["parts"].as_array().unwrap();
    let well: Vec<_> =
        parts.iter().map(|part| (part["part"].as_str().unwrap(), part["well"] == true)).collect();
    let expected = [
        ("file", true),
        ("source", false),
        ("destination", true),
        ("destination", false),
        ("destination", false),
    ];
    assert_eq!(well, expected, "{told}");
    assert_eq!((&parts[4]["name"], &parts[4]["kind"]), (&"warehouse".into(), &"transient".into()));

    place.write_file("{ a = 5 }", "page = 5", MORE);
    place.run("check", &[]).exits(10).says("source: works with its configuration, and has 1 stream to read");
    // What is wrong in the file comes before all that was asked.
    place.edit(|text| {
        text.replace("'base.db'", "'${env:HIGHWATER_NO_SUCH}'") + "[alerts]\non = ['run_failed']\n"
    });
    let ran = place.run("check", &[]).exits(2);
    ran.says("destinations.base.path: ").says("alerts.command: is missing").says("destination lake: ");
    place.run("check", &["--offline"]).exits(2).does_not_say("destination lake");
}

#[test]
fn what_a_destination_holds_is_told_and_compared_with_the_log() {
    let place = Place::new("{ a = 5 }", "page = 5");
    let told = place.run("check", &["--offline", "--json"]).exits(0).json();
    assert!(
        told["well"] == true && told["parts"].as_array().unwrap().iter().all(|part| part["asked"] == false)
    );
    place.run("run", &[]).exits(0);
    place.run("check", &[]).exits(0).says("destination lake: holds the log up to checkpoint");
    let told = place.run("check", &["--json"]).exits(0).json();
    assert!(told["parts"][1]["streams"] == 1 && told["parts"][2]["holds"].as_u64() > Some(0), "{told}");
    std::fs::remove_dir_all(place.path("pipe.hw")).unwrap();
    place.run("run", &[]).exits(8);
    place.run("check", &[]).exits(8).says("destination lake: it holds something else than this log");
}

#[test]
fn a_part_is_named_once() {
    let place = Place::new("{ a = 5 }", "page = 5");
    place.edit(|text| text.replace("command = ['python3',", "command = ['sh', '-c', 'exit 3',"));
    for (command, code) in [("check", 9), ("run", 75), ("discover", 75)] {
        let ran = place.run(command, &[]).exits(code).says("highwater: source: it ended with exit code 3");
        ran.does_not_say("the source: it").does_not_say("source: source");
    }
    place.act("schema", "diff", &[]).exits(75).says("highwater: source: it ended with exit code 3");
}
