//! Somebody else's text, fit for a line of ours.

/// The most characters of somebody else's text that are shown.
const SHOWN_MAX: usize = 600;

/// Somebody else's text on one line: control characters are escaped, so that it can't command the terminal, and it
/// is cut where it gets long.
pub fn tame(text: &str) -> String {
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

/// What there is to choose from, as the end of a sentence: `there are a, b`.
pub fn there_are(names: &[impl AsRef<str>]) -> String {
    match names {
        [] => "there is none".to_owned(),
        [one] => format!("there is only {}", one.as_ref()),
        _ => format!("there are {}", names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")),
    }
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

    #[test]
    fn a_choice_of_one_is_no_plural() {
        assert_eq!(there_are(&["lake", "sea"]), "there are lake, sea");
        assert_eq!(there_are(&["lake"]), "there is only lake");
        assert_eq!(there_are(&[""; 0]), "there is none");
    }
}
