//! What a stream's file or directory is called.

use highwater::StreamName;

/// A longer name is cut, and gets a hash, in bytes.
const BYTES_MAX: usize = 150;

/// `NAMESPACE.NAME`, or `NAME`, with what is no letter, digit, `-` or `_` as `%` and its byte. No two streams have the same; an empty
/// part is a `%`.
pub(crate) fn of(stream: &StreamName) -> String {
    let mut name = String::new();
    if let Some(namespace) = &stream.namespace {
        push_part(namespace, &mut name);
        name.push('.');
    }
    push_part(&stream.name, &mut name);
    if name.len() > BYTES_MAX {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        name.truncate(BYTES_MAX);
        name = format!("{name}.{}", &hash[..16]);
    }
    name
}

fn push_part(part: &str, name: &mut String) {
    if part.is_empty() {
        name.push('%');
    }
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_streams_share_a_name_and_none_leaves_its_directory() {
        let name = |namespace: Option<&str>, name: &str| {
            of(&StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() })
        };
        assert_eq!(name(Some("shop"), "orders"), "shop.orders");
        assert_eq!(name(None, "shop.orders"), "shop%2Eorders");
        assert_eq!(name(Some(""), "s"), "%.s");
        assert_eq!(name(None, "../ü"), "%2E%2E%2F%C3%BC");
        let long = |last: char| name(None, &format!("{}{last}", "x".repeat(300)));
        assert_ne!(long('a'), long('b'));
        assert!(long('a').len() < 200);
    }
}
