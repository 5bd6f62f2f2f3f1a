//! What PostgreSQL's errors mean to us. Their details may show a row's content, so only the message is passed on.

use std::error::Error as _;
use std::io;

use postgres::Error;
use postgres::error::SqlState;

use super::tls;
use crate::destination::sql::TABLE_IS_GONE;
use crate::failure::{Failure, FailureKind};

/// A failure of a statement or the connection.
pub(super) fn of(error: &Error) -> Failure {
    let kind = error.code().map_or(FailureKind::Transient, kind);
    let next = match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE => format!("; {TABLE_IS_GONE}"),
        _ => String::new(),
    };
    Failure::new(kind, format!("PostgreSQL: {}{next}", message(error)))
}

/// A failure of the connection's beginning.
pub(super) fn of_connecting(error: &Error) -> Failure {
    let cause = error.source().filter(|_| error.code().is_none());
    let failure = match cause.map(|cause| cause.downcast_ref::<io::Error>()) {
        Some(Some(network)) => of_handshake(network).unwrap_or_else(|| of(error)),
        // Neither the server's answer nor the network: what we were told to do does not fit the server.
        Some(None) => Failure::config(format!("PostgreSQL: {}", message(error))),
        None => of(error),
    };
    failure.while_doing("connecting")
}

/// Why the two don't trust each other, if that is what came from the network.
fn of_handshake(error: &io::Error) -> Option<Failure> {
    let why = tls::refusal(error.get_ref()?.downcast_ref()?)?;
    Some(Failure::config(format!("PostgreSQL: {why}")))
}

/// Why the server refuses a row, if it is the row that it refuses.
pub(super) fn refusal(error: &Error) -> Option<String> {
    /// Data, constraints, limits such as an index entry's size, and what triggers raise.
    const OF_ROWS: [&str; 4] = ["22", "23", "54", "P0"];
    let code = error.code()?.code();
    OF_ROWS
        .iter()
        .any(|class| code.starts_with(class))
        .then(|| format!("PostgreSQL refuses it: {}", message(error)))
}

fn message(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => format!("{} ({})", answer.message(), answer.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
    .replace('\n', " ")
}

fn kind(code: &SqlState) -> FailureKind {
    match code.code() {
        "28000" | "28P01" => FailureKind::Authentication,
        "3D000" | "3F000" | "42501" | "0LP01" => FailureKind::Config,
        // A lock that was not had in time, a name that somebody else took at this moment.
        "55P03" | "42P07" | "42710" | "25006" => FailureKind::Transient,
        code => match code.get(..2) {
            // Connections, resources, conflicts, an operator's intervention, the system.
            Some("08" | "40" | "53" | "57" | "58") => FailureKind::Transient,
            _ => FailureKind::Permanent,
        },
    }
}
