//! Alerts: a command of the user's gets what happened, as JSON on its standard input.
//!
//! A command that hangs is ended, one that can't be started is told of, and neither holds the pipeline up: whoever reports an event
//! only leaves it for the thread that runs the command.

mod kind;
mod sender;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::{Event, Observer, Reporter};
use crate::pipeline::{AlertKind, AlertPolicy, Pipeline};
use sender::{Alert, Sender};

/// So long it may take to end a command that does not want to.
const ENDING_MAX: Duration = Duration::from_secs(5);
/// So many wait at most; more are counted, and left out.
const WAITING_MAX: usize = 64;

/// Passes every event on, and sends those that somebody wants to be woken for.
pub struct Alerts {
    inner: Arc<dyn Observer>,
    policy: Option<AlertPolicy>,
    /// When what was told last.
    told: Mutex<HashMap<(AlertKind, String), Instant>>,
    queue: Mutex<Option<SyncSender<Alert>>>,
    /// Nothing is waited for any more.
    is_over: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Alerts {
    /// Starts the thread, if the pipeline file names a command. `inner` gets every event, and what the command itself says.
    pub fn start(pipeline: &Pipeline, inner: Arc<dyn Observer>) -> crate::Result<Self> {
        let policy = pipeline.alerts()?;
        let (told, queue, thread) = (Mutex::default(), Mutex::default(), Mutex::default());
        let is_over = Arc::default();
        let alerts = Alerts { inner, policy, told, queue, is_over, thread };
        if let Some(policy) = &alerts.policy {
            let reporter = Reporter::new(alerts.inner.clone(), pipeline.secrets().clone());
            let sender = Sender::new(policy, pipeline, reporter, alerts.is_over.clone());
            let (queue, waiting) = sync_channel(WAITING_MAX);
            *lock(&alerts.queue) = Some(queue);
            *lock(&alerts.thread) = Some(std::thread::spawn(move || send_all(&sender, &waiting)));
        }
        Ok(alerts)
    }

    /// Waits until what was left is sent, at most so long and a few seconds. Nothing is sent any more then, and a command that still
    /// runs is ended.
    pub fn finish(&self, patience: Duration) {
        lock(&self.queue).take();
        let Some(thread) = lock(&self.thread).take() else { return };
        wait_for(&thread, patience);
        self.is_over.store(true, Ordering::Release);
        wait_for(&thread, ENDING_MAX);
    }

    /// Whether somebody wants to know, and was not told lately.
    fn wanted(&self, event: &Event) -> Option<AlertKind> {
        let policy = self.policy.as_ref()?;
        let kind = AlertKind::of(event).filter(|kind| policy.on.contains(kind))?;
        let mut told = lock(&self.told);
        let what = (kind, kind::subject(event).to_owned());
        let is_repeated = told.get(&what).is_some_and(|last| last.elapsed() < policy.repeat_after);
        if is_repeated {
            return None;
        }
        told.insert(what, Instant::now());
        Some(kind)
    }

    /// How long sending one may take; zero without a command.
    pub fn timeout(&self) -> Duration {
        self.policy.as_ref().map_or(Duration::ZERO, |policy| policy.timeout)
    }
}

fn wait_for(thread: &JoinHandle<()>, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send_all(sender: &Sender, waiting: &Receiver<Alert>) {
    while let Ok(alert) = waiting.recv() {
        sender.send(&alert);
    }
}

impl Observer for Alerts {
    fn event(&self, event: Event) {
        if let Some(kind) = self.wanted(&event) {
            let alert = Alert::new(kind, event.clone());
            let is_left = lock(&self.queue).as_ref().is_none_or(|queue| queue.try_send(alert).is_ok());
            if !is_left {
                let text = format!("alert {} is not sent: too many wait already", kind.name());
                self.inner.event(Event::Warning { text });
            }
        }
        self.inner.event(event);
    }
}

#[cfg(test)]
mod tests;
