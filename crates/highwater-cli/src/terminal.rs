//! What goes to standard error. A failure to write there has nobody to be told to, so it is ignored.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use highwater_connect::pipeline::Secrets;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Those of the pipeline that this process works on. Whatever says something goes through here, so nobody else has to think of them.
static SECRETS: OnceLock<Secrets> = OnceLock::new();

/// From now on these are shown to nobody, nor what is added to them later. A process works on one pipeline.
pub(crate) fn hide(secrets: &Secrets) {
    // The first stay: they are the same pipeline's.
    let _ = SECRETS.set(secrets.clone());
}

fn hidden(text: impl Display) -> String {
    let text = text.to_string();
    match SECRETS.get() {
        Some(secrets) => secrets.hide(&text).into_owned(),
        None => text,
    }
}

/// Whether a person sees standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// One line, as it is.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{}", hidden(text));
}

pub(crate) fn error(text: impl Display) {
    labelled(AnsiColor::Red.on_default().bold(), "highwater", text);
}

pub(crate) fn hint(text: impl Display) {
    labelled(AnsiColor::Cyan.on_default(), "try", text);
}

pub(crate) fn note(text: impl Display) {
    labelled(AnsiColor::Green.on_default(), "note", text);
}

pub(crate) fn warning(text: impl Display) {
    labelled(AnsiColor::Yellow.on_default().bold(), "warning", text);
}

/// A bar for so many bytes on a terminal, nothing elsewhere.
pub(crate) fn bar(total_bytes: u64, template: &str) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn labelled(style: Style, label: &str, text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {}", hidden(text));
}
