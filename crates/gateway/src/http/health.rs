//! Whether the process lives, whether the pipeline is ready for traffic, and the whole status as JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use millstream_core::Timestamp;
use millstream_core::status::EngineStatus;
use serde_json::{Value, json};

use super::HttpAbout;
use super::cache::critical::CriticalReads;

/// 200 as long as the process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// 200 when every flow runs, every system answers and intake is open; else 503 with the reasons. Either way with every system's state, and
/// with what goes on and is not as it should be: reads without the critical store, and old reference data, are no reason to send nobody here.
pub(crate) async fn readyz(State(about): State<HttpAbout>, State(critical): State<Option<Arc<CriticalReads>>>) -> Response {
    let status = about.status.status();
    let reasons = status.unready();
    let engines: Vec<Value> = status.engines.iter().map(engine).collect();
    let without_cache = critical.and_then(|critical| critical.away()).map(without_critical_store);
    let degraded: Vec<String> = without_cache.into_iter().chain(status.degraded()).collect();
    let word = if reasons.is_empty() { "ready" } else { "unready" };
    let answer = Json(json!({ "status": word, "reasons": reasons, "degraded": degraded, "engines": engines }));
    if reasons.is_empty() {
        answer.into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], answer).into_response()
    }
}

fn without_critical_store((since, why): (Timestamp, String)) -> String {
    format!("critical events are read from the event store since {since}: {why}")
}

fn engine(engine: &EngineStatus) -> Value {
    let EngineStatus { serves, system, place, away } = engine;
    match away {
        None => json!({ "box": serves, "system": system, "place": place, "state": "ok" }),
        Some((since, why)) => {
            json!({ "box": serves, "system": system, "place": place, "state": "away", "since": since.to_string(), "why": why })
        }
    }
}

/// The pipeline's status, as the status page shows it.
pub(crate) async fn status(State(about): State<HttpAbout>) -> Response {
    let status = about.status.status();
    Json(json!({ "pipeline": about.pipeline, "version": about.version, "status": status })).into_response()
}
