//! Asking before something happens that one might not want.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;
use crate::terminal;

/// Whether somebody sits there who can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && terminal::is_watched()
}

/// Asks on a terminal; elsewhere there is nobody to ask, and it takes `--yes`.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    if !can_ask() {
        return Err(Failure::usage("nothing was changed: without a terminal to ask on, say --yes")
            .hint("the same with --dry-run, then with --yes"));
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|e| Failure::io("reading the answer", &e))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::error("nothing was changed")),
    }
}
