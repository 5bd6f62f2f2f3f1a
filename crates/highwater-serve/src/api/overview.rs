//! All that fits on the first screen.

use highwater::{ConsumerInfo, LogReader, Status};
use highwater_connect::bookkeeping::Book;
use highwater_connect::runs::now_us;
use serde::Serialize;

use super::{App, Nothing, Refused};
use crate::anomaly::Habit;
use crate::history::History;
use crate::measured::{Failed, Measured, Opening, Part};
use crate::metrics::lag_us;
use crate::subject;
use crate::verdict::{Facts, Verdict};

#[derive(Serialize)]
pub(crate) struct Overview {
    now_us: i64,
    /// What people call it, and what a command line does.
    name: String,
    argument: String,
    /// Whether whoever has the token may change states.
    writable: bool,
    verdict: Verdict,
    log: Log,
    /// Of a log that a pipeline has written.
    pipeline: Option<Sync>,
    consumers: Vec<Consumer>,
    /// What the process that writes, or wrote, has measured.
    writer: Option<Writer>,
    /// What went wrong lately, newest first.
    failures: Vec<Failed>,
    reading: Reading,
}

#[derive(Serialize)]
struct Log {
    path: String,
    live: bool,
    holder: Option<String>,
    max_size: Option<u64>,
    disk_free: Option<u64>,
    #[serde(flatten)]
    status: Status,
}

#[derive(Serialize)]
struct Sync {
    name: Option<String>,
    sync: u64,
    ended: bool,
    habit: Habit,
    /// Destinations of the pipeline file that have not begun.
    not_begun: Vec<String>,
}

#[derive(Serialize)]
struct Consumer {
    #[serde(flatten)]
    info: ConsumerInfo,
    /// The age of the oldest checkpoint that it lacks.
    lag_us: Option<i64>,
    /// Of a destination, what its deliverer has measured.
    delivery: Option<Delivery>,
}

#[derive(Serialize)]
struct Delivery {
    records: u64,
    rejected: u64,
    failing: u32,
    given_up: bool,
    restarts_succeeded: u64,
    batches: u64,
    p99_us: Option<u64>,
}

#[derive(Serialize)]
struct Writer {
    pid: u32,
    started_us: i64,
    at_us: i64,
    /// It is at work.
    now: bool,
    commits: u64,
    commit_p50_us: Option<u64>,
    commit_p99_us: Option<u64>,
    flush_p50_us: Option<u64>,
    appended_bytes: u64,
    uncommitted_bytes: u64,
    opening: Option<Opening>,
}

/// How far the history was read.
#[derive(Serialize)]
struct Reading {
    from: u64,
    next: u64,
    done: bool,
    trouble: Option<String>,
}

pub(crate) fn overview(app: &App, _: Nothing) -> Result<Overview, Refused> {
    look(app).map_err(|refused| refused.with_next(&app.subject.log.display().to_string()))
}

fn look(app: &App) -> Result<Overview, Refused> {
    let log = app.log()?;
    let status = log.status()?;
    let measured = app.measured();
    let consumers = consumers(log, &status, measured.as_ref())?;
    let reading = reading(app);
    let history = History::of(&app.index());
    let (live, now_us) = (log.is_live()?, now_us());
    let habit = history.habit(now_us);
    let pipeline = sync(app, log, &consumers, habit.clone())?;
    let verdict = facts(app, log, &status, &consumers, measured.as_ref(), live, now_us);
    let trouble = reading.trouble.clone();
    let verdict = Facts { last_attempt: history.attempts().last(), habit, trouble, ..verdict }.judge();
    let mut failures = measured.as_ref().map(|measured| measured.failures.clone()).unwrap_or_default();
    failures.reverse();
    Ok(Overview {
        now_us,
        name: app.subject.name(),
        argument: app.subject.argument(),
        writable: app.is_writable,
        verdict,
        pipeline,
        consumers,
        writer: measured.and_then(|measured| writer(measured, live)),
        failures,
        reading,
        log: Log {
            path: log.path().display().to_string(),
            live,
            holder: live.then(|| log.holder()),
            max_size: app.subject.pipeline.as_ref().and_then(|known| known.max_size),
            disk_free: subject::disk(log.path()).map(|(free, _)| free),
            status,
        },
    })
}

fn facts<'a>(
    app: &App,
    log: &LogReader,
    status: &Status,
    consumers: &[Consumer],
    measured: Option<&'a Measured>,
    is_live: bool,
    now_us: i64,
) -> Facts<'a> {
    let diverged = status.consumers.iter().filter(|consumer| consumer.diverged);
    let readable = consumers.iter().filter(|of| of.info.damage.is_none());
    let damaged = consumers.iter().filter(|of| of.info.damage.is_some());
    Facts {
        now_us,
        log: log.path().display().to_string(),
        argument: app.subject.argument(),
        is_pipeline: app.subject.pipeline.is_some(),
        is_live,
        last_checkpoint_us: status.last_checkpoint_us,
        late_after: app.subject.late_after(),
        unconfirmed: log.unconfirmed(),
        size_bytes: status.size_bytes,
        max_size: app.subject.pipeline.as_ref().and_then(|known| known.max_size),
        disk: subject::disk(log.path()),
        measured,
        diverged: diverged.map(|of| (of.name.clone(), of.acknowledged.get())).collect(),
        lags: readable.map(|of| (of.info.name.clone(), of.lag_us)).collect(),
        damaged: damaged.map(|of| of.info.name.clone()).collect(),
        ..Facts::default()
    }
}

fn consumers(
    log: &LogReader,
    status: &Status,
    measured: Option<&Measured>,
) -> Result<Vec<Consumer>, Refused> {
    let consumer = |info: &ConsumerInfo| {
        let part = measured.and_then(|measured| measured.destinations.get(&info.name));
        Ok(Consumer { info: info.clone(), lag_us: lag_us(log, info)?, delivery: part.map(Delivery::of) })
    };
    status.consumers.iter().map(consumer).collect()
}

impl Delivery {
    fn of(part: &Part) -> Delivery {
        Delivery {
            records: part.records,
            rejected: part.rejected,
            failing: part.failing,
            given_up: part.given_up,
            restarts_succeeded: part.restarts_succeeded,
            batches: part.batches.count(),
            p99_us: part.batches.quantile(0.99).map(micros),
        }
    }
}

fn sync(app: &App, log: &LogReader, consumers: &[Consumer], habit: Habit) -> Result<Option<Sync>, Refused> {
    // What another program keeps under that name is none of ours.
    let book = Book::newest(log).unwrap_or_default();
    let known = app.subject.pipeline.as_ref();
    if book.sync == 0 && known.is_none() {
        return Ok(None);
    }
    let mut not_begun = known.map(|known| known.destinations.clone()).unwrap_or_default();
    not_begun.retain(|name| consumers.iter().all(|consumer| consumer.info.name != *name));
    let name = known.map(|known| known.name.clone());
    Ok(Some(Sync { name, sync: book.sync, ended: book.ended, habit, not_begun }))
}

fn writer(measured: Measured, is_live: bool) -> Option<Writer> {
    let now = measured.is_now(is_live);
    let writer = measured.writer?;
    Some(Writer {
        pid: measured.pid,
        started_us: measured.started_us,
        at_us: measured.at_us,
        now,
        commits: writer.commit_duration.count(),
        commit_p50_us: writer.commit_duration.quantile(0.5).map(micros),
        commit_p99_us: writer.commit_duration.quantile(0.99).map(micros),
        flush_p50_us: writer.flush_duration.quantile(0.5).map(micros),
        appended_bytes: writer.appended_bytes,
        uncommitted_bytes: writer.uncommitted_bytes,
        opening: writer.opening,
    })
}

fn reading(app: &App) -> Reading {
    let (done, trouble) = (app.has_caught_up(), app.trouble());
    let index = app.index();
    Reading { from: index.from, next: index.next, done, trouble }
}

pub(super) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
