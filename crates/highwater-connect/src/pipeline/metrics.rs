//! The part of a pipeline file that says who is told what a run measures.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::section::Section;
use crate::failure::Result;

/// Where a run's metrics go, beside the file that it always leaves in its work directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where a run answers by HTTP while it lasts: metrics, an API, a page.
    pub listen: Option<SocketAddr>,
    /// What whoever asks has to know; needed away from loopback.
    pub token: Option<String>,
    /// Names that it goes by there, beside `localhost`.
    pub names: Vec<String>,
    /// A file for node_exporter's textfile collector: right for runs that end, which nobody scrapes in time.
    pub textfile: Option<PathBuf>,
}

impl Metrics {
    pub(super) fn read(mut section: Section<'_>) -> Result<Self> {
        let listen = section.text("listen")?;
        let address = |text: String| {
            text.parse()
                .map_err(|_| section.wrong("listen", format!("{text:?} is no address like 127.0.0.1:9464")))
        };
        let listen = listen.map(address).transpose()?;
        let token = section.text("token")?.map(|token| section.variables().secrets().remember(token));
        let base = section.variables().base().to_owned();
        let textfile = section.text("textfile")?.map(|path| base.join(path));
        let metrics = Metrics { listen, token, names: section.texts("names")?, textfile };
        section.finish()?;
        Ok(metrics)
    }
}
