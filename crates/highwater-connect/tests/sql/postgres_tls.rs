//! Encrypted connections, to a real server that takes no others by TCP.

use std::io::Write;

use highwater_connect::destination::sql::{Mode, Postgres, Settings};
use highwater_connect::{Destination, Failure, FailureKind};

use crate::world::World;

/// The server by TCP.
struct Server {
    port: String,
    certificates: String,
    schema: String,
}

impl Server {
    fn new(check: &str) -> Option<Self> {
        let (port, certificates) = ("HIGHWATER_TEST_POSTGRES_TLS", "HIGHWATER_TEST_CERTIFICATES");
        let (Ok(port), Ok(certificates)) = (std::env::var(port), std::env::var(certificates)) else {
            let how = "no server with TLS; run it by crates/highwater-connect/tests/with-postgres";
            let _ = writeln!(std::io::stderr(), "SKIPPED: {check}: {how}");
            return None;
        };
        // One for each test: they run side by side, and one of them drops its own.
        Some(Server { port, certificates, schema: check.chars().take(40).collect() })
    }

    fn open(&self, host: &str, options: &str) -> Result<Postgres, Failure> {
        let options = options.replace("DIR", &self.certificates);
        let port = &self.port;
        let url = format!(
            "postgresql://highwater:hunter2secret@{host}:{port}/postgres?hostaddr=127.0.0.1&{options}"
        );
        let mut postgres = Postgres::new(&url, &self.schema, Settings::new("tls").mode(Mode::Append))?;
        postgres.stored()?;
        Ok(postgres)
    }

    #[track_caller]
    fn takes(&self, host: &str, options: &str) -> Postgres {
        self.open(host, options).unwrap_or_else(|failure| panic!("{host} {options}: {failure}"))
    }

    /// It is refused for good, and says why.
    #[track_caller]
    fn refuses(&self, host: &str, options: &str, why: &str) {
        let failure = self.open(host, options).err().unwrap_or_else(|| panic!("{host} {options} is taken"));
        assert_eq!(failure.kind(), FailureKind::Config, "{failure}");
        assert!(failure.to_string().contains(why), "{failure}");
        assert!(!format!("{failure} {failure:?}").contains("hunter2"));
    }
}

#[test]
fn records_go_through_an_encrypted_connection() {
    let Some(server) = Server::new("records_go_through_an_encrypted_connection") else { return };
    let mut world = World::new();
    let stream = world.stream("orders", &[], None);
    for _ in 0..50 {
        world.insert(&stream, "{}");
        world.commit();
    }
    let mut postgres = server.takes(
        "localhost",
        "sslmode=verify-full&sslrootcert=DIR/ca.pem&channel_binding=require&application_name=through-tls",
    );
    world.deliver(&mut postgres).unwrap();
    let url = std::env::var("HIGHWATER_TEST_POSTGRES").unwrap();
    let mut beside = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let count: i64 =
        beside.query_one(&format!("SELECT count(*) FROM {}.orders", server.schema), &[]).unwrap().get(0);
    let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'through-tls'";
    let is_encrypted: bool = beside.query_one(sql, &[]).unwrap().get(0);
    beside.batch_execute(&format!("DROP SCHEMA {} CASCADE", server.schema)).unwrap();
    assert_eq!((count, is_encrypted), (50, true));
}

#[test]
fn who_asks_for_less_gets_an_encrypted_connection_where_there_is_no_other() {
    let Some(server) = Server::new("who_asks_for_less") else { return };
    for options in ["", "sslmode=prefer", "sslmode=require"] {
        server.takes("elsewhere.invalid", options);
    }
    let failure = server.open("localhost", "sslmode=disable").unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Authentication, "{failure}");
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let Some(server) = Server::new("a_server_that_nobody_vouches_for_is_refused") else { return };
    let why = "nobody whom we trust has signed it";
    for mode in ["require", "verify-ca", "verify-full"] {
        server.refuses("localhost", &format!("sslmode={mode}&sslrootcert=DIR/other-ca.pem"), why);
        server.takes("localhost", &format!("sslmode={mode}&sslrootcert=DIR/ca.pem"));
        // A server without an authority: its own certificate is trusted.
        server.takes("localhost", &format!("sslmode={mode}&sslrootcert=DIR/server.pem"));
    }
    // The system's authorities don't know it either.
    server.refuses("localhost", "sslmode=verify-full", "sslrootcert");
    server.refuses("localhost", "sslmode=verify-ca&sslrootcert=system", "sslrootcert");
}

#[test]
fn a_server_of_another_name_is_refused() {
    let Some(server) = Server::new("a_server_of_another_name_is_refused") else { return };
    let ca = "sslrootcert=DIR/ca.pem";
    for own in ["ca.pem", "server.pem"] {
        let options = format!("sslmode=verify-full&sslrootcert=DIR/{own}");
        server.refuses("elsewhere.invalid", &options, "localhost, and not of elsewhere.invalid");
    }
    server.takes("elsewhere.invalid", &format!("sslmode=verify-ca&{ca}"));
}
