//! Where the server is, and a connection to it.

use std::path::Path;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure;
use super::options::{Encryption, Options};
use super::tls;
use crate::failure::{Failure, Result};

const CONNECT: Duration = Duration::from_secs(30);

/// Times are written and read as UTC. A commit is on the disk when it returns, whatever the server's default: the log forgets
/// what we have acknowledged.
const SET_UP: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
    SELECT pg_catalog.set_config('synchronous_commit', 'on', false) \
    WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')";

/// A server, with how it is spoken to.
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Server {
    /// The paths in a URL start from `base`.
    pub(super) fn new(url: &str, base: &Path) -> Result<Self> {
        let (mut options, rest) = Options::take(url, base)?;
        // What is wrong with it is not told: it would quote the URL.
        let config = rest.parse::<Config>();
        let mut config =
            config.map_err(|_| Failure::config("the URL is none that PostgreSQL's clients understand"))?;
        let is_local = |host: &Host| matches!(host, Host::Unix(_));
        if !config.get_hosts().is_empty() && config.get_hosts().iter().all(is_local) {
            // Nobody else can listen there, and the server does not encrypt it, whatever is asked for.
            options.encryption = Encryption::No;
        }
        config.ssl_mode(match options.encryption {
            Encryption::No => SslMode::Disable,
            Encryption::IfPossible => SslMode::Prefer,
            Encryption::Yes => SslMode::Require,
        });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("highwater");
        }
        let tls = tls::connector(options.checks, &options.roots)?;
        Ok(Server { config, tls })
    }

    /// A connection of which we know how it writes times and text.
    pub(super) fn connect(&self) -> Result<Client> {
        let connected = self.config.connect(self.tls.clone());
        let mut client = connected.map_err(|error| failure::of_connecting(&error))?;
        client.batch_execute(SET_UP).map_err(|error| failure::of_connecting(&error))?;
        let encoding = client.query_one("SHOW server_encoding", &[]).map_err(|error| failure::of(&error))?;
        match encoding.try_get::<_, String>(0).as_deref() {
            Ok("UTF8") => Ok(client),
            _ => Err(Failure::config("the database's encoding is not UTF8, so it can't hold all text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::FailureKind;

    fn server(url: &str) -> Result<Server> {
        Server::new(url, Path::new(""))
    }

    #[test]
    fn a_password_is_in_no_failure() {
        let urls = [
            "postgres://u:hunter2@[bad/x",
            "postgres://u:hunter2@h:port/x",
            "postgres://u:hunter2@h/x?sslmode=never",
            "password=hunter2 'host",
            "hunter2",
        ];
        for url in urls {
            let failure = server(url).err().unwrap();
            assert_eq!(failure.kind(), FailureKind::Config);
            assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
        }
        for mode in ["disable", "prefer", "require"] {
            let url = format!("postgres://u:hunter2@127.0.0.1:1/x?sslmode={mode}");
            let failure = server(&url).unwrap().connect().err().unwrap();
            assert_eq!(failure.kind(), FailureKind::Transient);
            assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
        }
    }

    /// Who gives this answer to everybody who asks for TLS, and goes.
    fn answering(answer: &'static [u8]) -> u16 {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.read_exact(&mut [0; 8]).unwrap();
                stream.write_all(answer).unwrap();
            }
        });
        port
    }

    #[test]
    fn a_server_without_tls_is_not_tried_again_and_one_that_goes_is() {
        let failure = |answer| {
            let url = format!("postgres://u@127.0.0.1:{}/x?sslmode=require", answering(answer));
            server(&url).unwrap().connect().err().unwrap()
        };
        let without = failure(b"N");
        assert_eq!(without.kind(), FailureKind::Config, "{without}");
        assert!(without.to_string().contains("does not support TLS"), "{without}");
        let gone = failure(b"S");
        assert_eq!(gone.kind(), FailureKind::Transient, "{gone}");
    }

    #[test]
    fn on_a_socket_nothing_is_encrypted() {
        let mode = |host: &str| {
            let server = server(&format!("host={host} user=u sslmode=require")).unwrap();
            server.config.get_ssl_mode()
        };
        assert_eq!(mode("/run/postgresql"), SslMode::Disable);
        assert_eq!(mode("db.internal"), SslMode::Require);
    }

    #[test]
    fn what_can_not_be_right_is_not_tried_again() {
        let failure = server("user=u").unwrap().connect().err().unwrap();
        assert_eq!(failure.kind(), FailureKind::Config, "{failure}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("empty.pem"), "nothing").unwrap();
        for (file, told) in [("empty.pem", "holds no certificate"), ("none.pem", "none.pem")] {
            let url = format!("postgres://h/x?sslmode=verify-ca&sslrootcert={file}");
            let failure = Server::new(&url, dir.path()).err().unwrap();
            assert_eq!(failure.kind(), FailureKind::Config);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
