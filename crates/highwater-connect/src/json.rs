//! JSON as a text on one line.

/// Appends JSON that was read as such, on one line.
pub(crate) fn push_line(json: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    // Line breaks are white space in JSON, and never inside a text.
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
