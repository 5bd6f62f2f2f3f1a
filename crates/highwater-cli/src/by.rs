//! Who changes a log by hand, and why: it is kept with what they did.

use std::path::Path;

use clap::Args;
use highwater::{By as Signed, LogReader};

use crate::terminal;

/// Who, and why if they say.
#[derive(Debug, Args)]
pub(crate) struct MayBe {
    /// Why; it is kept with the log
    #[arg(long, value_name = "TEXT", value_parser = said)]
    reason: Option<String>,
    /// Who; it is kept with the log. Default: the user and the machine
    #[arg(long, value_name = "WHO", value_parser = said)]
    by: Option<String>,
}

impl MayBe {
    /// Puts on record who asked for work that is done, and why. That it can't be takes nothing back.
    pub(crate) fn sign(&self, log: &Path, work: &str) {
        let (who, why) = self.told();
        let signed = LogReader::open(log).and_then(|log| log.sign(work, Signed { who: &who, why: &why }));
        if let Err(error) = signed {
            terminal::warning(format!("it is done, and who asked for it is not on record: {error}"));
        }
    }

    /// Who, and why.
    pub(crate) fn told(&self) -> (String, String) {
        (self.by.clone().unwrap_or_else(me), self.reason.clone().unwrap_or_else(|| "not said".to_owned()))
    }
}

/// Who and why.
#[derive(Debug, Args)]
pub(crate) struct By {
    /// Why; it is kept in the log
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub(crate) reason: String,
    /// Who; it is kept in the log. Default: the user and the machine
    #[arg(long, value_name = "WHO", value_parser = said)]
    by: Option<String>,
}

impl By {
    pub(crate) fn who(&self) -> String {
        self.by.clone().unwrap_or_else(me)
    }
}

fn said(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("it says nothing".to_owned()) } else { Ok(text.to_owned()) }
}

fn me() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(|| "somebody".to_owned());
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => format!("{user} on {}", host.trim()),
        Err(_) => user,
    }
}
