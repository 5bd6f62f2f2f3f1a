//! Nested values as PostgreSQL's `jsonb` takes them: it decodes what it stores, so it refuses more than JSON does.

use super::number;

/// Nesting beyond it could exhaust the server's stack.
const DEPTH_MAX: usize = 1000;

/// What this text is that `jsonb` would refuse, although it is valid JSON.
pub(crate) fn check(text: &str) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = check_string(bytes, at + 1)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err("nested too deeply");
                }
            }
            b']' | b'}' => depth -= 1,
            b'-' | b'0'..=b'9' => {
                let len = bytes[at..].iter().take_while(|b| is_of_number(**b)).count();
                if !number::fits_numeric(&text[at..at + len]) {
                    return Err("JSON with a number of too many digits");
                }
                at += len - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Where the string that begins here ends: at its closing quote.
fn check_string(bytes: &[u8], mut at: usize) -> Result<usize, &'static str> {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok(at),
            b'\\' if bytes.get(at + 1) == Some(&b'u') => at = check_escape(bytes, at)?,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Ok(at)
}

/// What follows a `\u` escape and, for the first half of a pair, the second.
fn check_escape(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    const HALF: &str = "JSON with half a character in a string";
    match code(bytes, at) {
        0 => Err("JSON with a NUL character in a string"),
        0xDC00..=0xDFFF => Err(HALF),
        0xD800..=0xDBFF => {
            let is_pair = bytes.get(at + 6..at + 8) == Some(b"\\u");
            let is_second = is_pair && (0xDC00..=0xDFFF).contains(&code(bytes, at + 6));
            if is_second { Ok(at + 12) } else { Err(HALF) }
        }
        _ => Ok(at + 6),
    }
}

/// The code of the escape at this place.
fn code(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_takes_passes_and_what_it_refuses_does_not() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for good in
            [r#"{"a":[1,-2.5e3,"\\u0000","é\n\ud83d\ude00"],"b":null}"#, r#""\"""#, "[1e131071]", &deep(1000)]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            r#"["\u0000"]"#,
            r#"{"\u0000":1}"#,
            r#"["\ud83d"]"#,
            r#"["\ude00"]"#,
            r#"["\ud83d\n"]"#,
            "[1e131072]",
            &deep(1001),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
