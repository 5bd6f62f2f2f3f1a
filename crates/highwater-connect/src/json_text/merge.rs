//! Merge patches by RFC 7396.

use std::collections::HashMap;

use super::{DEPTH_MAX, members, quoted};

/// The target with the patch applied. Both are JSON. Objects that the patch touches are written anew, in their order; all else
/// stays to the letter. Fails where the patch is nested too deep.
pub fn merge(target: &str, patch: &str) -> Result<String, String> {
    merge_at(Some(target), patch, DEPTH_MAX)
}

fn merge_at(target: Option<&str>, patch: &str, depth: usize) -> Result<String, String> {
    let Some(changes) = members(patch) else { return Ok(patch.trim().to_owned()) };
    if depth == 0 {
        return Err(format!("the patch is nested deeper than {DEPTH_MAX} objects"));
    }
    let object = target.and_then(members);
    if let Some(target) = target.filter(|_| changes.is_empty() && object.is_some()) {
        return Ok(target.to_owned());
    }
    let mut merged: Vec<(String, Option<String>)> = Vec::new();
    let mut places = HashMap::new();
    for (key, value) in object.into_iter().flatten() {
        place(&mut merged, &mut places, key).1 = Some(value.to_owned());
    }
    for (key, value) in changes {
        let member = place(&mut merged, &mut places, key);
        member.1 = match value {
            "null" => None,
            value => Some(merge_at(member.1.as_deref(), value, depth - 1)?),
        };
    }
    let members =
        merged.iter().filter_map(|(key, value)| Some(format!("{}:{}", quoted(key), value.as_ref()?)));
    Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

/// Where a member stands; the last of one name counts, in the place of the first.
fn place<'a>(
    merged: &'a mut Vec<(String, Option<String>)>,
    places: &mut HashMap<String, usize>,
    key: String,
) -> &'a mut (String, Option<String>) {
    let n = *places.entry(key.clone()).or_insert_with(|| {
        merged.push((key, None));
        merged.len() - 1
    });
    &mut merged[n]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merge(target, patch).as_deref(), Ok(expected));
            let mut oracle: Value = serde_json::from_str(target).unwrap();
            json_patch::merge(&mut oracle, &serde_json::from_str(patch).unwrap());
            assert_eq!(serde_json::from_str::<Value>(expected).unwrap(), oracle);
        }
    }

    #[test]
    fn what_the_patch_does_not_name_stays_to_the_letter() {
        let target = r#"{ "big": 12345678901234567890123, "one": 1.0, "z": { "k" : "\u0041" }, "a": 1 }"#;
        let expected = r#"{"big":12345678901234567890123,"one":1.0,"z":{ "k" : "\u0041" },"a":2}"#;
        assert_eq!(merge(target, r#"{"a":2}"#).as_deref(), Ok(expected));
        assert_eq!(merge(target, "{}").as_deref(), Ok(target));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        assert!(merge("{}", &deep).is_err());
    }
}
