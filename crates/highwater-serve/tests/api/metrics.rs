//! What Prometheus is told. That it understands all of it is tested with the real one: `monitoring/check`.

use std::collections::BTreeMap;

use crate::site::Site;

/// Each family's type, and each sample's family.
fn families(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.map(|line| line.split_once(' ').unwrap()).collect()
}

#[test]
fn names_follow_the_rules_and_values_are_those_of_the_log() {
    let site = Site::new().ready();
    let answer = site.get("/metrics").is(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let families = families(&answer.body);
    for (name, kind) in &families {
        assert!(name.starts_with("highwater_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name} is a {kind}");
        assert_eq!(answer.body.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
    }
    let value = |sample: &str| {
        let line = answer
            .body
            .lines()
            .find(|line| line.starts_with(sample))
            .unwrap_or_else(|| panic!("no {sample}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("highwater_log_readable{"), 1.0);
    assert_eq!(value("highwater_checkpoints_total{"), 23.0);
    assert_eq!(value("highwater_records_total{"), 22.0);
    assert_eq!(value("highwater_writer_up{"), 0.0);
    assert_eq!(value("highwater_sync_last_records{"), 20.0);
    assert_eq!(value("highwater_consumer_lag_checkpoints{"), 18.0);
    assert!(value("highwater_consumer_lag_seconds{") > 0.0);
    assert!(value("highwater_log_size_bytes{") >= value("highwater_reclaimable_bytes{"));
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("{log=\"/"), "{line}");
    }
}
