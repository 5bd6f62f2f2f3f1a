//! HTTP: the page, the API, the metrics. On loopback it answers whoever is on this machine and means it; elsewhere only who has
//! the token.

mod assets;
mod guard;
mod routes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use highwater::LogReader;

use crate::api::App;
use crate::metrics::Monitor;
use crate::subject::Subject;

/// Where and to whom to answer.
#[derive(Debug, Clone)]
pub struct Listen {
    /// The address; port 0 takes one that is free.
    pub address: SocketAddr,
    /// Whoever has it may change states. Away from loopback nobody is answered without it.
    pub token: Option<String>,
    /// Names that the server goes by, beside `localhost`: a request for another is refused, lest a page from elsewhere reaches it
    /// by a name that was made to point here.
    pub names: Vec<String>,
}

/// A token is guessed if it is shorter.
const TOKEN_BYTES_MIN: usize = 16;

/// A server that has its address and answers nobody yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<String>,
    names: Vec<String>,
}

impl Server {
    /// Takes the address. Fails where it can't be had, for an address away from loopback without a token, and for a token that is
    /// short.
    pub fn bind(listen: Listen) -> io::Result<Server> {
        let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let Listen { address, token, names } = listen;
        if token.as_ref().is_some_and(|token| token.len() < TOKEN_BYTES_MIN) {
            return Err(wrong(format!("the token is shorter than {TOKEN_BYTES_MIN} bytes")));
        }
        if !address.ip().is_loopback() && token.is_none() {
            return Err(wrong(format!("{address} can be reached by others: that needs a token")));
        }
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Server { listener, address, token, names })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers about a log that others write, or nobody. One that can't be read (`None`) is told as that, and tried again. With a token
    /// it also changes states, when nobody writes. Blocks for good; an error is that of the listener.
    pub fn run(self, subject: Subject, log: Option<LogReader>) -> io::Result<()> {
        let is_writable = self.token.is_some();
        let app = App::start(subject, log, None, is_writable)?;
        self.answer(app)
    }

    /// Answers about the log of a run, from its own process, on a thread that ends with the process. It changes nothing.
    pub fn watch(self, subject: Subject, log: LogReader, monitor: Monitor) -> io::Result<()> {
        let app = App::start(subject, Some(log), Some(monitor), false)?;
        let thread = std::thread::Builder::new().name("server".to_owned());
        // Its end is that of the listener; the run goes on.
        thread.spawn(move || drop(self.answer(app)))?;
        Ok(())
    }

    fn answer(self, app: Arc<App>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = guard::Guard::new(self.token, self.names, self.address);
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            axum::serve(listener, routes::router(app, guard)).await
        })
    }
}
