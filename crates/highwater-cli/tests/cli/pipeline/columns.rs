//! Columns, and secrets, that are named where they would do no good.

use super::place::Place;

/// Nothing of a record has reached the disk.
#[track_caller]
fn holds_nothing(place: &Place) {
    for file in place.files_below("") {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("4111-") && !text.contains("@example.com"), "{}", file.display());
    }
}

#[test]
fn a_column_that_the_source_lacks_is_refused_before_anything_is_read() {
    for (key, name, near) in
        [("exclude", "crad", "card"), ("hash", "emial", "email"), ("select", "crad", "card")]
    {
        let place = Place::new("{}", "");
        let streams = format!("[[streams]]\nname = 'a'\n{key} = ['id', '{name}']\n");
        let streams = if key == "select" { streams } else { streams.replace("'id', ", "") };
        place.write_file("{ a = 5 }", "page = 5", &streams);
        let expected = format!(
            "source: stream a: {key}: the source's schema has no column {name}; did you mean {near}?"
        );
        for command in ["check", "run"] {
            place.run(command, &[]).exits(9).says(&expected);
        }
        assert!(place.rows("a").is_empty());
        holds_nothing(&place);
        // Who says so is believed.
        place.edit(|text| text.replace("name = 'a'\n", "name = 'a'\nallow_undeclared = true\n"));
        place.run("check", &[]).exits(0);
        place.run("run", &[]).exits(0);
        assert_eq!(place.rows("a").len(), 5);
    }
}

#[test]
fn a_secret_that_others_could_read_is_refused() {
    let place = Place::new("{ a = 5 }", "page = 5\npassword = '${file:password}'");
    place.file("password", "hunter2secret\n");
    for command in ["check", "run"] {
        place.run(command, &[]).exits(2).says("config.password: the secret").says("chmod 600");
    }
    place.secret_file("password", "hunter2secret\n");
    place.run("check", &[]).exits(0);
    let with = |arguments: &str| {
        place.edit(|text| {
            text.replace("silence_timeout", &format!("arguments = [{arguments}]\nsilence_timeout"))
        });
    };
    with("'--token', '${file:password}'");
    for command in ["check", "run"] {
        let ran = place.run(command, &[]).exits(2);
        ran.says("source.arguments: ${file:password} would stand in the arguments")
            .does_not_say("hunter2secret");
    }
    holds_nothing(&place);
}
