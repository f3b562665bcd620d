//! How fast the built-in store is beside a raw fjall loop with keys and values of the same size, in one run:
//! `cargo run -p millstream-adapters --example store_throughput -- [rows]`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use futures::TryStreamExt;
use millstream_adapters::embedded::{EmbeddedStore, StoreSettings};
use millstream_core::ports::{ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPosition, PartitionQuery, Scan, SystemClock};
use millstream_core::table::timestamp_type;
use millstream_core::{Attempt, ChangeBatch, ClusteringColumn, FlowId, KeySpec, SortOrder, TableKind, TableSpec, Value, Version};

const EPOCH_ROWS: usize = 10_000;

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
            field("tailnum", DataType::Utf8, true),
            field("dest", DataType::Utf8, true),
            field("remarks", DataType::Utf8, true),
            field("flight", DataType::Int32, true),
            field("dep_delay", DataType::Int32, true),
            field("arr_delay", DataType::Int32, true),
            field("air_time", DataType::Int32, true),
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

/// Event `i` happened `i` seconds after the first: 3 origins, 86,400 events a day.
fn rows(spec: &TableSpec, ids: &[i64]) -> Result<RecordBatch> {
    let strings = |make: &dyn Fn(i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(ids.iter().map(|i| make(*i)))) };
    let numbers = |by: i64| -> ArrayRef { Arc::new(Int32Array::from_iter_values(ids.iter().map(|i| (i / by % 3000) as i32))) };
    let columns: Vec<ArrayRef> = vec![
        strings(&|i| ["EWR", "JFK", "LGA"][i as usize % 3].into()),
        Arc::new(Date32Array::from_iter_values(ids.iter().map(|i| 15_000 + (i / 86_400) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids.iter().map(|i| i * 1_000_000)).with_timezone("UTC")),
        Arc::new(Int64Array::from(ids.to_vec())),
        strings(&|i| ["UA", "AA", "DL", "B6"][i as usize % 4].into()),
        strings(&|i| format!("N{:05}", i % 99_999)),
        strings(&|_| "IAH".into()),
        strings(&|i| format!("remark number {i:020} of a flight")),
        numbers(1),
        numbers(2),
        numbers(3),
        numbers(5),
        numbers(7),
    ];
    Ok(RecordBatch::try_new(spec.schema.clone(), columns)?)
}

/// `0..count` in an order that jumps about: a stride that shares no factor with `count`.
fn shuffled(count: usize) -> Vec<i64> {
    let stride = (count as u64 * 618 / 1000) | 1;
    let mut at = 0_u64;
    (0..count as u64)
        .map(|_| {
            at = (at + stride) % count as u64;
            at as i64
        })
        .collect()
}

/// Wall time and the processor time of the whole process, fjall's own threads with it: on a busy machine only the second means much.
struct Since {
    wall: Instant,
    cpu: f64,
}

impl Since {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_seconds() }
    }

    fn report(&self, what: &str, count: usize) {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), (cpu_seconds() - self.cpu).max(0.01));
        let per_second = |seconds: f64| count as f64 / seconds;
        println!("{what:<44} {count:>8}  {wall:>6.2} s {:>9.0}/s  cpu {cpu:>5.2} s {:>9.0}/s", per_second(wall), per_second(cpu));
    }
}

/// User and system time of this process from /proc/self/stat (fields 14 and 15, in hundredths of a second; see proc(5)).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

async fn commit_all(store: &EmbeddedStore, name: &str, ids: &[i64], version: i64, what: &str) -> Result<()> {
    let (events, spec, flow) = (store.events(), spec(name), FlowId::new("bench"));
    events.ensure_table(&spec).await?;
    let mut epoch = events.begin(&flow, Attempt(1), name).await?;
    let mut writes = Vec::new();
    for ids in ids.chunks(EPOCH_ROWS) {
        epoch = epoch.next();
        let changes = vec![ChangeBatch::inserts(rows(&spec, ids)?, Version(version))?];
        writes.push(EpochWrite { flow: flow.clone(), attempt: Attempt(1), epoch, table: name.into(), changes });
    }
    let since = Since::now();
    for write in writes {
        events.commit(write).await?;
    }
    since.report(what, ids.len());
    Ok(())
}

async fn read_back(store: &EmbeddedStore, name: &str, count: usize) -> Result<()> {
    let since = Since::now();
    let mut total = 0;
    for range in 0..store.feed().ranges(name).await? {
        let mut after = FeedPosition::default();
        loop {
            let page = store.feed().read(name, range, &after, 16_384).await?;
            if page.changes.is_empty() {
                break;
            }
            total += page.changes.len();
            after = page.next;
        }
    }
    since.report("feed: read all columns", total);
    let snapshot = store.events().snapshot().await?;
    for (what, columns) in [("scan: all columns", None), ("scan: 3 of 13 columns", Some(vec![0, 3, 9]))] {
        let since = Since::now();
        let scan = Scan { columns, ..Scan::default() };
        let read = snapshot.scan(name, &scan).await?.try_fold(0, |n, b| async move { Ok(n + b.num_rows()) }).await?;
        since.report(what, read);
    }
    let since = Since::now();
    let reads = 20_000.min(count);
    let mut found = 0;
    for i in shuffled(count).into_iter().take(reads) {
        let query = PartitionQuery {
            partition: vec![Value::Str(["EWR", "JFK", "LGA"][i as usize % 3].into()), Value::Date(15_000 + (i / 86_400) as i32)],
            prefix: vec![Value::Timestamp(i * 1_000_000), Value::Int(i)],
            ..PartitionQuery::default()
        };
        found += store.events().read_partition(name, &query).await?.rows.num_rows();
    }
    since.report("read_partition: one row each, at random", found);
    Ok(())
}

/// What fjall does by itself with the same keys and values in batches of an epoch's size, and a get before each insert.
fn raw(dir: &Path, ids: &[i64], gets: bool, what: &str) -> Result<()> {
    let db = fjall::Database::builder(dir).open()?;
    let rows =
        db.keyspace("rows", || fjall::KeyspaceCreateOptions::default().max_memtable_size(StoreSettings::default().memtable_bytes))?;
    let key = |i: i64| {
        let mut key = *b"\0\0\0\x01EWR\0\0........................";
        key[9..13].copy_from_slice(&((i / 86_400) as u32).to_be_bytes());
        key[13..21].copy_from_slice(&(!(i as u64)).to_be_bytes());
        key[21..29].copy_from_slice(&(i as u64).to_be_bytes());
        key
    };
    let since = Since::now();
    for ids in ids.chunks(EPOCH_ROWS) {
        let mut batch = db.batch();
        for i in ids {
            let key = key(*i);
            if gets {
                rows.get(key)?;
            }
            batch.insert(&rows, key, vec![*i as u8; 150]);
        }
        batch.commit()?;
    }
    since.report(what, ids.len());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(500_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let in_order: Vec<i64> = (0..count as i64).collect();
    let at_random = shuffled(count);
    raw(&dir.path().join("raw1"), &in_order, false, "raw fjall: insert, key order")?;
    raw(&dir.path().join("raw2"), &at_random, false, "raw fjall: insert, at random")?;
    raw(&dir.path().join("raw3"), &at_random, true, "raw fjall: get and insert, at random")?;
    let store = EmbeddedStore::open(dir.path().join("store"), StoreSettings::default(), Arc::new(SystemClock))?;
    commit_all(&store, "ordered", &in_order, 1, "commit: new rows, time order").await?;
    commit_all(&store, "random", &at_random, 1, "commit: new rows, at random").await?;
    commit_all(&store, "random", &in_order, 1, "commit: the same rows again").await?;
    commit_all(&store, "random", &in_order, 2, "commit: the same rows, newer version").await?;
    read_back(&store, "ordered", count).await?;
    let bytes = rows(&spec("x"), &(0..1000).collect::<Vec<_>>())?;
    println!("rows: about {} bytes of Arrow each; store on disk: {} MiB", bytes.get_array_memory_size() / 1000, store.disk_bytes()? >> 20);
    println!("{}", std::fs::read_to_string("/proc/self/status")?.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
