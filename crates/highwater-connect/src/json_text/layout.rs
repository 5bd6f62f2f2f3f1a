//! White space, and nothing else, is put in for people, and taken out again.

/// The text on lines of its own, indented.
pub fn pretty(text: &str) -> String {
    let text = compact(text);
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0usize;
    let mut previous = ' ';
    each(&text, |c, is_inside| {
        let opened = matches!(previous, '{' | '[');
        match c {
            '}' | ']' if !is_inside => {
                depth = depth.saturating_sub(1);
                if !opened {
                    line(&mut out, depth);
                }
                out.push(c);
            }
            _ => {
                if opened {
                    line(&mut out, depth);
                }
                out.push(c);
                match c {
                    ',' if !is_inside => line(&mut out, depth),
                    ':' if !is_inside => out.push(' '),
                    '{' | '[' if !is_inside => depth += 1,
                    _ => {}
                }
            }
        }
        // What stands in a string opens nothing.
        previous = if is_inside { '"' } else { c };
    });
    out.push('\n');
    out
}

/// The text without white space between its tokens.
pub fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    each(text, |c, is_inside| {
        if is_inside || !c.is_ascii_whitespace() {
            out.push(c);
        }
    });
    out
}

/// So deep lines are indented at most.
const INDENT_MAX: usize = 64;

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth.min(INDENT_MAX)));
}

/// Every character, and whether it stands in a string; the quotes do.
fn each(text: &str, mut tell: impl FnMut(char, bool)) {
    let (mut is_inside, mut is_escaped) = (false, false);
    for c in text.chars() {
        let ends = is_inside && c == '"' && !is_escaped;
        let begins = !is_inside && c == '"';
        tell(c, is_inside || begins);
        is_escaped = is_inside && c == '\\' && !is_escaped;
        is_inside = (is_inside || begins) && !ends;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_changes() {
        let text = r#"{ "a": [1.0, {}, [], "x \" , [{\\"], "b":{"c":12345678901234567890123 } }"#;
        let plain = r#"{"a":[1.0,{},[],"x \" , [{\\"],"b":{"c":12345678901234567890123}}"#;
        assert_eq!(compact(text), plain);
        let lines = pretty(text);
        assert_eq!(compact(&lines), plain);
        assert_eq!(
            lines,
            "{\n  \"a\": [\n    1.0,\n    {},\n    [],\n    \"x \\\" , [{\\\\\"\n  ],\n  \"b\": {\n    \"c\": 12345678901234567890123\n  }\n}\n"
        );
    }
}
