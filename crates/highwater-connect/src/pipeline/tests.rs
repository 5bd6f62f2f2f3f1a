use std::time::Duration;

use highwater::Start;

use super::*;

const SHOP: &str = r#"
version = 1
name = "shop"
log = "shop.hw"
hash_key = "pepper"

[source]
type = "airbyte"
command = ["source-shop"]
[source.config]
host = "db"
port = 5432
password = "${env:HIGHWATER_TEST_UNSET}"

[[streams]]
name = "orders"
namespace = ""
sync_mode = "incremental"
cursor = ["updated_at"]
primary_key = ["id", ["a", "b"]]
exclude = ["card"]
hash = ["email"]

[retry]
attempts_without_progress = 2
backoff = { initial = "1s", factor = 2, max = "1m", jitter = false }

[destinations.lake]
type = "jsonl"
path = "lake"
batch = { max_size = "1MiB", max_age = "250ms" }
start = "now"
retry = { attempts_without_progress = 9 }
"#;

fn error(text: &str) -> String {
    Pipeline::parse(text, Path::new("/base")).unwrap_err().to_string()
}

#[test]
fn a_file_is_read_with_its_parts_when_they_are_needed() {
    let shop = Pipeline::parse(SHOP, Path::new("/base")).unwrap();
    assert_eq!(
        (shop.log.to_str(), shop.work.to_str()),
        (Some("/base/shop.hw"), Some("/base/shop.hw.connect"))
    );
    let streams = shop.streams().unwrap();
    assert_eq!(streams[0].name.namespace.as_deref(), Some(""));
    assert_eq!(
        streams[0].primary_key.as_deref(),
        Some(&[vec!["id".into()], vec!["a".into(), "b".into()]][..])
    );
    let (delivery, mut section) = shop.destination("lake").unwrap();
    assert_eq!((delivery.start, delivery.batch.max_bytes), (Start::Now, 1 << 20));
    assert_eq!(delivery.batch.max_age, Duration::from_millis(250));
    assert_eq!(delivery.retry.attempts_without_progress, 9);
    assert_eq!(delivery.retry.max, Duration::from_secs(60));
    assert_eq!(section.needed_text("path").unwrap(), "lake");
    // The variable has no value: only who needs the source is told.
    let mut source = shop.source();
    assert!(source.json("config").unwrap_err().to_string().contains("HIGHWATER_TEST_UNSET"));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_eq!(error("x = "), "line 1: string values must be quoted, expected literal string");
    assert_eq!(error("version = 2"), "version: 2 is not known; this is 1");
    assert_eq!(error(&SHOP.replace("[retry]", "[retrie]")), "retrie: unknown key; did you mean retry?");
    assert_eq!(
        error(&SHOP.replace("factor", "faktor")),
        "retry.backoff.faktor: unknown key; did you mean factor?"
    );
    let shop = Pipeline::parse(&SHOP.replace("exclude", "exlude"), Path::new("/")).unwrap();
    let wrong = shop.streams().unwrap_err().to_string();
    assert_eq!(wrong, "streams[0].exlude: unknown key; did you mean exclude?");
    assert_eq!(
        shop.destination("lakes").unwrap_err().to_string(),
        "there is no destination lakes; did you mean lake?"
    );
}

#[test]
fn no_checkpoint_is_meant_to_fill_the_cap() {
    let merged = |text: &str| {
        let pipeline = Pipeline::parse(&format!("{SHOP}\n{text}"), Path::new("/base")).unwrap();
        (pipeline.checkpoint.merge_max, pipeline.checkpoint.every_bytes)
    };
    assert_eq!(merged(""), (64 << 20, 16 << 20));
    assert_eq!(merged("[storage]\nmax_size = '8MiB'"), (1 << 20, 1 << 20));
    let named = "[storage]\nmax_size = '8MiB'\n[checkpoint]\nmerge_max = '4MiB'\nevery = { size = '4KiB' }";
    assert_eq!(merged(named), (1 << 20, 4 << 10));
}

#[test]
fn a_secret_is_not_in_what_a_pipeline_shows() {
    let shop = Pipeline::parse(SHOP, Path::new("/base")).unwrap();
    assert_eq!(shop.hash_key().unwrap().as_deref(), Some("pepper"));
    assert_eq!(shop.secrets().hide("the pepper"), "the ***");
}

#[test]
fn where_metrics_go_is_read_when_a_run_needs_it() {
    let with =
        |text: &str| Pipeline::parse(&format!("{SHOP}\n[metrics]\n{text}"), Path::new("/base")).unwrap();
    let metrics = with("listen = '127.0.0.1:9464'\ntextfile = 'shop.prom'").metrics().unwrap();
    assert_eq!(metrics.listen.map(|address| address.port()), Some(9464));
    assert_eq!(metrics.textfile.as_deref(), Some(Path::new("/base/shop.prom")));
    let wrong = |text| with(text).metrics().unwrap_err().to_string();
    assert!(wrong("listen = 'here'").contains("metrics.listen: \"here\" is no address"));
    assert!(wrong("lisen = 'x'").contains("metrics.lisen: unknown key; did you mean listen?"));
    assert!(wrong("token = '${env:HIGHWATER_TEST_UNSET}'").contains("HIGHWATER_TEST_UNSET"));
    assert_eq!(with("").metrics().unwrap(), Metrics::default());
}

#[test]
fn no_command_of_a_pipeline_takes_a_secret() {
    let refused = |part: &str, section: Section<'_>| {
        let refused = crate::airbyte::Settings::read(section).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{part}: ${{env:T}} would stand")), "{refused}");
    };
    let text = "version = 1\nname = 'x'\nlog = 'x'\n[source]\ncommand = ['s']\narguments = ['${env:T}']\n\
                [destinations.d]\ncommand = ['d', '${env:T}']\n[alerts]\ncommand = ['a', '${env:T}']";
    let shop = Pipeline::parse(text, Path::new("/base")).unwrap();
    refused("source.arguments", shop.source());
    refused("destinations.d.command", shop.destination("d").unwrap().1);
    assert!(shop.alerts().unwrap_err().to_string().starts_with("alerts.command: ${env:T} would stand"));
}

#[test]
fn two_destinations_can_not_have_one_directory() {
    let with = |kind: &str, path: &str| {
        let text = format!("{SHOP}\n[destinations.twin]\ntype = '{kind}'\npath = '{path}'");
        Pipeline::parse(&text, Path::new("/base")).map_err(|failure| failure.to_string())
    };
    for (kind, path) in [("jsonl", "lake"), ("parquet", "./lake/"), ("jsonl", "/base/lake")] {
        let error = with(kind, path).unwrap_err();
        assert!(
            error.starts_with("destinations.twin.path: destination lake writes to /base/lake"),
            "{error}"
        );
    }
    with("jsonl", "lake2").unwrap();
    with("sqlite", "lake").unwrap();
}

#[test]
fn a_secret_that_is_quoted_in_an_error_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    crate::files::write_private(&dir.path().join("password"), b"hunter2secret").unwrap();
    let text = SHOP.replace("log = \"shop.hw\"", "log = \"shop.hw\"\nresume = \"${file:password}\"");
    let error = Pipeline::parse(&text, dir.path()).unwrap_err().to_string();
    assert_eq!(error, "resume: \"***\" is none of soft, hard");
}
