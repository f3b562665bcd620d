//! What a cache-aside hit costs over HTTP: the gateway beside a bare handler that gives the same headers and bytes, in one process, over
//! keep-alive connections of loopback, in rounds that take turns: `cargo run --release --example cache_aside -- [connections]`.
//!
//! Two hits: an answer that the gateway holds in memory, and a row that the critical store has in memory (as the fronts of Redis and of the
//! built-in store do), which is made JSON at each read. Every line that it prints is a JSON object; `ratio` is the gateway beside the bare one.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::PrometheusBuilder;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{CriticalLoader, CriticalRow, CriticalStore, EpochSink, EpochWrite, EventStore, SystemClock};
use millstream_core::status::{PipelineStatus, StatusSource};
use millstream_core::table::timestamp_type;
use millstream_core::{Attempt, ChangeBatch, Epoch, Error, FlowId, KeySpec, Result, TableKind, TableSpec, Value, Version};
use millstream_gateway::http::cache::Invalidations;
use millstream_gateway::http::{HttpAbout, HttpParts, HttpServer, HttpSettings};
use millstream_testkit::{ManualClock, toy};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// Rounds of each side.
const ROUNDS: usize = 5;

/// A round ends after so many requests, or this long.
const ROUND_REQUESTS: usize = 50_000;
const ROUND_MAX: Duration = Duration::from_secs(5);

fn spec(kind: TableKind, name: &str) -> TableSpec {
    let field = |name: &str, t, null| Field::new(name, t, null);
    let schema = Schema::new(vec![
        field("origin", DataType::Utf8, false),
        field("flight_date", DataType::Date32, false),
        field("event_id", DataType::Int64, false),
        field("ts", timestamp_type(), false),
        field("carrier", DataType::Utf8, true),
        field("tailnum", DataType::Utf8, true),
        field("dest", DataType::Utf8, true),
        field("dep_delay", DataType::Int32, true),
        field("distance", DataType::Int32, true),
    ]);
    let key = KeySpec { partition: ["origin", "flight_date", "event_id"].map(str::to_owned).to_vec(), clustering: Vec::new() };
    TableSpec { name: name.into(), kind, schema: Arc::new(schema), key, ttl: None }
}

/// The row that everybody asks for.
fn row(spec: &TableSpec) -> Result<RecordBatch> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns: Vec<ArrayRef> = vec![
        text("EWR"),
        Arc::new(Date32Array::from(vec![15_908])),
        Arc::new(Int64Array::from(vec![190_000])),
        Arc::new(TimestampMicrosecondArray::from(vec![1_374_519_600_000_000]).with_timezone("UTC")),
        text("UA"),
        text("N14228"),
        text("IAH"),
        Arc::new(Int32Array::from(vec![75])),
        Arc::new(Int32Array::from(vec![1_400])),
    ];
    Ok(RecordBatch::try_new(spec.schema.clone(), columns)?)
}

const KEY: &str = "origin=EWR&flight_date=2013-07-22&event_id=190000";

/// A critical store of one row in memory. It takes no writes.
struct HotRow(CriticalRow);

fn only_reads<T>() -> Result<T> {
    Err(Error::unsupported("the hot row is only read"))
}

#[async_trait]
impl EpochSink for HotRow {
    async fn begin(&self, _: &FlowId, _: Attempt, _: &str) -> Result<Epoch> {
        only_reads()
    }

    async fn commit(&self, _: EpochWrite) -> Result<u64> {
        only_reads()
    }
}

#[async_trait]
impl CriticalStore for HotRow {
    async fn ensure_table(&self, _: &TableSpec) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _: &str, _: &[Value]) -> Result<Option<CriticalRow>> {
        Ok(Some(self.0.clone()))
    }

    async fn fill(&self, _: &str, _: &CriticalRow) -> Result<()> {
        only_reads()
    }

    async fn scan(&self, _: &str, _: Option<Vec<usize>>) -> Result<BatchStream> {
        only_reads()
    }

    async fn evict_all(&self, _: &str) -> Result<()> {
        only_reads()
    }

    async fn drop_table(&self, _: &str) -> Result<()> {
        only_reads()
    }
}

#[async_trait]
impl CriticalLoader for HotRow {
    async fn load(&self, _: &str, _: &[Value]) -> Result<Option<CriticalRow>> {
        only_reads()
    }
}

struct Quiet;

impl StatusSource for Quiet {
    fn status(&self) -> PipelineStatus {
        PipelineStatus::default()
    }
}

/// What the gateway reads: one row in a toy event store, and the same in a critical store.
async fn parts() -> Outcome<HttpParts> {
    let events = spec(TableKind::EventStore, "departures");
    let critical = spec(TableKind::Critical, "critical_delays");
    let disk = Arc::new(toy::Disk::default());
    let store = toy::ToyEventStore::open(disk.clone(), Arc::new(ManualClock::default()));
    store.ensure_table(&events).await?;
    let flow = FlowId::new("bench");
    let epoch = store.begin(&flow, Attempt(1), &events.name).await?.next();
    let changes = vec![ChangeBatch::inserts(row(&events)?, Version(1))?];
    store.commit(EpochWrite { flow, attempt: Attempt(1), epoch, table: events.name.clone(), changes }).await?;
    let hot = Arc::new(HotRow(CriticalRow { row: row(&critical)?, version: Version(ManualClock::START.0), expires: None }));
    // As in the program: counters that count are part of what a hit costs.
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|e| e.to_string())?;
    let tables = vec![events, critical];
    Ok(HttpParts {
        about: HttpAbout {
            pipeline: "bench".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            status: Arc::new(Quiet),
            metrics: handle,
            clock: Arc::new(SystemClock),
        },
        invalidations: Invalidations::new(&tables),
        tables,
        event_store: Arc::new(store),
        critical_store: hot.clone(),
        critical_loader: hot,
        report_store: Arc::new(toy::ToyReportStore::open(disk)),
        reference: BTreeMap::new(),
    })
}

/// A keep-alive connection.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4_096) })
    }

    /// Asks, and reads the whole answer: its head, with the line end of its last header, and its body.
    async fn ask(&mut self, request: &[u8]) -> Outcome<(&str, &[u8])> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let head = loop {
            if let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 2;
            }
            self.read().await?;
        };
        let length = content_length(std::str::from_utf8(&self.answer[..head])?)?;
        while self.answer.len() < head + 2 + length {
            self.read().await?;
        }
        let head_text = std::str::from_utf8(&self.answer[..head])?;
        if !head_text.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the answer is not 200: {head_text}").into());
        }
        Ok((head_text, &self.answer[head + 2..]))
    }

    async fn read(&mut self) -> Outcome<()> {
        if self.stream.read_buf(&mut self.answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }
}

fn content_length(head: &str) -> Outcome<usize> {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok(length.ok_or_else(|| format!("the answer has no content-length: {head}"))?.parse()?)
}

/// A server that gives the answer with `head` and `body` to every request to `path`, and does nothing else.
async fn bare(path: &str, head: &str, body: &[u8], servers: &mut JoinSet<()>) -> Outcome<SocketAddr> {
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        // The server writes these two by itself.
        if !["date", "content-length"].contains(&name) {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
    }
    let body = Bytes::copy_from_slice(body);
    let answer = move || {
        let mut response = Response::new(Body::from(body.clone()));
        *response.headers_mut() = headers.clone();
        std::future::ready(response)
    };
    let router = Router::new().route(path, axum::routing::get(answer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    servers.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            _ = socket.set_nodelay(true);
            let router = router.clone();
            let service = service_fn(move |request| router.clone().oneshot(request));
            connections.spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(socket), service).await });
        }
    });
    Ok(address)
}

/// One side of a comparison, and what was measured of it.
struct Side {
    of: &'static str,
    clients: Vec<Client>,
    per_second: Vec<f64>,
    latencies_ns: Vec<u64>,
}

impl Side {
    async fn new(of: &'static str, address: SocketAddr, connections: usize) -> Outcome<Self> {
        let mut clients = Vec::new();
        for _ in 0..connections {
            clients.push(Client::connect(address).await?);
        }
        Ok(Self { of, clients, per_second: Vec::new(), latencies_ns: Vec::new() })
    }

    /// All connections ask for the same until the round is over.
    async fn round(&mut self, request: &Arc<[u8]>, counts: bool) -> Outcome<()> {
        let (left, start) = (Arc::new(AtomicUsize::new(ROUND_REQUESTS)), Instant::now());
        let mut asking = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let (left, request) = (left.clone(), request.clone());
            asking.spawn(async move {
                let mut latencies = Vec::with_capacity(ROUND_REQUESTS);
                while start.elapsed() < ROUND_MAX && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    let asked = Instant::now();
                    client.ask(&request).await?;
                    latencies.push(u64::try_from(asked.elapsed().as_nanos())?);
                }
                Outcome::Ok((client, latencies))
            });
        }
        let mut requests = 0;
        while let Some(asked) = asking.join_next().await {
            let (client, latencies) = asked??;
            requests += latencies.len();
            if counts {
                self.latencies_ns.extend(latencies);
            }
            self.clients.push(client);
        }
        if counts {
            self.per_second.push(requests as f64 / start.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// The median of the rounds' requests a second, and of all latencies the 50th and the 99th percentile in microseconds.
    fn figures(&mut self) -> [f64; 3] {
        self.per_second.sort_by(f64::total_cmp);
        self.latencies_ns.sort_unstable();
        let latency_us = |percent: usize| at(&self.latencies_ns, percent) as f64 / 1e3;
        [at(&self.per_second, 50), latency_us(50), latency_us(99)]
    }
}

/// The value below which `percent` of the `sorted` ones are.
fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

/// A line of figures; `requests` are missing where they are ratios.
fn print(hit: &str, of: &str, requests: Option<usize>, figures: [f64; 3]) {
    let [per_second, p50, p99] = figures.map(|figure| (figure * 100.0).round() / 100.0);
    let mut line = json!({ "bench": "cache-aside", "hit": hit, "of": of, "requests_per_s": per_second, "p50_us": p50, "p99_us": p99 });
    if let (Some(requests), Some(members)) = (requests, line.as_object_mut()) {
        members.insert("requests".into(), requests.into());
    }
    println!("{line}");
}

/// Hits of one kind: `path` at the gateway, whose answers say `detail`, beside a bare handler.
async fn compare(gateway: SocketAddr, path: &str, detail: &'static str, connections: usize, servers: &mut JoinSet<()>) -> Outcome<()> {
    let request: Arc<[u8]> = format!("GET {path} HTTP/1.1\r\nhost: {gateway}\r\naccept: application/json\r\n\r\n").into_bytes().into();
    let mut first = Client::connect(gateway).await?;
    first.ask(&request).await?;
    let (head, body) = first.ask(&request).await?;
    if !head.contains("cache-status: millstream; hit") || !head.contains(&format!("detail={detail}\r\n")) {
        return Err(format!("the second read of {path} is no hit in the {detail}: {head}").into());
    }
    let path = path.split('?').next().unwrap_or(path);
    let bare = bare(path, head, body, servers).await?;
    let mut same = Client::connect(bare).await?;
    if same.ask(&request).await?.1 != body {
        return Err("the bare handler gives other bytes".into());
    }
    let mut sides = [Side::new("gateway", gateway, connections).await?, Side::new("bare", bare, connections).await?];
    for round in 0..=ROUNDS {
        for side in &mut sides {
            // The first round warms up.
            side.round(&request, round > 0).await?;
        }
    }
    let mut figures = Vec::new();
    for side in &mut sides {
        let measured = side.figures();
        print(detail, side.of, Some(side.latencies_ns.len()), measured);
        figures.push(measured);
    }
    if let [ours, theirs] = figures.as_slice() {
        let mut ratios = *ours;
        ratios.iter_mut().zip(theirs).for_each(|(ratio, theirs)| *ratio /= theirs);
        print(detail, "ratio", None, ratios);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let connections: usize = std::env::args().nth(1).map_or(Ok(8), |n| n.parse())?;
    let parts = parts().await?;
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), HttpSettings::default(), parts.about.clone()).await?;
    let gateway = server.local_addr();
    server.door().open(parts);
    let shutdown = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(server.run(shutdown.clone()));
    let mut servers = JoinSet::new();
    for (table, detail) in [("departures", "memory"), ("critical_delays", "critical-store")] {
        compare(gateway, &format!("/v1/tables/{table}?{KEY}"), detail, connections, &mut servers).await?;
    }
    shutdown.cancel();
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}
