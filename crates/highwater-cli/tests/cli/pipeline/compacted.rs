//! Compacting a pipeline's log whose streams were read again in the place of what was there: who begins afterwards holds exactly
//! what the others hold, and each row is of the generation that it is of there.

use super::place::Place;

const WHY: &[&str] = &["--reason", "a test", "--by", "ops", "--yes"];

/// One that writes by key, and one that shows what is whole.
const BOTH: [&str; 2] = ["upsert", "overwrite"];

/// A stream with a key and one without; the rest of the file says how they are read.
fn write(place: &Place, streams: &str, config: &str, read: &str, destinations: &[&str]) {
    let section = |prefix: &&str| {
        BOTH.map(|mode| {
            let deletes = if mode == "upsert" { "deletes = 'hard'\n" } else { "" };
            let path = format!("path = '{prefix}_{mode}.db'\nmode = '{mode}'");
            format!("[destinations.{prefix}_{mode}]\ntype = 'sqlite'\n{path}\n{deletes}")
        })
    };
    let sections: String = destinations.iter().flat_map(section).collect();
    let more = format!("[storage]\nsegment_size = '64KiB'\n{sections}{read}");
    place.write_file(streams, &format!("page = 100\nkeyless = ['events']\n{config}"), &more);
}

fn compact(place: &Place, options: &[&str]) -> serde_json::Value {
    let all = [&["--min-count", "1", "--min-age", "0s", "--json"], options].concat();
    place.run("compact", &all).exits(0).json()
}

/// Records that are left of each stream.
fn left(compacted: &serde_json::Value) -> Vec<(&str, u64)> {
    let streams = compacted["streams"].as_array().unwrap();
    let sources = streams.iter().filter(|one| one["name"]["namespace"].is_null());
    sources
        .map(|one| (one["name"]["name"].as_str().unwrap(), one["records_after"].as_u64().unwrap()))
        .collect()
}

/// All rows of a stream with the generation of each.
fn rows(place: &Place, destination: &str, stream: &str) -> Vec<String> {
    let sql = format!("select id, email, card, _highwater_generation from {stream} order by 1, 4");
    place.sql(&format!("{destination}.db"), &sql)
}

fn deliver(place: &Place, prefix: &str) {
    for mode in BOTH {
        place.run("deliver", &["--only", &format!("{prefix}_{mode}"), "--until-end"]).exits(0);
    }
}

/// Both destinations hold the same as both others.
#[track_caller]
fn are_alike(place: &Place, one: &str, other: &str) {
    for (mode, stream) in BOTH.into_iter().flat_map(|mode| [(mode, "users"), (mode, "events")]) {
        let [one, other] = [one, other].map(|prefix| rows(place, &format!("{prefix}_{mode}"), stream));
        assert!(one == other, "{mode} {stream}: {} rows and {}", one.len(), other.len());
    }
}

#[track_caller]
fn hold(place: &Place, prefix: &str, users: (u64, u64), events: (u64, u64)) {
    for (stream, (count, generation)) in [("users", users), ("events", events)] {
        for mode in BOTH {
            let found = place.sql(
                &format!("{prefix}_{mode}.db"),
                &format!(
                    "select count(*), min(_highwater_generation), max(_highwater_generation) from {stream}"
                ),
            );
            assert_eq!(found, [format!("{count}|{generation}|{generation}")], "{prefix} {mode} {stream}");
        }
    }
}

const MORE: &str = "{ users = 3000, events = 2000 }";
const LESS: &str = "{ users = 1800, events = 1100 }";
const ANEW: &str = "[[streams]]\nname = 'users'\nsync_mode = 'full_refresh'\n[[streams]]\nname = 'events'\nsync_mode = 'full_refresh'\n";

fn refresh(place: &Place) {
    for stream in ["users", "events"] {
        let options = [&["--stream", stream, "--truncate"], WHY].concat();
        place.run_on(&place.path("pipe.hw"), "refresh", &options).exits(0);
    }
}

#[test]
fn what_a_full_refresh_has_replaced_does_not_come_back() {
    let place = Place::new("{}", "");
    write(&place, MORE, "", ANEW, &["old"]);
    place.run("run", &[]).exits(0);
    write(&place, LESS, "", ANEW, &["old"]);
    place.run("run", &[]).exits(0);
    hold(&place, "old", (1800, 2), (1100, 2));
    // Some of both streams may be in the segment that is being written, and stays as it is.
    let plan = compact(&place, &["--dry-run"]);
    let compacted = compact(&place, &[]);
    assert_eq!((&plan["first"], &plan["streams"]), (&compacted["first"], &compacted["streams"]));
    assert!(left(&compacted).iter().all(|(name, left)| *left <= if *name == "users" { 1800 } else { 1100 }));
    assert!(left(&compacted).len() == 2, "{compacted}");
    write(&place, LESS, "", ANEW, &["old", "new"]);
    deliver(&place, "new");
    hold(&place, "new", (1800, 2), (1100, 2));
    are_alike(&place, "old", "new");
    place.run("verify", &[]).exits(0);
}

#[test]
fn a_refresh_is_compacted_before_it_began_or_when_it_is_whole() {
    let place = Place::new("{}", "");
    write(&place, MORE, "", "", &["old"]);
    place.run("run", &[]).exits(0);
    refresh(&place);
    // The source dies in the midst of it.
    write(&place, LESS, "fail_after = 12\nkind = 'config_error'", "", &["old"]);
    place.run("run", &[]).exits(9);
    deliver(&place, "old");
    let half = compact(&place, &[]);
    assert_eq!(half["done"], true, "{half}");
    let held = half["held_by"].as_str().unwrap();
    assert!(held.contains("new rows of stream ") && held.ends_with(", which are not whole"), "{held}");
    write(&place, LESS, "", "", &["old", "half"]);
    deliver(&place, "half");
    are_alike(&place, "old", "half");
    assert_eq!(
        rows(&place, "half_overwrite", "users").len(),
        3000,
        "nothing goes before the new ones are whole"
    );
    place.run("run", &[]).exits(0);
    hold(&place, "old", (1800, 1), (1100, 1));
    are_alike(&place, "old", "half");
    let whole = compact(&place, &[]);
    assert!(whole["done"] == true && whole["first"].as_u64() > half["first"].as_u64(), "{whole}");
    write(&place, LESS, "", "", &["old", "half", "new"]);
    deliver(&place, "new");
    hold(&place, "new", (1800, 1), (1100, 1));
    are_alike(&place, "old", "new");
    // And they go on alike.
    write(&place, "{ users = 1900, events = 1200 }", "", "", &["old", "half", "new"]);
    place.run("run", &[]).exits(0);
    hold(&place, "new", (1900, 1), (1200, 1));
    are_alike(&place, "old", "new");
}
