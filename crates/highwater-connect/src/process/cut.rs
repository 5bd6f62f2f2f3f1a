//! Lines for people: a line that is too long is cut, and never held as a whole.

use std::io::{ErrorKind, Read};

/// Reads to the end, and gives each line, cut to `bytes_max`.
pub(super) fn lines(mut source: impl Read, bytes_max: usize, mut tell: impl FnMut(&[u8])) {
    let mut line = Vec::new();
    let mut chunk = vec![0; 8 << 10];
    loop {
        let read = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            // Whoever reads lines for people can do nothing about it.
            Err(_) => break,
        };
        let mut rest = &chunk[..read];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            add(&mut line, &rest[..end], bytes_max);
            tell(&line);
            line.clear();
            rest = &rest[end + 1..];
        }
        add(&mut line, rest, bytes_max);
    }
    if !line.is_empty() {
        tell(&line);
    }
}

fn add(line: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) {
    let room = bytes_max.saturating_sub(line.len());
    line.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_lines_are_cut_and_the_last_needs_no_end() {
        let mut found = Vec::new();
        let text = format!("a\n{}\n\nlast", "x".repeat(50_000));
        super::lines(text.as_bytes(), 10, |line| found.push(String::from_utf8(line.to_vec()).unwrap()));
        assert_eq!(found, ["a", "xxxxxxxxxx", "", "last"]);
    }
}
