//! Who is answered, and what browsers are told.

use highwater_serve::Server;

use crate::site::{Site, TOKEN, on};

#[test]
fn a_name_that_points_here_is_not_enough() {
    let site = Site::new();
    let with = |host: &str| site.ask("GET", "/api/overview", &[("host", host)], "").status;
    for ours in ["localhost", "LOCALHOST:7474", "127.0.0.1", "[::1]:80", "hw.internal:7474"] {
        assert_eq!(with(ours), 200, "{ours}");
    }
    for theirs in
        ["evil.example", "evil.example:7474", "localhost.evil.example", "127.0.0.1.evil.example", ""]
    {
        assert_eq!(with(theirs), 421, "{theirs}");
    }
    assert_eq!(site.ask("GET", "/", &[("host", "evil.example")], "").status, 421, "the page, too");
}

#[test]
fn nothing_is_changed_without_the_token() {
    let body = r#"{"to":3,"by":"a","reason":"b","dry_run":true}"#;
    let ask = |site: &Site, token: Option<&str>| {
        let value = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(value.as_deref().map(|value| ("authorization", value)));
        site.ask("POST", "/api/rewind", &headers, body)
    };
    let site = Site::new();
    let refused = ask(&site, None).is(401);
    assert_eq!(refused.header("www-authenticate"), Some("bearer"));
    assert_eq!(ask(&site, Some("correct-horse-batterY")).status, 401);
    assert_eq!(ask(&site, Some("")).status, 401);
    assert_eq!(ask(&site, Some(TOKEN)).status, 200);
    let read_only = Site::with(on("127.0.0.1:0", None));
    assert_eq!(ask(&read_only, Some(TOKEN)).is(403).json()["error"]["kind"], "read_only");
    assert_eq!(read_only.get("/api/overview").json()["writable"], false);
}

#[test]
fn away_from_loopback_everything_needs_the_token() {
    let refused = Server::bind(on("0.0.0.0:0", None)).unwrap_err();
    assert!(refused.to_string().contains("needs a token"), "{refused}");
    assert!(Server::bind(on("127.0.0.1:0", Some("short"))).unwrap_err().to_string().contains("16 bytes"));
    let site = Site::with(on("0.0.0.0:0", Some(TOKEN)));
    for path in ["/api/overview", "/api/streams", "/metrics"] {
        assert_eq!(site.get(path).status, 401, "{path}");
        let token = format!("Bearer {TOKEN}");
        assert_eq!(site.ask("GET", path, &[("authorization", &token)], "").status, 200, "{path}");
    }
    // The page has to come before it can ask for the token.
    assert_eq!(site.get("/").status, 200);
}

#[test]
fn browsers_are_told_to_run_nothing_but_our_files() {
    let site = Site::new();
    for path in ["/", "/main.js", "/api/overview", "/api/nothing"] {
        let answer = site.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("deny"), "{path}");
    }
    assert_eq!(site.get("/main.js").header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(site.get("/api/overview").header("cache-control"), Some("no-store"));
}
