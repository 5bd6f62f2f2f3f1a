//! What a record does, in words: as destinations and files spell it.

use highwater::OpKind;

const NAMES: [(OpKind, &str); 5] = [
    (OpKind::Insert, "insert"),
    (OpKind::Upsert, "upsert"),
    (OpKind::Update, "update"),
    (OpKind::Delete, "delete"),
    (OpKind::Truncate, "truncate"),
];

/// Its name.
pub(crate) fn name(op: OpKind) -> &'static str {
    match op {
        OpKind::Insert => "insert",
        OpKind::Upsert => "upsert",
        OpKind::Update => "update",
        OpKind::Delete => "delete",
        OpKind::Truncate => "truncate",
    }
}

/// What has that name.
pub(crate) fn parse(text: &str) -> Option<OpKind> {
    NAMES.iter().find(|(_, name)| *name == text).map(|(op, _)| *op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        assert!(NAMES.iter().all(|(op, text)| name(*op) == *text && parse(text) == Some(*op)));
        assert_eq!(parse("merge"), None);
    }
}
