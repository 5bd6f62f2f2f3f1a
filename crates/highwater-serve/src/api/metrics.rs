//! The same numbers for Prometheus.

use super::{App, Refused};
use crate::history::History;
use crate::metrics::{gather, gather_unreadable, is_unreadable};

pub(crate) fn metrics(app: &App) -> Result<String, Refused> {
    let (history, measured) = (History::of(&app.index()), app.measured());
    let told = app.log().and_then(|log| gather(&app.subject, log, measured.as_ref(), &history));
    match told {
        Ok(text) => Ok(text.to_string()),
        Err(error) if is_unreadable(&error) => {
            Ok(gather_unreadable(&app.subject, measured.as_ref()).to_string())
        }
        Err(error) => Err(error.into()),
    }
}
