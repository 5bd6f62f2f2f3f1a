//! An old schema with the columns that are new.

use super::difference::properties_of;
use crate::columns::{Members, push_text};
use crate::failure::{Failure, Result};

fn odd(error: serde_json::Error) -> Failure {
    Failure::permanent("a stream's schema is not an object").because(error)
}

/// `before` with the columns of `now` that it lacks, behind its own. What it says stays to the byte.
pub fn with_additions(before: &str, now: Option<&str>) -> Result<String> {
    let Some(new) = now.and_then(properties_of) else { return Ok(before.to_owned()) };
    let Members(root) = serde_json::from_str::<Members<'_>>(before).map_err(odd)?;
    let merged = merged(properties_of(before).unwrap_or("{}"), new)?;
    let mut out = String::from("{");
    for (name, value) in root.iter().filter(|(name, _)| name != "properties") {
        push(name, value.get(), &mut out);
    }
    push("properties", &merged, &mut out);
    out.push('}');
    Ok(out)
}

fn merged(old: &str, new: &str) -> Result<String> {
    let Members(old) = serde_json::from_str::<Members<'_>>(old).map_err(odd)?;
    let Members(new) = serde_json::from_str::<Members<'_>>(new).map_err(odd)?;
    let mut out = String::from("{");
    for (name, value) in &old {
        push(name, value.get(), &mut out);
    }
    for (name, value) in new.iter().filter(|(name, _)| !old.iter().any(|(known, _)| known == name)) {
        push(name, value.get(), &mut out);
    }
    out.push('}');
    Ok(out)
}

fn push(name: &str, value: &str, out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    push_text(name, out);
    out.push(':');
    out.push_str(value);
}
