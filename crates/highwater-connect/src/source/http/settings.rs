//! Where it listens, and for what.

use std::net::SocketAddr;

use highwater::{ColumnPath, StreamName};

use crate::definition::StreamDefinition;
use crate::failure::Result;
use crate::pipeline::Section;

/// Nobody from outside comes in unless that is asked for.
const LISTEN: &str = "127.0.0.1:8787";
const BODY_BYTES_MAX: usize = 1 << 20;

/// A listener.
#[derive(Clone)]
pub struct Http {
    pub(super) listen: SocketAddr,
    /// Who does not have it is refused.
    pub(super) token: Option<String>,
    pub(super) body_bytes_max: usize,
    pub(super) paths: Vec<Path>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The token is a secret.
        f.debug_struct("Http")
            .field("listen", &self.listen)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// A path, and the stream of what is sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub(super) path: String,
    name: StreamName,
    pub(super) key: Vec<ColumnPath>,
}

impl Path {
    /// What is posted to `path` is stream `name`.
    pub fn new(path: impl Into<String>, name: StreamName, key: Vec<ColumnPath>) -> Self {
        Path { path: path.into(), name, key }
    }

    pub(super) fn name(&self) -> &StreamName {
        &self.name
    }

    pub(super) fn definition(&self) -> StreamDefinition {
        StreamDefinition { key: self.key.clone(), ..StreamDefinition::new(self.name.clone()) }
    }
}

impl Http {
    /// Listens there, takes requests of at most 1 MiB, and lets everybody in.
    pub fn new(listen: SocketAddr, paths: Vec<Path>) -> Self {
        Http { listen, token: None, body_bytes_max: BODY_BYTES_MAX, paths }
    }

    /// Lets in only who has this token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Takes its settings from a section, whose `type` is taken already.
    pub fn read_settings(mut section: Section<'_>) -> Result<Self> {
        let listen = section.text("listen")?.unwrap_or_else(|| LISTEN.to_owned());
        let listen: SocketAddr = listen.parse().map_err(|_| {
            section.wrong("listen", format!("{listen:?} is no address and port, like {LISTEN:?}"))
        })?;
        let token = section.text("token")?.map(|token| section.variables().secrets().remember(token));
        if token.is_none() && !listen.ip().is_loopback() {
            let what = "is missing, and everybody who reaches the address could write; write token = \"${env:NAME}\"";
            return Err(section.wrong("token", what));
        }
        if token.as_deref().is_some_and(str::is_empty) {
            return Err(section.wrong("token", "is empty"));
        }
        let body = section.size("max_body")?.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let paths: Vec<Path> =
            section.sections("streams")?.into_iter().map(read_path).collect::<Result<_>>()?;
        if paths.is_empty() {
            return Err(section.wrong("streams", "is missing: nothing could come; write [[source.streams]]"));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = paths.iter().find(|path| !seen.insert(&path.path)) {
            return Err(section.wrong("streams", format!("the path {} is there twice", twice.path)));
        }
        section.finish()?;
        Ok(Http { listen, token, body_bytes_max: body.unwrap_or(BODY_BYTES_MAX), paths })
    }
}

fn read_path(mut section: Section<'_>) -> Result<Path> {
    let name = StreamName { name: section.needed_text("name")?, namespace: section.text("namespace")? };
    let path = section.text("path")?.unwrap_or_else(|| format!("/{}", name.name));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !path.starts_with('/') || !path.chars().all(is_plain) {
        return Err(
            section.wrong("path", format!("{path:?} is none: / and letters, digits, - _ . ~ between"))
        );
    }
    let key = section.paths("primary_key")?.unwrap_or_default();
    section.finish()?;
    Ok(Path { path, name, key })
}
