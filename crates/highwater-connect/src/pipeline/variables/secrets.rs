//! Values that may not be shown, and where a text has them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::spelling;

/// Shorter values are not hidden: they would turn up by chance in every other line.
const HIDDEN_BYTES_MIN: usize = 4;

/// Values that may not be shown. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Vec<Secret>>>);

struct Secret {
    value: String,
    base64: Vec<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Remembers a secret, and gives it back. Of several lines, each is one, too.
    pub fn remember(&self, value: String) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in std::iter::once(value.as_str()).chain(value.lines()) {
            if part.len() >= HIDDEN_BYTES_MIN && !known.iter().any(|one| one.value == part) {
                known.push(Secret { value: part.to_owned(), base64: spelling::in_base64(part) });
            }
        }
        // A secret that contains another goes first, or its rest would stay.
        known.sort_by_key(|one| std::cmp::Reverse(one.value.len()));
        value
    }

    /// Remembers every text in a JSON value: what a connector sent as its new configuration.
    pub fn remember_all(&self, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                self.remember(text.clone());
            }
            serde_json::Value::Array(list) => list.iter().for_each(|one| self.remember_all(one)),
            serde_json::Value::Object(map) => map.values().for_each(|one| self.remember_all(one)),
            _ => {}
        }
    }

    /// The text with `***` in place of every secret: as it is, as programs escape it (JSON, Python's `repr`), as it stands in a URL,
    /// and in base64, also behind something else (`user:SECRET`).
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown = Cow::Borrowed(text);
        for secret in known.iter() {
            if let Some(without) = spelling::without(&shown, &secret.value, &secret.base64) {
                shown = Cow::Owned(without);
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that some program writes in another way.
    const SECRET: &str = "pa\"ss\\w'örd&+/= %41~\t\u{1f511}";

    fn hidden(secret: &str, text: &str) -> String {
        let secrets = Secrets::default();
        secrets.remember(secret.to_owned());
        secrets.hide(&format!("<{text}>")).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_however_programs_spell_it() {
        for spelt in [
            SECRET,
            // serde_json, json.dumps and JSON.stringify; and a JSON text in another.
            r#"pa\"ss\\w'örd&+/= %41~\t🔑"#,
            r#"pa\"ss\\w'\u00f6rd&+/= %41~\t\ud83d\udd11"#,
            r#"pa\"ss\\w'\u00F6rd&+\/= %41~\t\uD83D\uDD11"#,
            r#"pa\\\"ss\\\\w'\\u00f6rd&+/= %41~\\t\\ud83d\\udd11"#,
            // Python's repr of the text, of its bytes, and of a text without double quotes in it.
            r#"pa"ss\\w\'örd&+/= %41~\t🔑"#,
            r#"pa"ss\\w\'\xc3\xb6rd&+/= %41~\t\xf0\x9f\x94\x91"#,
            // urllib's quote, quote without a safe character, and quote_plus; encodeURIComponent; others with small letters.
            "pa%22ss%5Cw%27%C3%B6rd%26%2B/%3D%20%2541~%09%F0%9F%94%91",
            "pa%22ss%5Cw%27%C3%B6rd%26%2B%2F%3D%20%2541~%09%F0%9F%94%91",
            "pa%22ss%5Cw%27%C3%B6rd%26%2B%2F%3D+%2541~%09%F0%9F%94%91",
            "pa%22ss%5Cw'%C3%B6rd%26%2B%2F%3D%20%2541~%09%F0%9F%94%91",
            "pa%22ss%5cw%27%c3%b6rd%26%2b%2f%3d%20%2541%7e%09%f0%9f%94%91",
        ] {
            assert_eq!(hidden(SECRET, spelt), "<***>", "{spelt}");
        }
    }

    #[test]
    fn a_secret_in_base64_is_hidden_but_for_what_its_neighbours_share() {
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
        assert_eq!(hidden("hunter2-hunter2", &BASE64_STANDARD.encode("hunter2-hunter2")), "<***>");
        assert_eq!(
            hidden("hunter?~hunter\u{ff}", &BASE64_URL_SAFE_NO_PAD.encode("hunter?~hunter\u{ff}")),
            "<***>"
        );
        for user in ["u", "us", "use", "user"] {
            let shown = hidden("hunter2-hunter2", &BASE64_STANDARD.encode(format!("{user}:hunter2-hunter2")));
            assert!(shown.contains("***") && shown.len() <= "<***>".len() + 4 + 8, "{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for (secret, text) in [
            ("hunter2", r"hunter3 hunte\r2 hunter%3 hunter%"),
            ("a+b c", "a%2Bb%20d a+b"),
            ("pa\\x", r"pa\\\x pa\u005"),
            // Too short for base64 that could not stand there by chance.
            ("abcd", "YWJjZA=="),
        ] {
            assert_eq!(hidden(secret, text), format!("<{text}>"));
        }
    }

    #[test]
    fn a_secret_that_contains_another_goes_whole() {
        let secrets = Secrets::default();
        secrets.remember("first line\nsecond line".to_owned());
        assert_eq!(secrets.hide("first line\\nsecond line, second line"), "***, ***");
    }
}
