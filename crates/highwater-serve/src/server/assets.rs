//! The page's files, inside the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

macro_rules! files {
    ($($path:literal $kind:ident $file:literal)*) => {
        /// Path, content type, content.
        pub(super) const FILES: &[(&str, &str, &str)] =
            &[$(($path, $kind, include_str!(concat!("../../assets/", $file)))),*];
    };
}

files! {
    "/" HTML "index.html"
    "/page.css" CSS "page.css"
    "/icon.svg" SVG "icon.svg"
    "/main.js" JAVASCRIPT "main.js"
    "/ask.js" JAVASCRIPT "ask.js"
    "/build.js" JAVASCRIPT "build.js"
    "/words.js" JAVASCRIPT "words.js"
    "/chart.js" JAVASCRIPT "chart.js"
    "/overview.js" JAVASCRIPT "overview.js"
    "/segments.js" JAVASCRIPT "segments.js"
    "/streams.js" JAVASCRIPT "streams.js"
    "/state.js" JAVASCRIPT "state.js"
    "/checkpoints.js" JAVASCRIPT "checkpoints.js"
    "/past.js" JAVASCRIPT "past.js"
    "/change.js" JAVASCRIPT "change.js"
    "/api/openapi.json" JSON "openapi.json"
}

pub(super) fn answer(kind: &'static str, content: &'static str) -> Response {
    // Asked for again each time, since another version may answer under the same address: it is small, and near.
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_builds_no_markup_out_of_text() {
        let all: usize =
            FILES.iter().filter(|(path, ..)| !path.starts_with("/api/")).map(|f| f.2.len()).sum();
        assert!(all < 100 << 10, "{all} bytes");
        for (path, _, content) in FILES.iter().filter(|(_, kind, _)| *kind == JAVASCRIPT) {
            for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!content.contains(unsafe_way), "{unsafe_way} in {path}");
            }
        }
        let page = FILES[0].2;
        assert!(!page.contains("style=") && !page.contains("<style") && !page.contains("onclick"));
        assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"/").count());
    }
}
