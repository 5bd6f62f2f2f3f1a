//! The same numbers for Prometheus.

use super::{App, Refused};
use crate::metrics::gather;

pub(crate) fn metrics(app: &App) -> Result<String, Refused> {
    let attempts = app.index().attempts();
    Ok(gather(&app.subject, &app.log, app.measured().as_ref(), &attempts)?.to_string())
}
