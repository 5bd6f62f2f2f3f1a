//! Fivetran's states: that of a connector made with its SDK, as the local tester keeps it and as the API gives it.

use super::object::Object;
use super::{Imported, global};
use crate::failure::{Failure, Result};

pub(super) fn parse(text: &str) -> Result<Imported> {
    let object = Object::read(text, "")?;
    let is_answer = object.get("code").is_some() && object.get("data").is_some();
    if !is_answer {
        return state(&object, text);
    }
    let code = object.text("code")?.unwrap_or_default();
    if code != "Success" {
        return Err(Failure::config(format!("code: the API answered {code:?}, so there is no state in it")));
    }
    let data = object.object("data")?.ok_or_else(|| Failure::config("data: it is missing"))?;
    let text = data.needed("state")?;
    state(&Object::read(text, "data.state")?, text)
}

fn state(object: &Object<'_>, text: &str) -> Result<Imported> {
    if object.is_empty() {
        return Err(Failure::config("the state is empty: there is nothing to go on from"));
    }
    Ok(Imported { states: vec![global(text)], notes: Vec::new() })
}
