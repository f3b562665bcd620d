//! `GET /v1/tables/{table}`: one read of a table by its key, through the cache, as a JSON answer that says where it came from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use millstream_core::ports::{CriticalRow, PartitionQuery, VERSION_COLUMN};
use millstream_core::{Error, ErrorKind, Result, TableKind, TableSpec, Timestamp, Value, Version};

use super::HttpParts;
use super::cache::breaker::BreakerPolicy;
use super::cache::critical::{CriticalReads, Looked};
use super::cache::reads::{Entry, How, Loaded, ReadCache, etag};
use super::cache::{CachePolicy, Slot};
use super::counters::{Origin, Outcome, ReadCounters};
use super::json::{write_row, write_text};
use super::problem::Problem;
use super::request::{self, ReadRequest};
use super::settings::HttpSettings;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Room for the headers of an answer, with those that hold for every answer.
const HEADERS: usize = 12;

/// What every handler works with.
pub(crate) struct Gateway {
    pub parts: HttpParts,
    pub settings: HttpSettings,
    pub tables: BTreeMap<String, Arc<TableSpec>>,
    pub critical: Arc<CriticalReads>,
    cache: ReadCache,
    /// For each of the `tables`.
    counters: BTreeMap<String, ReadCounters>,
}

impl Gateway {
    pub fn new(parts: HttpParts, settings: HttpSettings) -> Self {
        let policy = CachePolicy {
            age_max: Duration::from_secs(settings.cache_age_s_max),
            negative_age_max: Duration::from_secs(settings.cache_negative_age_s_max),
            stale_max: Duration::from_secs(settings.cache_stale_s_max),
        };
        let clock = &parts.about.clock;
        let cache = ReadCache::new(settings.cache_bytes_max, policy, parts.invalidations.clone(), clock.clone());
        let breaker =
            BreakerPolicy { failures_max: settings.critical_failures_max, retry_after: Duration::from_millis(settings.critical_retry_ms) };
        let timeout = Duration::from_millis(settings.critical_timeout_ms);
        let critical = Arc::new(CriticalReads::new(parts.critical_store.clone(), timeout, breaker, clock.clone()));
        let tables = parts.tables.iter().map(|t| (t.name.clone(), Arc::new(t.clone()))).collect();
        let counters = parts.tables.iter().map(|t| (t.name.clone(), ReadCounters::default())).collect();
        Self { parts, settings, tables, critical, cache, counters }
    }

    fn count(&self, table: &str, outcome: Outcome, origin: Origin) {
        if let Some(counters) = self.counters.get(table) {
            counters.count(table, outcome, origin);
        }
    }
}

/// A query parameter's name and value.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The handler.
pub(crate) async fn read_table(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>, http: Request) -> Result<Response, Problem> {
    let (http, _) = http.into_parts();
    let Some(table) = gateway.tables.get(&name) else {
        let names: Vec<&str> = gateway.tables.keys().map(String::as_str).collect();
        return Err(Problem::not_found(format!("there is no table {name}; the tables are {}", names.join(", "))));
    };
    let parameters: Vec<Parameter<'_>> = form_urlencoded::parse(http.uri.query().unwrap_or_default().as_bytes()).collect();
    let request = request::parse(table, &parameters, &gateway.settings)?;
    let answer = match request {
        ReadRequest::Partition(query) => partition(&gateway, table, query).await?,
        ReadRequest::Key(key) if table.kind == TableKind::Report => report_row(&gateway, table, key).await?,
        ReadRequest::Key(key) => critical_row(&gateway, table, key).await?,
        ReadRequest::Filter { equal, limit, offset } => reference_rows(&gateway, table, &equal, limit, offset)?,
    };
    let next = answer.next.as_deref().map(|token| next_link(&name, &parameters, token));
    answer.respond(&name, &http.headers, next)
}

/// An answer before it is dressed as a response.
struct Answer {
    body: Option<Bytes>,
    etag: String,
    cache_status: String,
    age_s: i64,
    next: Option<String>,
}

impl Answer {
    fn respond(self, table: &str, request: &HeaderMap, next: Option<String>) -> Result<Response, Problem> {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CACHE_STATUS, HeaderValue::try_from(self.cache_status).map_err(|_| internal("a header"))?);
        headers.insert(AGE, HeaderValue::from(self.age_s));
        // A cache between us and the website can't be told of a write, so it has to ask (and mostly hears 304).
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let Some(body) = self.body else {
            let mut response = Problem::not_found(format!("table {table} has no row with this key")).into_response();
            response.headers_mut().extend(headers);
            return Ok(response);
        };
        let unchanged = matches(request, &self.etag);
        headers.insert(ETAG, HeaderValue::try_from(self.etag).map_err(|_| internal("an entity tag"))?);
        if let Some(link) = next.and_then(|link| HeaderValue::try_from(link).ok()) {
            headers.insert(LINK, link);
        }
        let mut response = Response::new(Body::empty());
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *response.body_mut() = Body::from(body);
        }
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn internal(what: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{what} of this answer can't be written"))
}

/// Whether `If-None-Match` names `etag` (RFC 9110, 13.1.2: weak comparison).
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let tags = request.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    tags.flat_map(|v| v.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn next_link(table: &str, parameters: &[Parameter<'_>], token: &str) -> String {
    let kept = parameters.iter().filter(|(name, _)| name != "page").map(|(name, value)| (name.as_ref(), value.as_ref()));
    let all: Vec<String> = kept.chain([("page", token)]).map(|(n, v)| format!("{}={}", request::encode(n), request::encode(v))).collect();
    format!("<{}?{}>; rel=\"next\"", request::path(table), all.join("&"))
}

async fn partition(gateway: &Gateway, table: &Arc<TableSpec>, query: PartitionQuery) -> Result<Answer, Problem> {
    let slot = Slot::of(&table.name, &query.partition);
    let request = request::partition_cache_key(&table.name, &query);
    let load = async {
        let page = gateway.parts.event_store.read_partition(&table.name, &query).await?;
        let next = page.next.map(|token| token.0);
        let body = rows_body(table, std::slice::from_ref(&page.rows), next.as_deref())?;
        let expires = table.ttl.and_then(|ttl| earliest_version(&page.rows).map(|v| Timestamp(v.plus(ttl).micros())));
        Ok(Loaded { body: Some(body), next, negative: page.rows.num_rows() == 0, expires, keep: true, stored: true })
    };
    let (entry, how) = gateway.cache.get(slot, request, load).await.map_err(|e| Problem::from(e.as_ref()))?;
    Ok(cached(gateway, &table.name, &entry, how, Origin::EventStore))
}

async fn report_row(gateway: &Gateway, table: &Arc<TableSpec>, key: Vec<Value>) -> Result<Answer, Problem> {
    // A publication replaces the whole report, so all its rows have one counter.
    let slot = Slot::of(&table.name, &[]);
    let request = request::row_cache_key(&table.name, &key);
    let load = async {
        let row = gateway.parts.report_store.get(&table.name, &key).await?;
        let body = if row.num_rows() == 0 { None } else { Some(rows_body(table, &[row], None)?) };
        Ok(Loaded { negative: body.is_none(), body, next: None, expires: None, keep: true, stored: true })
    };
    let (entry, how) = gateway.cache.get(slot, request, load).await.map_err(|e| Problem::from(e.as_ref()))?;
    Ok(cached(gateway, &table.name, &entry, how, Origin::ReportStore))
}

/// The critical store is the cache here; on a miss the row is read from the event store and filled in. Only the absence of a row is kept
/// in memory, for a critical store can't hold it. While the critical store is away, rows are read from the event store, and kept nowhere.
async fn critical_row(gateway: &Gateway, table: &Arc<TableSpec>, key: Vec<Value>) -> Result<Answer, Problem> {
    let slot = Slot::of(&table.name, &key);
    let generation = gateway.parts.invalidations.generations().read(slot);
    let away = match gateway.critical.get(table, &key).await? {
        Looked::Found(row) => return critical_hit(gateway, table, &row),
        Looked::Nothing => None,
        Looked::Away(retry_after) => Some(retry_after),
    };
    let request = request::row_cache_key(&table.name, &key);
    let load = async {
        let Some(row) = load_critical(gateway, &table.name, &key, away.is_some()).await? else {
            return Ok(Loaded { body: None, next: None, negative: true, expires: None, keep: true, stored: true });
        };
        let stored = away.is_none() && gateway.critical.fill(&table.name, &row).await;
        let body = rows_body(table, std::slice::from_ref(&row.row), None)?;
        Ok(Loaded { body: Some(body), next: None, negative: false, expires: row.expires, keep: false, stored })
    };
    let found = gateway.cache.get_under(generation, request, load).await;
    let (entry, how) = found.map_err(|error| Problem::from(error.as_ref()).retry_after(away.unwrap_or_default()))?;
    let origin = if away.is_some() { Origin::EventStoreInstead } else { Origin::EventStore };
    Ok(cached(gateway, &table.name, &entry, how, origin))
}

fn critical_hit(gateway: &Gateway, table: &TableSpec, found: &CriticalRow) -> Result<Answer, Problem> {
    let now = gateway.parts.about.clock.now();
    let body = rows_body(table, std::slice::from_ref(&found.row), None)?;
    gateway.count(&table.name, Outcome::Hit, Origin::CriticalStore);
    let ttl = found.expires.map(|at| format!("; ttl={}", seconds_until(at, now))).unwrap_or_default();
    let age_s = (now.micros().saturating_sub(found.version.micros()) / 1_000_000).max(0);
    let cache_status = format!("millstream; hit{ttl}; detail=critical-store");
    Ok(Answer { etag: etag(&body), body: Some(body), cache_status, age_s, next: None })
}

/// A table that no event-store table feeds has no way back: what is not in the critical store is nowhere, and while that is `away`,
/// nobody can say.
async fn load_critical(gateway: &Gateway, table: &str, key: &[Value], away: bool) -> Result<Option<CriticalRow>> {
    match gateway.parts.critical_loader.load(table, key).await {
        Err(error) if error.kind() == ErrorKind::Unsupported && away => Err(Error::unavailable(format!(
            "table {table} is in the store of critical events alone, which does not answer at the moment: try again in a while"
        ))),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        other => other,
    }
}

fn reference_rows(
    gateway: &Gateway,
    table: &Arc<TableSpec>,
    equal: &[(usize, Value)],
    limit: usize,
    offset: usize,
) -> Result<Answer, Problem> {
    let Some(source) = gateway.parts.reference.get(&table.name) else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("reference table {} is not loaded yet", table.name)));
    };
    let (found, more) = filter(&source.rows(), equal, limit, offset).map_err(|e| Problem::from(&e))?;
    let next = more.then(|| (offset + limit).to_string());
    let body = rows_body(table, &found, next.as_deref()).map_err(|e| Problem::from(&e))?;
    gateway.count(&table.name, Outcome::Hit, Origin::Memory);
    Ok(Answer { etag: etag(&body), body: Some(body), cache_status: "millstream; hit; detail=memory".into(), age_s: 0, next })
}

/// Up to `limit` rows after the first `offset` of those with all values `equal`, and whether there are more.
fn filter(batches: &[RecordBatch], equal: &[(usize, Value)], limit: usize, offset: usize) -> Result<(Vec<RecordBatch>, bool)> {
    let (mut found, mut seen) = (Vec::new(), 0);
    for batch in batches {
        for row in 0..batch.num_rows() {
            let mut all = true;
            for (column, value) in equal {
                all = all && Value::at(batch.column(*column), row)?.as_ref() == Some(value);
            }
            if !all {
                continue;
            }
            if seen == offset + limit {
                return Ok((found, true));
            }
            if seen >= offset {
                found.push(batch.slice(row, 1));
            }
            seen += 1;
        }
    }
    Ok((found, false))
}

fn earliest_version(rows: &RecordBatch) -> Option<Version> {
    let versions = rows.column_by_name(VERSION_COLUMN)?;
    let versions = versions.as_primitive_opt::<Int64Type>()?;
    (0..versions.len()).map(|i| Version(versions.value(i))).min()
}

fn rows_body(table: &TableSpec, batches: &[RecordBatch], next: Option<&str>) -> Result<Bytes> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"table\":");
    write_text(&mut out, &table.name)?;
    out.extend_from_slice(b",\"rows\":[");
    let mut first = true;
    for batch in batches {
        for row in 0..batch.num_rows() {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_row(&mut out, batch, table.schema.fields().len(), row)?;
        }
    }
    out.extend_from_slice(b"],\"next_page\":");
    match next {
        Some(token) => write_text(&mut out, token)?,
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}\n");
    Ok(out.into())
}

fn cached(gateway: &Gateway, table: &str, entry: &Arc<Entry>, how: How, from: Origin) -> Answer {
    let now = gateway.parts.about.clock.now();
    let ttl = entry.lifetime.ttl_s(now);
    let origin = from.name();
    let instead = from == Origin::EventStoreInstead;
    let more = match how {
        How::Collapsed => "; collapsed",
        _ if entry.loaded.stored => "; stored",
        _ => "",
    };
    let (outcome, status) = match how {
        How::Hit => (Outcome::Hit, format!("millstream; hit; ttl={ttl}; detail=memory")),
        How::StaleOnError => {
            let away = if instead { "critical-store" } else { origin };
            (Outcome::Stale, format!("millstream; hit; ttl={ttl}; detail=stale-because-{away}-unavailable"))
        }
        _ if instead => (Outcome::Bypass, format!("millstream; fwd=bypass{more}; detail={origin}-because-critical-store-unavailable")),
        How::Miss => (Outcome::Miss, format!("millstream; fwd=miss{more}; detail={origin}")),
        How::Refreshed => (Outcome::Refreshed, format!("millstream; fwd=stale{more}; detail={origin}")),
        How::Collapsed => (Outcome::Collapsed, format!("millstream; fwd=miss{more}; detail={origin}")),
    };
    gateway.count(table, outcome, from);
    let next = entry.loaded.next.clone();
    Answer { body: entry.loaded.body.clone(), etag: entry.etag.clone(), cache_status: status, age_s: entry.lifetime.age_s(now), next }
}

fn seconds_until(at: Timestamp, now: Timestamp) -> i64 {
    at.micros().saturating_sub(now.micros()).div_euclid(1_000_000)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}
