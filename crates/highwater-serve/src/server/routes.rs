//! Which address is answered by what. Everything that reads a log blocks, so it is done on a thread of its own.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Json, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use highwater_connect::text::tame;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::assets;
use super::guard::{Guard, guard};
use crate::api::{
    App, Refused, change, charts, checkpoints, metrics, overview, past, space, states, streams,
};
use crate::metrics::CONTENT_TYPE;

/// The API's version, in every answer: it changes when a field is removed or changes its meaning.
const VERSION: u32 = 1;

/// Every address of the API. The document `openapi.json` has the same.
fn api() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/api/overview", ask(overview::overview)),
        ("/api/streams", ask(streams::streams)),
        ("/api/checkpoints", ask(checkpoints::checkpoints)),
        ("/api/checkpoint", ask(checkpoints::checkpoint)),
        ("/api/history", ask(states::history)),
        ("/api/difference", ask(states::difference)),
        ("/api/space", ask(space::space)),
        ("/api/series", ask(charts::series)),
        ("/api/latency", ask(charts::latency)),
        ("/api/runs", ask(past::runs)),
        ("/api/audit", ask(past::audit)),
        ("/api/rewind", order(change::rewind)),
        ("/api/state", order(change::set)),
        ("/metrics", get(scrape)),
    ]
}

pub(super) fn router(app: Arc<App>, rules: Arc<Guard>) -> Router {
    let mut router = Router::new();
    for (path, answer) in api() {
        router = router.route(path, answer);
    }
    for (path, kind, content) in assets::FILES.iter().copied() {
        router = router.route(path, get(move || async move { assets::answer(kind, content) }));
    }
    let nothing_there = || async {
        let text = "there is nothing at that address; /api/openapi.json has them all".to_owned();
        refusal(&Refused::new(404, "not_found", text))
    };
    let router = router.fallback(nothing_there).with_state(app);
    router.layer(middleware::from_fn_with_state(rules, guard))
}

/// A question that changes nothing, asked by GET.
fn ask<Q, A>(answer: fn(&App, Q) -> Result<A, Refused>) -> MethodRouter<Arc<App>>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
{
    get(move |State(app): State<Arc<App>>, question: Result<Query<Q>, QueryRejection>| async move {
        match question {
            Ok(Query(question)) => blocking(move || json(&answer(&app, question)?)).await,
            Err(wrong) => refusal(&Refused::question(in_our_words(&wrong.body_text()))),
        }
    })
}

/// Something to be done, asked for by POST.
fn order<Q, A>(act: fn(&App, Q) -> Result<A, Refused>) -> MethodRouter<Arc<App>>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + 'static,
{
    post(move |State(app): State<Arc<App>>, order: Result<Json<Q>, JsonRejection>| async move {
        match order {
            Ok(Json(order)) => blocking(move || json(&act(&app, order)?)).await,
            Err(wrong) => refusal(&Refused::question(in_our_words(&wrong.body_text()))),
        }
    })
}

/// What is wrong with a question or an order, from what the library says of it: `what it failed at: the part: why`, or without the part.
fn in_our_words(text: &str) -> String {
    let document = "/api/openapi.json tells what may be asked";
    let why = text.strip_prefix("Failed to ").and_then(|rest| rest.split_once(": ")).map(|(_, why)| why);
    let Some(why) = why else { return format!("that can't be understood ({}); {document}", tame(text)) };
    let missing = why.split_once("missing field `").and_then(|(_, name)| name.split_once('`'));
    match (missing, why.split_once(": ")) {
        (Some((name, _)), _) => format!("{name} is missing; {document}"),
        (None, Some((part, _))) => format!("{} is nothing that can be used here; {document}", tame(part)),
        (None, None) => format!("that can't be understood ({}); {document}", tame(why)),
    }
}

async fn scrape(State(app): State<Arc<App>>) -> Response {
    let text = move || Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics::metrics(&app)?).into_response());
    blocking(text).await
}

async fn blocking(work: impl FnOnce() -> Result<Response, Refused> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => refusal(&refused),
        Err(_) => {
            let text = "the answer failed; that is a fault of the program".to_owned();
            refusal(&Refused::new(500, "panic", text))
        }
    }
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Serialize)]
struct Sorry<'a> {
    version: u32,
    error: &'a Refused,
}

fn json(content: &impl Serialize) -> Result<Response, Refused> {
    match serde_json::to_vec(&Versioned { version: VERSION, content }) {
        Ok(text) => Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response()),
        Err(e) => Err(Refused::new(500, "json", e.to_string())),
    }
}

pub(super) fn refusal(refused: &Refused) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(Sorry { version: VERSION, error: refused })).into_response();
    if refused.status == 401 {
        let bearer = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_question_is_told_in_our_words() {
        let told = in_our_words("Failed to deserialize query string: limit: invalid digit found in string");
        assert!(told.starts_with("limit is nothing that can be used here; /api"), "{told}");
        let told = in_our_words("Failed to deserialize query string: missing field `sequence`");
        assert!(told.starts_with("sequence is missing;"), "{told}");
        let whole = "Expected request with `Content-Type: application/json`";
        assert!(in_our_words(whole).starts_with(&format!("that can't be understood ({whole});")));
        let told =
            in_our_words("Failed to parse the request body as JSON: expected ident at line 1 column 2");
        assert!(told.starts_with("that can't be understood (expected ident at line 1 column 2);"), "{told}");
    }

    #[test]
    fn the_document_has_every_address_and_no_other() {
        let openapi = assets::FILES.iter().find(|(path, ..)| *path == "/api/openapi.json").unwrap().2;
        let document: serde_json::Value = serde_json::from_str(openapi).unwrap();
        let mut told: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut answered: Vec<&str> = api().into_iter().map(|(path, _)| path).collect();
        told.sort_unstable();
        answered.sort_unstable();
        assert_eq!(told, answered);
    }
}
