//! Whether the process lives, whether the pipeline is ready for traffic, and the whole status as JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::read::Gateway;

/// 200 as long as the process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// 200 when every flow runs and intake is open; else 503 with one JSON line a reason.
pub(crate) async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    let reasons = gateway.parts.status.status().unready();
    if reasons.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    let lines: String = reasons.iter().map(|reason| format!("{}\n", json!({ "status": "unready", "reason": reason }))).collect();
    (StatusCode::SERVICE_UNAVAILABLE, [(CONTENT_TYPE, "application/x-ndjson"), (RETRY_AFTER, "1")], lines).into_response()
}

/// The pipeline's status, as the status page shows it.
pub(crate) async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    let status = gateway.parts.status.status();
    Json(json!({ "pipeline": gateway.parts.pipeline, "version": gateway.parts.version, "status": status })).into_response()
}
