//! Which path goes to which handler, and what holds for every request: bounds, a time-out, safe headers.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::FromRef;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{BoxError, Router};
use bytes::Bytes;
use millstream_core::TableKind;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::cache::critical::CriticalReads;
use super::counters::ResponseCounters;
use super::problem::Problem;
use super::read::{Gateway, read_table};
use super::time_limit::within;
use super::{HttpAbout, HttpParts, HttpSettings, health, metrics, openapi, page};

/// What answers requests. Needs no socket: tests call it in memory.
///
/// What holds for every request stands before the router and not in a layer of it: there it would take several boxes more, which cost a read from memory more
/// than its work does.
#[derive(Clone)]
pub struct Api {
    router: Router,
    bounds: Arc<Bounds>,
}

impl Api {
    /// The answer to `request`.
    pub async fn answer<B>(self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { router, bounds } = self;
        let length = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
        let mut response = if length > bounds.settings.uri_bytes_max {
            let detail = format!("the URL has {length} bytes; at most {} are read", bounds.settings.uri_bytes_max);
            Problem::new(StatusCode::URI_TOO_LONG, detail).into_response()
        } else if PROBES.contains(&request.uri().path()) {
            routed(router, request).await
        } else {
            bounds.hold(routed(router, request)).await
        };
        bounds.responses.count(response.status().as_u16());
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        );
        response
    }
}

async fn routed<B>(router: Router, request: Request<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    router.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// The whole API.
pub fn api(parts: HttpParts, settings: HttpSettings) -> Api {
    let about = parts.about.clone();
    let bounds = Bounds::new(&about, &settings);
    let gateway = Arc::new(Gateway::new(parts, settings));
    let critical = gateway.tables.values().any(|table| table.kind == TableKind::Critical).then(|| gateway.critical.clone());
    let bounded = Router::new()
        .route("/", get(page::page))
        .route("/v1/tables", get(openapi::tables))
        .route("/v1/tables/{table}", get(read_table))
        .route("/openapi.json", get(openapi::openapi))
        .with_state(gateway);
    let nothing = "there is nothing at this path; see / for what there is, and /openapi.json for the API";
    whole(bounded, (StatusCode::NOT_FOUND, nothing), Probed { about, critical }, bounds)
}

/// What is served before the pipeline is open: how it is doing. Everything else is 503.
pub(super) fn opening(about: HttpAbout, settings: &HttpSettings) -> Api {
    let bounds = Bounds::new(&about, settings);
    let page = Router::new().route("/", get(page::opening_page)).with_state(about.clone());
    let wait = "the pipeline is opening: /readyz says what it waits for; try again in a moment";
    whole(page, (StatusCode::SERVICE_UNAVAILABLE, wait), Probed { about, critical: None }, bounds)
}

/// What the probes and metrics look at: the process, and the reads of critical events where there are any.
#[derive(Clone, FromRef)]
struct Probed {
    about: HttpAbout,
    critical: Option<Arc<CriticalReads>>,
}

/// `pages`, the probes, what every other path gets, and what holds for every request.
fn whole(pages: Router, other: (StatusCode, &'static str), probed: Probed, bounds: Arc<Bounds>) -> Api {
    let [healthz, readyz, metrics_path, status] = PROBES;
    let probes = Router::new()
        .route(healthz, get(health::healthz))
        .route(readyz, get(health::readyz))
        .route(metrics_path, get(metrics::metrics))
        .route(status, get(health::status))
        .with_state(probed);
    let router = pages
        .merge(probes)
        .fallback(async move || Problem::new(other.0, other.1))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the API only reads: use GET or HEAD"));
    Api { router, bounds }
}

/// Probes and metrics stay outside of the bounds, so that a busy process isn't taken for a dead one.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/v1/status"];

struct Bounds {
    requests: Semaphore,
    clock: Arc<dyn millstream_core::ports::Clock>,
    settings: HttpSettings,
    responses: ResponseCounters,
}

impl Bounds {
    fn new(about: &HttpAbout, settings: &HttpSettings) -> Arc<Self> {
        let requests = Semaphore::new(settings.requests_max.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { requests, clock: about.clock.clone(), settings: settings.clone(), responses: ResponseCounters::default() })
    }

    /// What `answer` comes to, if there is room for one more request and it comes in time.
    async fn hold(&self, answer: impl Future<Output = Response>) -> Response {
        let Ok(_permit) = self.requests.try_acquire() else {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at one time; try again in a moment").into_response();
        };
        within(self.settings.request_timeout(), self.clock.as_ref(), answer).await.unwrap_or_else(|| {
            let detail = format!("no answer within {} s; a store is slow or does not answer", self.settings.request_timeout_s);
            Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response()
        })
    }
}

#[cfg(test)]
mod tests;
