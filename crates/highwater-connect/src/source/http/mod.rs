//! A small HTTP listener for senders that can't be asked again: webhooks. It answers 200 only when what came is durable in the log.
//!
//! The listener has a thread of its own, in which alone is anything async. What it took waits in a queue of bounded length for the
//! source's thread, which commits all that waits at once: under load, many requests share a flush.

mod answer;
mod intake;
mod server;
mod settings;

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use highwater::{Meta, Op};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::output::{Handle, Output};
use crate::source::{Offer, Source, State};
use crate::stop::Urgency;

use intake::{Door, Push};
use server::Server;

pub use settings::{Http, Path};

/// How often a wait looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many requests are committed together at most.
const TOGETHER_MAX: usize = 1000;

/// How much came: a sender can't be asked to go on from somewhere, so it is for people.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Received {
    received: u64,
}

impl Source for Http {
    fn check(&mut self) -> Result<Vec<String>> {
        let address = server::check(self.listen)?;
        Ok(vec![format!("it can listen on http://{address}")])
    }

    fn streams(&mut self) -> Result<Vec<Offer>> {
        Ok(self.paths.iter().map(|path| Offer::onward(path.definition())).collect())
    }

    fn read(&mut self, from: &State, out: &mut Output<'_>) -> Result<()> {
        let mut streams = Vec::new();
        for path in &self.paths {
            let name = path.name();
            let handle = out
                .find(name.namespace.as_deref(), &name.name)
                .ok_or_else(|| Failure::permanent(format!("stream {name} was not announced")))?;
            // Whatever another kind of source has left there is not counted on.
            let received = from.of(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            streams.push(Stream { handle, received, is_touched: false });
        }
        let (door, pushes) = Door::new();
        let server = Server::start(self, door.clone())?;
        out.reporter().note(format!("listening on http://{}", server.address()));
        let taken = Intake { out, streams, door, pushes }.run();
        // Whoever waits for an answer gets one before the listener goes.
        server.stop();
        taken
    }
}

struct Stream {
    handle: Handle,
    received: Received,
    is_touched: bool,
}

/// Takes what came into the log.
struct Intake<'a, 'o> {
    out: &'a mut Output<'o>,
    streams: Vec<Stream>,
    door: Door,
    pushes: Receiver<Push>,
}

impl Intake<'_, '_> {
    fn run(mut self) -> Result<()> {
        loop {
            if self.out.urgency() > Urgency::None {
                self.door.close();
                return Ok(());
            }
            match self.pushes.recv_timeout(PATIENCE) {
                Ok(first) => self.take(first)?,
                Err(RecvTimeoutError::Timeout) => self.out.idle()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::transient("the listener has ended"));
                }
            }
        }
    }

    /// Commits a request with all that wait behind it, and answers them. If that fails, nobody is answered well, and who was not
    /// sends again.
    fn take(&mut self, first: Push) -> Result<()> {
        let _busy = self.door.busy();
        let mut waiting = vec![first];
        waiting.extend(self.pushes.try_iter().take(TOGETHER_MAX - 1));
        // Who has gone will send again.
        waiting.retain(|push| !push.is_given_up());
        for push in &waiting {
            self.append(push)?;
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.is_touched) {
            stream.is_touched = false;
            let text = serde_json::to_string(&stream.received)
                .map_err(|e| Failure::permanent("writing a state").because(e))?;
            self.out.state(stream.handle, &text)?;
        }
        // Now, whatever the least interval is: somebody waits for it.
        self.out.settle()?;
        self.out.tick();
        waiting.into_iter().for_each(Push::answer);
        Ok(())
    }

    fn append(&mut self, push: &Push) -> Result<()> {
        let stream = &mut self.streams[push.stream];
        for row in &push.rows {
            let (key, row) = (row.key.as_slice(), row.text.as_bytes());
            let op = if key.is_empty() { Op::Insert { key, row } } else { Op::Upsert { key, row } };
            self.out.record(stream.handle, op, Meta { emitted_us: Some(push.came_us), metadata: b"" })?;
        }
        stream.received.received += push.rows.len() as u64;
        stream.is_touched |= !push.rows.is_empty();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
