//! A log that is too damaged to be opened: there is an answer all the same, and a better one when it can be read again.

use std::time::{Duration, Instant};

use crate::site::{SEGMENT, Site};

#[test]
fn it_is_told_what_is_wrong_and_what_to_run_next() {
    let site = Site::unreadable();
    let refused = site.get("/api/overview").is(500).json();
    let log = site.dir.path().display().to_string();
    assert_eq!(refused["error"]["kind"], "corrupt", "{refused}");
    assert!(refused["error"]["text"].as_str().unwrap().contains(SEGMENT), "{refused}");
    let next = format!("cp -a {log} {log}.copy && highwater verify {log}");
    assert_eq!(refused["error"]["next"], next.as_str());
    assert!(site.get("/").is(200).body.contains("verdict"));
    assert_eq!(site.get("/api/streams").is(500).json()["error"]["kind"], "corrupt");
}

#[test]
fn prometheus_is_told() {
    let site = Site::unreadable();
    let told = site.get("/metrics").is(200).body;
    let has =
        |start: &str, end: &str| told.lines().any(|line| line.starts_with(start) && line.ends_with(end));
    assert!(has("highwater_log_readable{", " 0"), "{told}");
    assert!(has("highwater_log_size_bytes{", "") && !has("highwater_log_size_bytes{", " 0"), "{told}");
    assert!(has("highwater_disk_free_bytes{", ""), "{told}");
    assert!(!told.contains("highwater_checkpoints_total"), "{told}");
}

/// As when a backup is put in its place.
#[test]
fn it_is_shown_again_once_it_can_be_read() {
    let (whole, site) = (Site::new(), Site::unreadable());
    site.get("/api/overview").is(500);
    for entry in std::fs::read_dir(whole.dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), site.dir.path().join(entry.file_name())).unwrap();
    }
    let begun = Instant::now();
    loop {
        let answer = site.get("/api/overview").is(200).json();
        if answer["reading"]["done"] == true {
            assert_eq!(answer["verdict"]["level"], "well", "{answer:#}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the history is not read");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(site.get("/metrics").is(200).body.contains("highwater_checkpoints_total"));
}

/// What is wrong with one consumer's file keeps nobody from seeing the rest.
#[test]
fn a_damaged_consumer_is_named_beside_everything_else() {
    let site = Site::new().ready();
    let name = std::fs::read_dir(site.dir.path()).unwrap().find_map(|entry| {
        entry.unwrap().file_name().into_string().ok()?.strip_prefix("consumer.").map(str::to_owned)
    });
    let name = name.unwrap();
    std::fs::write(site.dir.path().join(format!("consumer.{name}")), b"").unwrap();
    let answer = site.get("/api/overview").is(200).json();
    let consumers = answer["consumers"].as_array().unwrap();
    let damaged = consumers.iter().find(|consumer| consumer["name"] == name.as_str()).unwrap();
    assert!(damaged["damage"].as_str().unwrap().contains("no slot"), "{answer:#}");
    let reasons = answer["verdict"]["reasons"].as_array().unwrap();
    let told = reasons.iter().find(|reason| reason["text"].as_str().unwrap().contains("can't be read"));
    let next = told.unwrap()["next"].as_str().unwrap();
    assert!(next.starts_with("highwater consumer seek ") && next.contains(&name), "{answer:#}");
    site.get("/api/space").is(200);
    site.get("/api/streams").is(200);
    site.get("/metrics").is(200);
}
