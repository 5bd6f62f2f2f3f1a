//! From JSON to typed columns: which columns a stream's schema declares, of which kind, and which values fit them.

pub(crate) mod fields;
pub(crate) mod json_schema;
pub(crate) mod kind;
pub(crate) mod moment;
pub(crate) mod nested;
pub(crate) mod number;
pub(crate) mod value;
