//! The listener: the only room in which anything is async. One thread, which never waits for the disk.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use highwater::key;
use serde_json::value::RawValue;
use tokio::runtime;
use tokio::sync::{Semaphore, oneshot};

use super::answer::Answer;
use super::intake::{Door, Refusal, Row};
use super::settings::{Http, Path};
use crate::failure::{Failure, Result};

/// So many requests are worked on at a time, since each may hold a whole body in memory; others wait.
const PLACES: usize = 256;
/// A body that takes longer to come is not waited for.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How often who waits for an answer looks whether there is hope of one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So long requests that are on their way may take when it stops.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Whether it could listen there, and where that is. It is free again when this returns.
pub(super) fn check(listen: SocketAddr) -> Result<SocketAddr> {
    TcpListener::bind(listen).and_then(|listener| listener.local_addr()).map_err(|e| cant_listen(listen, e))
}

fn cant_listen(listen: SocketAddr, error: std::io::Error) -> Failure {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => Failure::transient(format!(
            "{listen} is taken: by a run of this pipeline that is at work, or by another program"
        )),
        // Nobody gives it to us later, either.
        ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied => {
            Failure::config(format!("listening on {listen}")).because(error)
        }
        _ => Failure::transient(format!("listening on {listen}")).because(error),
    }
}

/// A listener that runs.
pub(super) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(settings: &Http, door: Door) -> Result<Server> {
        let cant = |e| cant_listen(settings.listen, e);
        let listener = TcpListener::bind(settings.listen).map_err(cant)?;
        listener.set_nonblocking(true).map_err(cant)?;
        let address = listener.local_addr().map_err(cant)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cant)?;
        let router = router(settings, door);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // It ends when it is asked to, and nobody is there to hear of an error before: the next request fails.
            let _ = runtime.block_on(serve(listener, router, stopped));
            runtime.shutdown_background();
        });
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and lets those that are on their way come to their answer.
    pub(super) fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has answered nobody.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (last, waited) = oneshot::channel::<()>();
    let asked = async move {
        // Dropped or sent, it means the same.
        let _ = stopped.await;
        drop(last);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(asked);
    tokio::select! {
        ended = async { serving.await } => ended,
        // A connection that is kept open would hold it for ever.
        () = async { let _ = waited.await; tokio::time::sleep(LAST_ANSWERS).await } => Ok(()),
    }
}

/// What all requests share.
struct Shared {
    door: Door,
    /// A hash, which is compared in constant time.
    token: Option<blake3::Hash>,
    body_bytes_max: usize,
    places: Semaphore,
}

fn router(settings: &Http, door: Door) -> Router {
    let token = settings.token.as_ref().map(|token| blake3::hash(token.as_bytes()));
    let places = Semaphore::new(PLACES);
    let shared = Arc::new(Shared { door, token, body_bytes_max: settings.body_bytes_max, places });
    let router = settings.paths.iter().enumerate().fold(Router::new(), |router, (stream, path)| {
        let (shared, path) = (shared.clone(), Arc::new(path.clone()));
        let route = path.path.clone();
        let take = move |request: Request| {
            let (shared, path) = (shared.clone(), path.clone());
            async move { shared.take(stream, &path, request).await.unwrap_or_else(|answer| answer) }
        };
        router.route(&route, post(take))
    });
    router.layer(DefaultBodyLimit::max(settings.body_bytes_max))
}

impl Shared {
    async fn take(
        &self,
        stream: usize,
        path: &Path,
        request: Request,
    ) -> std::result::Result<Answer, Answer> {
        if !self.lets_in(request.headers()) {
            return Err(Answer::Unauthorised);
        }
        if let Some(refusal) = self.door.refusal() {
            return Err(refusal.into());
        }
        let Ok(Ok(_place)) = tokio::time::timeout(BODY_TIME, self.places.acquire()).await else {
            return Err(Answer::Later("too many requests at a time"));
        };
        let is_lines = is_lines(request.headers());
        let rows = rows(&self.body(request).await?, is_lines, path)?;
        let count = rows.len();
        self.stored(self.door.push(stream, rows)?).await.map(|()| Answer::Stored(count))
    }

    /// Waits until it is durable, or there is no hope that it will be soon: then the sender has to come again, and it may be
    /// there twice.
    async fn stored(&self, mut told: oneshot::Receiver<()>) -> std::result::Result<(), Answer> {
        loop {
            match tokio::time::timeout(LOOK_EVERY, &mut told).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(Answer::Later("it could not be stored")),
                Err(_) => {
                    if let Some(Refusal::Full) = self.door.refusal() {
                        return Err(Refusal::Full.into());
                    }
                }
            }
        }
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer "));
        given.is_some_and(|given| blake3::hash(given.trim().as_bytes()) == token)
    }

    async fn body(&self, request: Request) -> std::result::Result<Bytes, Answer> {
        match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Answer::TooLarge(self.body_bytes_max))
            }
            Ok(Err(_)) => Err(Answer::Malformed("the body did not come whole".to_owned())),
            Err(_) => Err(Answer::Malformed("the body takes too long to come".to_owned())),
        }
    }
}

/// Whether every line of the body is a record.
fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines")
}

/// The records of a body: an object, a list of them, or one on each line.
fn rows(body: &[u8], is_lines: bool, path: &Path) -> std::result::Result<Vec<Row>, Answer> {
    if !is_lines {
        let what = |e| Answer::Malformed(format!("the body is not JSON: {e}"));
        let whole: &RawValue = serde_json::from_slice(body).map_err(what)?;
        if !whole.get().starts_with('[') {
            return Ok(vec![row(whole, path)?]);
        }
        let list: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(what)?;
        return list.into_iter().map(|one| row(one, path)).collect();
    }
    let mut rows = Vec::new();
    for (n, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let what = |e| Answer::Malformed(format!("line {n} is not JSON: {e}"));
        rows.push(row(serde_json::from_slice(line).map_err(what)?, path)?);
    }
    Ok(rows)
}

fn row(text: &RawValue, path: &Path) -> std::result::Result<Row, Answer> {
    let text = text.get();
    if !text.starts_with('{') {
        return Err(Answer::Malformed("a record is an object".to_owned()));
    }
    let columns = path.key.as_slice();
    if columns.is_empty() {
        return Ok(Row { key: Vec::new(), text: text.to_owned() });
    }
    let bad = |e| Answer::Malformed(format!("a record's key can't be read: {e}"));
    let key = key::of_payload(text, columns).map_err(bad)?;
    // An absent column counts as null: without any, all such records would be one.
    if key == key::encode(columns.iter().map(|_| "null")).map_err(bad)? {
        return Err(Answer::Malformed("a record has none of its key's columns".to_owned()));
    }
    Ok(Row { key, text: text.to_owned() })
}
