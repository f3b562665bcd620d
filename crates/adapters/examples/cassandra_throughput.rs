//! How fast epochs are committed to a real Cassandra beside a bare loop of the driver with the same rows, in one run:
//! `cargo run -p millstream-adapters --example cassandra_throughput -- [rows]`, with the cluster of `MILLSTREAM_SERVICES`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::{StreamExt, TryStreamExt};
use millstream_adapters::cassandra::{CassandraFeed, CassandraSettings, CassandraStore, CassandraTables};
use millstream_core::ports::{ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPosition, Scan, SystemClock};
use millstream_core::table::timestamp_type;
use millstream_core::{Attempt, ChangeBatch, ClusteringColumn, FlowId, KeySpec, SortOrder, TableKind, TableSpec, Version};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};

const EPOCH_ROWS: usize = 32_768;
const BATCH_ROWS: usize = 50;

fn spec(name: &str) -> TableSpec {
    let field = |name: &str, t, null| Field::new(name, t, null);
    TableSpec {
        name: name.into(),
        kind: TableKind::EventStore,
        schema: Arc::new(Schema::new(vec![
            field("origin", DataType::Utf8, false),
            field("flight_date", DataType::Date32, false),
            field("ts", timestamp_type(), false),
            field("event_id", DataType::Int64, false),
            field("carrier", DataType::Utf8, true),
            field("dest", DataType::Utf8, true),
            field("remarks", DataType::Utf8, true),
            field("dep_delay", DataType::Int32, true),
            field("distance", DataType::Int32, true),
        ])),
        key: KeySpec {
            partition: vec!["origin".into(), "flight_date".into()],
            clustering: vec![
                ClusteringColumn { name: "ts".into(), order: SortOrder::Desc },
                ClusteringColumn { name: "event_id".into(), order: SortOrder::Asc },
            ],
        },
        ttl: None,
    }
}

/// Row `i`: one of 3 origins, 2,000 events a day and origin; about 200 bytes.
struct Event {
    origin: &'static str,
    day: i32,
    ts: i64,
    id: i64,
    carrier: &'static str,
    dest: &'static str,
    remarks: String,
    delay: i32,
    distance: i32,
}

fn event(i: i64) -> Event {
    Event {
        origin: ["EWR", "JFK", "LGA"][i as usize % 3],
        day: 15_000 + (i / 6_000) as i32,
        ts: i * 1_000_000,
        id: i,
        carrier: ["UA", "AA", "DL", "B6"][i as usize % 4],
        dest: ["LAX", "SFO", "MIA"][i as usize % 3],
        remarks: format!("{i:0>130}"),
        delay: (i % 300) as i32,
        distance: (i % 3_000) as i32,
    }
}

fn batch(spec: &TableSpec, ids: std::ops::Range<i64>) -> Result<RecordBatch> {
    let events: Vec<Event> = ids.map(event).collect();
    let text = |f: &dyn Fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(events.iter().map(f))) };
    let columns: Vec<ArrayRef> = vec![
        text(&|e| e.origin),
        Arc::new(Date32Array::from_iter_values(events.iter().map(|e| e.day))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|e| e.ts)).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(events.iter().map(|e| e.id))),
        text(&|e| e.carrier),
        text(&|e| e.dest),
        text(&|e| &e.remarks),
        Arc::new(Int32Array::from_iter_values(events.iter().map(|e| e.delay))),
        Arc::new(Int32Array::from_iter_values(events.iter().map(|e| e.distance))),
    ];
    Ok(RecordBatch::try_new(spec.schema.clone(), columns)?)
}

fn report(what: &str, rows: usize, since: Instant) -> f64 {
    let rate = rows as f64 / since.elapsed().as_secs_f64();
    println!("{what:<52} {rows:>8} rows {:>6.2} s {rate:>8.0} rows/s", since.elapsed().as_secs_f64());
    rate
}

/// The driver by itself: the same rows, values taken from the structs, unlogged batches of 50 rows of one partition.
async fn bare(session: &Session, keyspace: &str, rows: usize, in_flight: usize) -> Result<f64> {
    let mut insert = session
        .prepare(format!(
            "INSERT INTO \"{keyspace}\".\"bare\" (origin, flight_date, ts, event_id, carrier, dest, remarks, dep_delay, distance) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        ))
        .await?;
    insert.set_is_idempotent(true);
    let since = Instant::now();
    let mut batches: Vec<Vec<i64>> = Vec::new();
    for day in 0..=(rows as i64 / 6_000) {
        for origin in 0..3 {
            let ids: Vec<i64> = (day * 6_000..((day + 1) * 6_000).min(rows as i64)).filter(|i| i % 3 == origin).collect();
            batches.extend(ids.chunks(BATCH_ROWS).map(<[i64]>::to_vec));
        }
    }
    let (session, insert) = (&session, &insert);
    futures::stream::iter(batches.into_iter().map(|ids| async move {
        let statements = vec![BatchStatement::PreparedStatement(insert.clone()); ids.len()];
        let batch = Batch::new_with_statements(BatchType::Unlogged, statements);
        let values: Vec<_> = ids
            .iter()
            .map(|i| {
                let e = event(*i);
                let day = scylla::value::CqlDate((1_u32 << 31) + e.day.cast_unsigned());
                (e.origin, day, e.ts, e.id, e.carrier, e.dest, e.remarks, e.delay, e.distance, 1_i64)
            })
            .collect();
        session.batch(&batch, values).await.map(drop)
    }))
    .buffer_unordered(in_flight)
    .try_collect::<()>()
    .await?;
    Ok(report("bare driver, unlogged batches of 50", rows, since))
}

async fn commits(store: &CassandraStore, table: &str, rows: usize, version: i64, what: &str) -> Result<f64> {
    let (spec, flow) = (spec(table), FlowId::new("bench"));
    store.ensure_table(&spec).await?;
    let mut epoch = store.begin(&flow, Attempt(1), table).await?;
    let mut writes = Vec::new();
    for start in (0..rows).step_by(EPOCH_ROWS) {
        let ids = start as i64..(start + EPOCH_ROWS).min(rows) as i64;
        writes.push(vec![ChangeBatch::inserts(batch(&spec, ids)?, Version(version))?]);
    }
    let since = Instant::now();
    for changes in writes {
        epoch = epoch.next();
        store.commit(EpochWrite { flow: flow.clone(), attempt: Attempt(1), epoch, table: table.into(), changes }).await?;
    }
    Ok(report(what, rows, since))
}

async fn read_back(store: &Arc<CassandraStore>, rows: usize) -> Result<()> {
    let since = Instant::now();
    let scan = store.snapshot().await?.scan("plain", &Scan::default()).await?;
    let read = scan.try_fold(0, |n, b| async move { Ok(n + b.num_rows()) }).await?;
    anyhow::ensure!(read == rows, "the scan read {read} rows of {rows}");
    report("scan: all columns", read, since);
    let since = Instant::now();
    let (feed, mut read) = (CassandraFeed::new(store.clone()), 0);
    for range in 0..feed.ranges("logged").await? {
        let mut after = FeedPosition::default();
        loop {
            let page = feed.read("logged", range, &after, 8_192).await?;
            read += page.changes.len();
            after = page.next;
            if page.pending == 0 {
                break;
            }
        }
    }
    anyhow::ensure!(read == 2 * rows, "the feed has {read} changes of {}", 2 * rows);
    report("feed: read all changes", read, since);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(300_000), |n| n.parse())?;
    let file = std::env::var("MILLSTREAM_SERVICES").context("MILLSTREAM_SERVICES names no services file")?;
    let services: toml::Table = toml::from_str(&std::fs::read_to_string(file)?)?;
    let section = services.get("cassandra").context("there is no Cassandra in the services file")?;
    let mut settings: CassandraSettings = section.clone().try_into()?;
    settings.keyspace = format!("bench_{}", std::process::id());
    let keyspace = settings.keyspace.clone();
    let mut builder = SessionBuilder::new().known_nodes(&settings.contact_points);
    if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
        builder = builder.user(user, password.read("cassandra.password")?.expose());
    }
    let in_flight = settings.writes_in_flight;
    let plan = CassandraTables { feeds: ["logged".to_owned()].into(), ..CassandraTables::default() };
    let store = CassandraStore::new(settings, plan, Arc::new(SystemClock))?;
    store.ensure_table(&spec("bare")).await?;
    let session = builder.build().await?;
    let bench = async {
        // The cluster warms up: its first rows are slow for everybody.
        bare(&session, &keyspace, rows / 4, in_flight).await?;
        let mut shares = Vec::new();
        for round in 1..=2 {
            let bare = bare(&session, &keyspace, rows, in_flight).await?;
            let ours = commits(&store, "plain", rows, round, "commit: epochs of 32k rows").await?;
            shares.push(ours / bare);
        }
        println!("share of the bare driver: {:.0}% and {:.0}%", shares[0] * 100.0, shares[1] * 100.0);
        commits(&store, "logged", rows, 1, "commit with the feed on: new rows").await?;
        commits(&store, "logged", rows, 2, "commit with the feed on: newer versions").await?;
        read_back(&store, rows).await
    };
    let outcome = bench.await;
    session.query_unpaged(format!("DROP KEYSPACE IF EXISTS \"{keyspace}\""), ()).await?;
    outcome
}
