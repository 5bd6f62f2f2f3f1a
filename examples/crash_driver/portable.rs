//! Copies of the log, and logs out of copies.

use highwater::{By, backup};

use crate::{Arguments, say, text};

pub(crate) fn backup(arguments: &Arguments) -> Result<(), String> {
    backup::take(&arguments.dir, &arguments.to, &mut |_| {}).map_err(text)?;
    say("done");
    Ok(())
}

pub(crate) fn restore(arguments: &Arguments) -> Result<(), String> {
    let by = By { who: "a rig", why: "to go on in another place" };
    backup::restore(&arguments.dir, &arguments.to, None, by, arguments.config()).map_err(text)?;
    say("done");
    Ok(())
}
