//! A child process that delivers: this test program itself, with the log and the destination in its environment.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use highwater::{Limit, LogReader, Start};
use highwater_connect::destination::sql::{Deletes, Mode, Postgres, Settings, Sqlite};
use highwater_connect::{Destination, Feed};

const MODES: [Mode; 4] = [Mode::Append, Mode::Upsert, Mode::Overwrite, Mode::History];
const DELETES: [Deletes; 3] = [Deletes::Hard, Deletes::Soft, Deletes::Ignore];

/// Whether it was still at work when it was killed.
pub(crate) fn is_killed_after(
    subject: &dyn crate::subject::Subject,
    log: &Path,
    settings: &Settings,
    delay_us: u64,
) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::deliver", "--nocapture"])
        .envs(subject.environment())
        .env("CHILD_LOG", log)
        .env("CHILD_NAME", &settings.name)
        .env("CHILD_MODE", settings.mode.name())
        .env("CHILD_DELETES", format!("{:?}", settings.deletes))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_micros(delay_us) {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// Does nothing where it is not a child.
#[test]
fn deliver() {
    let Some(log) = std::env::var_os("CHILD_LOG") else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let mode = MODES.into_iter().find(|mode| mode.name() == variable("CHILD_MODE")).unwrap();
    let deletes =
        DELETES.into_iter().find(|deletes| format!("{deletes:?}") == variable("CHILD_DELETES")).unwrap();
    let settings = Settings::new(variable("CHILD_NAME")).mode(mode).deletes(deletes);
    let mut destination: Box<dyn Destination> = match std::env::var("CHILD_SQLITE") {
        Ok(path) => Box::new(Sqlite::new(path, settings)),
        Err(_) => {
            Box::new(Postgres::new(&variable("CHILD_POSTGRES"), variable("CHILD_SCHEMA"), settings).unwrap())
        }
    };
    let log = LogReader::open(Path::new(&log)).unwrap();
    let mut feed = Feed::open(&log, "child", Start::Earliest, None).unwrap();
    feed.align(destination.stored().unwrap()).unwrap();
    while let Some(batch) = feed.next(&Limit { max_checkpoints: 4, ..Limit::default() }).unwrap() {
        destination.apply(&batch).unwrap();
        feed.acknowledge(batch.end()).unwrap();
    }
}
