//! What sources say when they are asked, before anything is read.

use super::place::Place;

#[test]
fn a_connector_that_quotes_a_secret_is_not_quoted() {
    let place = Place::new("{ a = 5 }", "quotes = true\npassword = '${file:password}'");
    place.secret_file("password", "hunter2secret\n");
    let asked = [
        place.run("discover", &[]).exits(75),
        place.act("schema", "diff", &[]).exits(75),
        place.act("schema", "accept", &["--reason", "as agreed", "--yes"]).exits(75),
        place.run("run", &[]).exits(75),
    ];
    for ran in asked {
        ran.says("nobody has the password ***").does_not_say("hunter2secret");
    }
    // Also where the file itself is wrong.
    place.edit(|text| text.replace("log = 'pipe.hw'", "log = 'pipe.hw'\nresume = '${file:password}'"));
    place.run("run", &[]).exits(2).says("\"***\" is none of soft, hard");
}
