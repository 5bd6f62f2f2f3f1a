//! What a run measures of itself, and who is told: a file beside the log, a file for node_exporter, whoever asks by HTTP.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use highwater::LogReader;
use highwater_connect::Pipeline;
use highwater_connect::event::{Event, Observer};
use highwater_serve::{Keeper, Listen, Monitor, Server, Subject};

use crate::failure::Failure;
use crate::terminal;

/// Lives as long as the run.
pub(crate) struct Measuring {
    observer: Arc<Both>,
    keeper: Keeper,
}

/// Counts events, and passes them to whoever shows them.
struct Both {
    inner: Arc<dyn Observer>,
    monitor: Monitor,
    subject: Subject,
    /// Until the log is open.
    server: Mutex<Option<Server>>,
}

impl Measuring {
    /// Takes the address and the files that the pipeline file names.
    pub(crate) fn start(file: &Path, pipeline: &Pipeline, inner: Arc<dyn Observer>) -> Result<Self, Failure> {
        let metrics = pipeline.metrics()?;
        let subject = Subject::of_pipeline(file, pipeline);
        let monitor = Monitor::new();
        let bind = |address| Server::bind(Listen { address, token: metrics.token, names: metrics.names });
        let server = metrics.listen.map(bind).transpose();
        let server = server.map_err(|e| Failure::io("listening ([metrics] listen)", &e))?;
        if let Some(server) = &server {
            terminal::note(format!("metrics and a page at http://{}/", server.address()));
        }
        let keeper = Keeper::start(subject.clone(), monitor.clone(), metrics.textfile);
        let keeper = keeper.map_err(|e| Failure::io("writing metrics ([metrics] textfile)", &e))?;
        let observer = Both { inner, monitor, subject, server: Mutex::new(server) };
        Ok(Measuring { observer: Arc::new(observer), keeper })
    }

    /// For the reporter.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.observer.clone()
    }

    /// Writes the files for the last time.
    pub(crate) fn finish(self) {
        self.keeper.finish();
    }
}

impl Observer for Both {
    fn event(&self, event: Event) {
        self.monitor.event(event.clone());
        self.inner.event(event);
    }

    fn opened(&self, log: &LogReader) {
        self.monitor.opened(log);
        self.inner.opened(log);
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        let watch = |server: Server| server.watch(self.subject.clone(), log.clone(), self.monitor.clone());
        if let Some(Err(error)) = server.map(watch) {
            terminal::warning(format!("nobody can be told metrics by HTTP: {error}"));
        }
    }
}
