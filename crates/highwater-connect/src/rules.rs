//! What a pipeline file says that holds for its log whoever works on it: what is kept there, and what destinations make of records that
//! come twice. A run writes it down beside the log, for people who name the log and not the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use highwater::Retention;
use serde::{Deserialize, Serialize};

use crate::destination::program;
use crate::destination::sql;
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::files;
use crate::pipeline::{Pipeline, work_directory};
use crate::runtime::{on_repeat, stores_position};

/// In the pipeline's own directory.
pub(crate) const FILE: &str = "rules.json";
/// No such file is longer, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The version of the file that is understood.
const VERSION: u32 = 1;

/// What a destination makes of a record that it has already, and that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRepeat {
    /// It holds it twice.
    Appends,
    /// It holds it once, if the stream has a key; without one, twice.
    ByKey,
    /// It holds another version of the row, if the stream has a key; without one, it twice.
    Versions,
}

impl From<sql::Mode> for OnRepeat {
    fn from(mode: sql::Mode) -> Self {
        match mode {
            sql::Mode::Append => OnRepeat::Appends,
            sql::Mode::Upsert | sql::Mode::Overwrite => OnRepeat::ByKey,
            sql::Mode::History => OnRepeat::Versions,
        }
    }
}

impl From<program::Mode> for OnRepeat {
    fn from(mode: program::Mode) -> Self {
        match mode {
            program::Mode::Append => OnRepeat::Appends,
            program::Mode::Upsert | program::Mode::Overwrite => OnRepeat::ByKey,
        }
    }
}

/// A pipeline's rules for its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    version: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The most that the log's segments may occupy, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    retain: Retain,
    /// What its destinations make of records that come twice.
    pub destinations: BTreeMap<String, OnRepeat>,
    /// Those of them that store their own position, and go on from there wherever their consumer stands.
    pub store_position: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Retain {
    min_count: u64,
    min_age_ms: u64,
}

impl Rules {
    /// As the pipeline file says.
    pub fn of(pipeline: &Pipeline) -> Result<Rules> {
        let Retention { min_count, min_age } = pipeline.storage.retain;
        let mut store_position = BTreeSet::new();
        for name in pipeline.destination_names() {
            if stores_position(pipeline, name)? {
                store_position.insert(name.to_owned());
            }
        }
        let names = pipeline.destination_names();
        let destinations = names.map(|name| Ok((name.to_owned(), on_repeat(pipeline, name)?)));
        let min_age_ms = u64::try_from(min_age.as_millis()).unwrap_or(u64::MAX);
        Ok(Rules {
            version: VERSION,
            pipeline: pipeline.name.clone(),
            max_size: pipeline.storage.max_size,
            retain: Retain { min_count, min_age_ms },
            destinations: destinations.collect::<Result<_>>()?,
            store_position,
        })
    }

    /// As a run has written them down beside the log; `None`: none has.
    pub fn beside(log: &Path) -> Result<Option<Rules>> {
        let path = work_directory(log).join(FILE);
        let cant = |what: &str| Failure::permanent(format!("reading {}: {what}", path.display()));
        let length = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(cant(&e.to_string())),
        };
        if length > FILE_BYTES_MAX {
            return Err(cant("it is longer than 1 MiB"));
        }
        let bytes = std::fs::read(&path).map_err(|e| cant(&e.to_string()))?;
        let rules: Rules = serde_json::from_slice(&bytes).map_err(|e| cant(&e.to_string()))?;
        if rules.version != VERSION {
            return Err(cant(&format!("version {} is not known; this is {VERSION}", rules.version)));
        }
        Ok(Some(rules))
    }

    /// What is kept although every consumer has it.
    pub fn retention(&self) -> Retention {
        let Retain { min_count, min_age_ms } = self.retain;
        Retention { min_count, min_age: Duration::from_millis(min_age_ms) }
    }

    /// Writes them down for [`beside`](Rules::beside), unless they are there already. Blocks for two flushes then.
    pub fn write_down(&self, log: &Path) -> Result<()> {
        if Self::beside(log).ok().flatten().as_ref() == Some(self) {
            return Ok(());
        }
        let work = work_directory(log);
        let write = || -> std::io::Result<()> {
            files::make_private_directory(&work)?;
            files::write_private(&work.join(FILE), &serde_json::to_vec(self)?)
        };
        write().map_err(|e| Failure::transient(format!("writing {}", work.join(FILE).display())).because(e))
    }
}

/// The same of a pipeline that is run. That it can't be written down keeps nobody from reading and delivering. Fails with
/// [`FailureKind::Config`](crate::FailureKind::Config) if the log's last run had another name.
pub(crate) fn write_down(pipeline: &Pipeline, reporter: &Reporter) -> Result<()> {
    check_name(pipeline)?;
    if let Err(failure) = Rules::of(pipeline)?.write_down(&pipeline.log) {
        reporter.warning(failure.to_string());
    }
    Ok(())
}

/// Databases know by the pipeline's name how far they are: under another one they would get everything again, into tables of their own,
/// beside what they hold.
fn check_name(pipeline: &Pipeline) -> Result<()> {
    let Some(known) = Rules::beside(&pipeline.log).ok().flatten() else { return Ok(()) };
    if known.pipeline == pipeline.name {
        return Ok(());
    }
    Err(Failure::config(format!(
        "name: this log was filled by pipeline {:?}, and by that name databases know what they hold; change it back from {:?}. To begin under a \
         new name, with everything delivered again into tables of their own, remove {}",
        known.pipeline,
        pipeline.name,
        work_directory(&pipeline.log).join(FILE).display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_TEXT: &str = r#"
        version = 1
        name = "shop"
        log = "shop.hw"
        [source]
        type = "sample"
        [storage]
        retain = { min_count = 7, min_age = "2h" }
        [destinations.a]
        type = "sqlite"
        path = "a.db"
        [destinations.b]
        type = "postgres"
        url = "${env:NOT_SET_ANYWHERE}"
        mode = "history"
        [destinations.c]
        type = "jsonl"
        path = "c"
        [destinations.d]
        type = "singer"
        command = ["target"]
        [destinations.e]
        type = "airbyte"
        command = ["destination"]
        mode = "overwrite"
        [destinations.f]
        type = "sqlite"
        path = "f.db"
        mode = "append"
    "#;

    #[test]
    fn what_the_file_says_can_be_read_beside_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::parse(FILE_TEXT, dir.path()).unwrap();
        assert_eq!(Rules::beside(&pipeline.log).unwrap(), None);
        let rules = Rules::of(&pipeline).unwrap();
        rules.write_down(&pipeline.log).unwrap();
        let read = Rules::beside(&pipeline.log).unwrap().unwrap();
        assert_eq!(read, rules);
        let min_age = Duration::from_secs(7200);
        assert_eq!(read.retention(), Retention { min_count: 7, min_age });
        let of = |name: &str| read.destinations[name];
        assert_eq!([of("a"), of("e")], [OnRepeat::ByKey; 2]);
        assert_eq!(of("b"), OnRepeat::Versions);
        assert_eq!([of("c"), of("d"), of("f")], [OnRepeat::Appends; 3]);
        assert!(read.store_position.iter().eq(["a", "b", "c", "f"]));
    }

    #[test]
    fn a_log_keeps_the_name_of_its_pipeline() {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::parse(FILE_TEXT, dir.path()).unwrap();
        write_down(&pipeline, &Reporter::silent()).unwrap();
        let renamed = FILE_TEXT.replace("name = \"shop\"", "name = \"store\"");
        let renamed = Pipeline::parse(&renamed, dir.path()).unwrap();
        let refused = write_down(&renamed, &Reporter::silent()).unwrap_err();
        assert_eq!(refused.kind(), crate::FailureKind::Config);
        assert!(refused.to_string().contains("filled by pipeline \"shop\""), "{refused}");
        std::fs::remove_file(pipeline.work.join(FILE)).unwrap();
        write_down(&renamed, &Reporter::silent()).unwrap();
    }

    #[test]
    fn what_can_t_be_read_is_an_error_and_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let pipeline = Pipeline::parse(FILE_TEXT, dir.path()).unwrap();
        let rules = Rules::of(&pipeline).unwrap();
        rules.write_down(&pipeline.log).unwrap();
        let path = pipeline.work.join(FILE);
        let whole = std::fs::read_to_string(&path).unwrap();
        for bad in ["", "[]", &whole[..whole.len() - 1], &whole.replace("\"version\":1", "\"version\":2")] {
            std::fs::write(&path, bad).unwrap();
            let error = Rules::beside(&pipeline.log).unwrap_err().to_string();
            assert!(error.contains(FILE), "{error}");
            rules.write_down(&pipeline.log).unwrap();
            assert_eq!(Rules::beside(&pipeline.log).unwrap().as_ref(), Some(&rules));
        }
    }
}
