//! What goes to standard error. A failure to write there has nobody to be told to, so it is ignored.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether a person sees standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// One line, as it is.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
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
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {text}");
}
