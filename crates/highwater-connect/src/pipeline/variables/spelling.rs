//! How a secret may be spelt in somebody else's text.
//!
//! *Why compare character by character, instead of looking for each spelling?* Programs do not agree on which characters they spell in
//! another way: `/` is `/` or `%2F` or `\/`, `ö` is `ö` or `\u00f6` or `%C3%B6`; so one secret has thousands of spellings.

use base64::prelude::{
    BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine,
};

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// Fewer characters of base64 could stand there by chance.
const BASE64_CHARS_MIN: usize = 8;

/// The text without the secret; `None` if it is not in there. `encoded` is the secret [in base64](in_base64).
pub(super) fn without(text: &str, secret: &str, encoded: &[String]) -> Option<String> {
    let mut shown = None::<String>;
    for plain in std::iter::once(secret).chain(encoded.iter().map(String::as_str)) {
        let text = shown.as_deref().unwrap_or(text);
        shown = text.contains(plain).then(|| text.replace(plain, HIDDEN)).or(shown);
    }
    // Without these signs it would be the plain secret, which is out already.
    let ways: [(&[char], Spelt); 3] = [
        (&['%', '+'], in_url),
        (&['\\'], |c, text| escaped(c, text, 1)),
        (&['\\'], |c, text| escaped(c, text, 2)),
    ];
    for (signs, spelt) in ways {
        let text = shown.as_deref().unwrap_or(text);
        shown = text.contains(signs).then(|| replaced(text, secret, spelt)).flatten().or(shown);
    }
    shown
}

/// The secret in base64, the longest first: all of it, and what of it is sure where other bytes are before and behind it.
pub(super) fn in_base64(secret: &str) -> Vec<String> {
    let mut spelt = vec![BASE64_STANDARD.encode(secret), BASE64_URL_SAFE.encode(secret)];
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        spelt.push(engine.encode(secret));
        for before in 0..3 {
            let bytes = [&[0; 3][..before], secret.as_bytes()].concat();
            // A character is six bits.
            let sure = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
            spelt.push(engine.encode(&bytes)[sure].to_owned());
        }
    }
    spelt.retain(|one| one.trim_end_matches('=').len() >= BASE64_CHARS_MIN);
    spelt.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    spelt.dedup();
    spelt
}

/// How many bytes of the text spell the character at its beginning; `None` if it begins otherwise.
type Spelt = fn(char, &str) -> Option<usize>;

fn replaced(text: &str, secret: &str, spelt: Spelt) -> Option<String> {
    let length = |text: &str| {
        secret.chars().try_fold(0, |at, c| text.get(at..).and_then(|text| Some(at + spelt(c, text)?)))
    };
    let find = |text: &str| text.char_indices().find_map(|(at, _)| Some((at, at + length(&text[at..])?)));
    let (mut shown, mut rest) = (None::<String>, text);
    while let Some((start, end)) = find(rest) {
        let shown = shown.get_or_insert_default();
        shown.push_str(&rest[..start]);
        shown.push_str(HIDDEN);
        rest = &rest[end..];
    }
    shown.map(|shown| shown + rest)
}

/// As it is, or each of its bytes as `%XX`; a blank may be a plus sign.
fn in_url(c: char, text: &str) -> Option<usize> {
    match c {
        ' ' if text.starts_with('+') => Some(1),
        '%' => codes(text, "%", 2, utf8(c)),
        _ if text.starts_with(c) => Some(c.len_utf8()),
        _ => codes(text, "%", 2, utf8(c)),
    }
}

/// As JSON, Python and their like escape it, so many times in turn.
fn escaped(c: char, text: &str, times: u32) -> Option<usize> {
    let slashes = text.bytes().take_while(|byte| *byte == b'\\').count();
    let doubled = 1 << times;
    if c == '\\' && slashes >= doubled {
        return Some(doubled);
    }
    if slashes == 0 {
        return text.starts_with(c).then(|| c.len_utf8());
    }
    // One of something else, of which the last escape has doubled the backslash.
    if slashes >= doubled {
        return None;
    }
    let letter = match c {
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        other => other,
    };
    let is_short = !c.is_alphanumeric() && text[slashes..].starts_with(letter);
    let (u, x) = (format!("{}u", &text[..slashes]), format!("{}x", &text[..slashes]));
    let utf16 = c.encode_utf16(&mut [0; 2]).iter().map(|unit| u32::from(*unit)).collect::<Vec<_>>();
    is_short
        .then(|| slashes + letter.len_utf8())
        .or_else(|| codes(text, &u, 4, utf16))
        .or_else(|| codes(text, &x, 2, utf8(c)))
        .or_else(|| codes(text, &x, 2, [u32::from(c)]))
}

fn utf8(c: char) -> Vec<u32> {
    c.encode_utf8(&mut [0; 4]).bytes().map(u32::from).collect()
}

/// The length of these values, each as the sign and so many hexadecimal digits, small or large.
fn codes(text: &str, sign: &str, digits: usize, values: impl IntoIterator<Item = u32>) -> Option<usize> {
    values.into_iter().try_fold(0, |at, value| {
        let number = text.get(at..)?.strip_prefix(sign)?.get(..digits)?;
        let is_it = number.bytes().all(|byte| byte.is_ascii_hexdigit())
            && u32::from_str_radix(number, 16) == Ok(value);
        is_it.then_some(at + sign.len() + digits)
    })
}
