//! Every setting that the template has switched off can be switched on.

use std::path::Path;

use highwater_connect::event::Reporter;
use highwater_connect::{Pipeline, Stop, runtime};

use super::TEMPLATE;

/// What stands for the variables of the environment, which a test can't set.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("HASH_KEY", "pepper"),
    ("API_TOKEN", "token-of-api"),
    ("SHOP_PASSWORD", "password"),
    ("HOOK_TOKEN", "token-of-hook"),
    ("WAREHOUSE_URL", "postgresql://user:password@host/database?sslmode=require"),
    ("CRM_TOKEN", "token-of-crm"),
    ("PAGER_TOKEN", "token-of-pager"),
];

/// A setting that is switched off.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '))
}

/// Groups of lines with only such settings, by the numbers of their lines.
fn blocks(lines: &[&str]) -> Vec<std::ops::Range<usize>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    for group in lines.chunk_by(|one, next| setting(one).is_some() == setting(next).is_some()) {
        if setting(group[0]).is_some() {
            blocks.push(at..at + group.len());
        }
        at += group.len();
    }
    blocks
}

/// The lines of the source that is switched on.
fn source(lines: &[&str]) -> std::ops::Range<usize> {
    let start = lines.iter().position(|line| *line == "[source]").unwrap();
    let is_of_source = |line: &str| !line.starts_with('[') || line.starts_with("[source");
    let length = lines[start..].iter().position(|line| !is_of_source(line)).unwrap();
    start..start + length
}

/// The template with these lines switched on, and one more behind the first of them.
fn with(lines: &[&str], block: &std::ops::Range<usize>, one_more: &str) -> String {
    let is_other_source = lines[block.start] == "#[source]";
    let replaced = if is_other_source { source(lines) } else { 0..0 };
    let line = |(n, line): (usize, &&str)| match setting(line) {
        Some(setting) if n == block.start => format!("{setting}\n{one_more}"),
        Some(setting) if block.contains(&n) => setting.to_owned(),
        _ if replaced.contains(&n) => String::new(),
        _ => (*line).to_owned(),
    };
    let text: Vec<String> = lines.iter().enumerate().map(line).collect();
    let resolve =
        |text: String, (name, value): (&str, &str)| text.replace(&format!("${{env:{name}}}"), value);
    ENVIRONMENT.into_iter().fold(text.join("\n"), resolve)
}

/// What a connector knows, and we don't.
fn is_connectors_own(lines: &[&str], at: usize) -> bool {
    let table = lines[..at].iter().rev().find(|line| line.starts_with('['));
    table.is_some_and(|line| line.starts_with("[source.config]")) && !lines[at].starts_with("#[")
}

/// Reads all of it as a run does, to the last key. Nothing is started.
fn read(text: &str, base: &Path) -> highwater_connect::Result<()> {
    let (reporter, stop) = (Reporter::silent(), Stop::default());
    let pipeline = Pipeline::parse(text, base)?;
    pipeline.streams()?;
    pipeline.hash_key()?;
    pipeline.metrics()?;
    pipeline.alerts()?;
    runtime::source(&pipeline, &reporter, &stop)?;
    for name in pipeline.destination_names() {
        let (_, section) = pipeline.destination(name)?;
        runtime::destination(&pipeline, name, section, &reporter, &stop)?;
    }
    Ok(())
}

fn base() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir(base.path().join("secrets")).unwrap();
    highwater_connect::files::write_private(&base.path().join("secrets/password"), b"secret").unwrap();
    base
}

#[test]
fn the_template_is_a_pipeline_file() {
    read(TEMPLATE, base().path()).unwrap();
}

#[test]
fn every_block_can_be_switched_on() {
    let (base, lines) = (base(), TEMPLATE.lines().collect::<Vec<_>>());
    let blocks = blocks(&lines);
    for block in &blocks {
        let start = lines[block.start];
        let whole = read(&with(&lines, block, ""), base.path());
        whole.unwrap_or_else(|failure| panic!("{start}: {failure}"));
        if is_connectors_own(&lines, block.start) {
            continue;
        }
        // And it is read: a key that nobody knows is found there.
        let failure = read(&with(&lines, block, "nobodys = 1"), base.path()).err();
        let failure = failure.unwrap_or_else(|| panic!("{start}: any key is taken"));
        assert!(failure.to_string().contains("nobodys"), "{start}: {failure}");
    }
    assert!(blocks.len() > 15, "{blocks:?}");
}

#[test]
fn every_kind_has_its_block() {
    for kind in ["airbyte", "singer", "files", "http", "sample", "jsonl", "sqlite", "postgres", "parquet"] {
        assert!(TEMPLATE.contains(&format!("type = \"{kind}\"")), "{kind}");
    }
    for table in ["[storage]", "[checkpoint]", "[schema]", "[retry]", "[lookback]", "[metrics]", "[alerts]"] {
        assert!(TEMPLATE.contains(table), "{table}");
    }
}

/// The keys of a pipeline file, with those in tables on one line.
fn keys() -> Vec<&'static str> {
    let lines =
        TEMPLATE.lines().map(|line| line.trim_start_matches('#')).filter(|line| !line.starts_with(' '));
    let lines = lines.map(|line| line.split(" # ").next().unwrap_or(line));
    let words = lines
        .flat_map(|line| line.split(" = ").map(|part| part.rsplit([' ', '{', ',']).next().unwrap_or("")));
    let is_key = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    words.filter(is_key).collect()
}

#[test]
fn every_key_is_in_the_reference() {
    let reference = include_str!("../../../../docs/pipeline-file.md");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let told: Vec<&str> = reference.split(|c| !is_word(c)).collect();
    let keys = keys();
    assert!(keys.len() > 60, "{keys:?}");
    // Of connectors' own configurations nobody knows the keys.
    let others = ["count", "destination_path", "host", "password"];
    let missing: Vec<&&str> =
        keys.iter().filter(|key| !told.contains(key) && !others.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
