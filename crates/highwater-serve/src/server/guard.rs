//! Who is answered: a request that names this server, and where it matters one that has the token. And what every answer says
//! to browsers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::routes::refusal;
use crate::api::Refused;

/// What browsers are told: nothing but our own files runs, and nobody frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The rules.
#[derive(Debug)]
pub(super) struct Guard {
    /// Its digest: two of these are compared in a time that tells nothing.
    token: Option<blake3::Hash>,
    names: Vec<String>,
    is_loopback: bool,
}

impl Guard {
    pub(super) fn new(token: Option<String>, names: Vec<String>, address: SocketAddr) -> Arc<Guard> {
        let token = token.map(|token| blake3::hash(token.as_bytes()));
        Arc::new(Guard { token, names, is_loopback: address.ip().is_loopback() })
    }

    fn check(&self, request: &Request) -> Result<(), Refused> {
        self.check_host(request)?;
        let path = request.uri().path();
        let is_protected = path.starts_with("/api/") || path == "/metrics";
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_read && (self.is_loopback || !is_protected) {
            return Ok(());
        }
        self.check_token(request.headers())
    }

    /// An address is what it says. A name may have been made to point here by whoever owns it.
    fn check_host(&self, request: &Request) -> Result<(), Refused> {
        let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let asked = request.uri().authority().map(|authority| authority.as_str()).or(header);
        let host = asked.map(without_port).unwrap_or_default();
        let is_ours = host.eq_ignore_ascii_case("localhost")
            || is_address(host)
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        if is_ours {
            return Ok(());
        }
        let text = "this server does not go by that name; if it should, start it with --name".to_owned();
        Err(Refused::new(421, "host", text))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(token) = self.token else {
            let text = "nothing can be changed here: no token was given when it was started".to_owned();
            return Err(Refused::new(403, "read_only", text));
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        match given.map(|given| blake3::hash(given.as_bytes())) {
            Some(given) if given == token => Ok(()),
            Some(_) => Err(Refused::new(401, "token", "that is not the token")),
            None => Err(Refused::new(401, "token", "this needs the token")),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

/// The first to see each request, and the last to see its answer.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refusal(&refused),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_and_without_its_port() {
        let cases = [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")];
        for (host, name) in cases {
            assert_eq!(without_port(host), name, "{host}");
        }
        assert!(is_address("127.0.0.1") && is_address("[::1]") && is_address("10.0.0.7"));
        assert!(!is_address("evil.example") && !is_address("127.0.0.1.evil.example") && !is_address(""));
    }
}
