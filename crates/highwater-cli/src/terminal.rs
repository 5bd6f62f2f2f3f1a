//! What goes to standard error. A failure to write there has nobody to be told to, so it is ignored.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

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

fn labelled(style: Style, label: &str, text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{style}{label}{style:#}: {text}");
}

/// The most characters of somebody else's text that are shown.
const SHOWN_MAX: usize = 300;

/// Somebody else's text on one line: control characters are escaped, so that it can't command the terminal, and it
/// is cut where it gets long.
pub(crate) fn tame(text: &str) -> String {
    let mut shown = String::new();
    for (n, c) in text.trim_end().chars().enumerate() {
        if n == SHOWN_MAX {
            shown.push_str(" ...");
            break;
        }
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() || is_bidi_control(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// They turn the order of what follows around, and so could make a line read as another.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_on_its_line_and_short() {
        assert_eq!(tame("a\nb\u{1b}[31mc\r"), r"a\nb\u{1b}[31mc");
        assert!(tame(&"x".repeat(10_000)).len() < SHOWN_MAX + 10);
    }
}
