//! How fast reports reach PostgreSQL, beside a bare binary COPY of the same rows through the same client, in one run.
//!
//! `MILLSTREAM_SERVICES=services.toml cargo run --example postgres_throughput [rows]`; it makes and drops a schema of its own.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, clippy::disallowed_methods, reason = "an example that measures and prints")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt, TryStreamExt};
use millstream_adapters::postgresql::{PostgresPool, PostgresReportStore, PostgresSettings};
use millstream_core::ports::{EpochSink, EpochWrite, Publication, ReportStore};
use millstream_core::table::timestamp_type;
use millstream_core::{Attempt, ChangeBatch, FlowId, KeySpec, TableKind, TableSpec, Version};
use tokio_postgres::{Client, NoTls};

const BATCH: usize = 8_192;

fn spec(name: &str) -> TableSpec {
    let column = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    let schema = Schema::new(vec![
        column("id", DataType::Int64, false),
        column("carrier", DataType::Utf8, true),
        column("name", DataType::Utf8, true),
        column("flight_date", DataType::Date32, true),
        column("hour", timestamp_type(), true),
        column("departures", DataType::Int64, true),
        column("avg_delay", DataType::Float64, true),
        column("remark", DataType::Utf8, true),
    ]);
    TableSpec { name: name.into(), kind: TableKind::Report, schema: Arc::new(schema), key: KeySpec::single(["id"]), ttl: None }
}

fn batch(spec: &TableSpec, from: i64, count: i64, departures: i64) -> Result<RecordBatch> {
    let ids = || from..from + count;
    let texts = |text: &dyn Fn(i64) -> String| Arc::new(StringArray::from_iter_values(ids().map(text))) as ArrayRef;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids())),
        texts(&|i| ["UA", "AA", "DL", "B6"][i as usize % 4].into()),
        texts(&|i| format!("Airline number {}", i % 16)),
        Arc::new(Date32Array::from_iter_values(ids().map(|i| 15_000 + (i % 365) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(ids().map(|i| i * 1_000_000)).with_timezone("UTC")),
        Arc::new(Int64Array::from_iter_values(ids().map(|i| i % 100 + if i % 100 == 0 { departures } else { 0 }))),
        Arc::new(Float64Array::from_iter_values(ids().map(|i| i as f64 / 7.0))),
        texts(&|i| format!("remark {i:020} of a flight that was measured")),
    ];
    Ok(RecordBatch::try_new(spec.schema.clone(), columns)?)
}

fn batches(spec: &TableSpec, rows: usize, departures: i64) -> Result<Vec<RecordBatch>> {
    (0..rows).step_by(BATCH).map(|from| batch(spec, from as i64, BATCH.min(rows - from) as i64, departures)).collect()
}

/// The same rows as COPY data, encoded beforehand: nothing but the server's and the client's own work is measured.
fn copy_data(batches: &[RecordBatch]) -> Result<Vec<Bytes>> {
    use arrow::array::AsArray;
    use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
    let mut messages = Vec::new();
    let mut out = BytesMut::from(&b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0"[..]);
    for batch in batches {
        for row in 0..batch.num_rows() {
            out.put_i16(8);
            for column in batch.columns() {
                match column.data_type() {
                    DataType::Int64 => {
                        out.put_i32(8);
                        out.put_i64(column.as_primitive::<Int64Type>().value(row));
                    }
                    DataType::Float64 => {
                        out.put_i32(8);
                        out.put_f64(column.as_primitive::<Float64Type>().value(row));
                    }
                    DataType::Date32 => {
                        out.put_i32(4);
                        out.put_i32(column.as_primitive::<Date32Type>().value(row) - 10_957);
                    }
                    DataType::Utf8 => {
                        let text = column.as_string::<i32>().value(row);
                        out.put_i32(i32::try_from(text.len())?);
                        out.put_slice(text.as_bytes());
                    }
                    _ => {
                        out.put_i32(8);
                        out.put_i64(column.as_primitive::<TimestampMicrosecondType>().value(row) - 946_684_800_000_000);
                    }
                }
            }
            if out.len() > 128 << 10 {
                messages.push(out.split().freeze());
            }
        }
    }
    out.put_i16(-1);
    messages.push(out.freeze());
    Ok(messages)
}

async fn bare(client: &Client, schema: &str, like: &str, data: Vec<Bytes>) -> Result<u64> {
    client.batch_execute(&format!("CREATE TABLE \"{schema}\".bare (LIKE \"{schema}\".{like} INCLUDING ALL)")).await?;
    let sink = client.copy_in(&format!("COPY \"{schema}\".bare FROM STDIN (FORMAT binary)")).await?;
    let mut sink = std::pin::pin!(sink);
    for message in data {
        sink.feed(message).await?;
    }
    let rows = sink.finish().await?;
    client.batch_execute(&format!("DROP TABLE \"{schema}\".bare")).await?;
    Ok(rows)
}

fn report(what: &str, rows: u64, since: Instant, bare: Option<f64>) -> f64 {
    let (rows, seconds) = (rows as f64, since.elapsed().as_secs_f64());
    let share = bare.map(|bare| format!("{:>5.0}% of bare", rows / seconds / bare * 100.0)).unwrap_or_default();
    println!("{what:<52} {rows:>9} rows {seconds:>7.2} s {:>9.0} rows/s {share}", rows / seconds);
    rows / seconds
}

async fn publish(store: &PostgresReportStore, name: &str, run: u64, rows: Vec<RecordBatch>) -> Result<u64> {
    let rows = futures::stream::iter(rows.into_iter().map(Ok)).boxed();
    Ok(store.publish(Publication { report: name.into(), run, rows }).await?.rows)
}

async fn upserts(store: &PostgresReportStore, spec: &TableSpec, batches: &[RecordBatch], per_epoch: usize) -> Result<u64> {
    let flow = FlowId::new("bench");
    let mut epoch = store.begin(&flow, Attempt(1), &spec.name).await?;
    let mut rows = 0;
    for some in batches.chunks(per_epoch) {
        epoch = epoch.next();
        let changes = some.iter().map(|b| ChangeBatch::inserts(b.clone(), Version(epoch.0 as i64))).collect::<Result<Vec<_>, _>>()?;
        rows += some.iter().map(|b| b.num_rows() as u64).sum::<u64>();
        store.commit(EpochWrite { flow: flow.clone(), attempt: Attempt(1), epoch, table: spec.name.clone(), changes }).await?;
    }
    Ok(rows)
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(300_000), |n| n.parse::<usize>())?;
    let services = std::fs::read_to_string(std::env::var("MILLSTREAM_SERVICES").context("MILLSTREAM_SERVICES names no file")?)?;
    let section = services.parse::<toml::Table>()?.remove("postgresql").context("no [postgresql]")?;
    let mut settings: PostgresSettings = section.try_into()?;
    settings.schema = format!("bench_{}", std::process::id());
    let mut config: tokio_postgres::Config = settings.url.parse()?;
    if let Some(secret) = &settings.password {
        config.password(secret.read("postgresql.password")?.expose());
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    let store = PostgresReportStore::new(PostgresPool::new(settings.clone())?);
    let (report_spec, live) = (spec("report"), spec("live"));
    store.ensure_report(&report_spec).await?;
    store.ensure_report(&live).await?;
    let first = batches(&report_spec, count, 0)?;
    let changed = batches(&report_spec, count, 1)?;
    let data = copy_data(&first)?;

    let since = Instant::now();
    let rows = bare(&client, &settings.schema, "report", data.clone()).await?;
    let base = report("bare binary COPY, table with the same primary key", rows, since, None);
    let since = Instant::now();
    let rows = publish(&store, "report", 1, first.clone()).await?;
    let first_time = report("publish: the first time", rows, since, Some(base));
    let since = Instant::now();
    let rows = publish(&store, "report", 2, changed.clone()).await?;
    let again = report("publish: again, one row in a hundred differs", rows, since, Some(base));
    let since = Instant::now();
    let rows = publish(&store, "report", 3, first[..first.len() / 2].to_vec()).await?;
    report("publish: again, half of the keys vanished", rows, since, Some(base));
    let since = Instant::now();
    let rows = bare(&client, &settings.schema, "report", data).await?;
    report("bare binary COPY, once more", rows, since, Some(base));
    for per_epoch in [1, 4] {
        let since = Instant::now();
        let rows = upserts(&store, &live, &first, per_epoch).await?;
        report(&format!("epochs of {} rows", per_epoch * BATCH), rows, since, Some(base));
    }
    let since = Instant::now();
    let rows = store.snapshot().await?.scan("report", None).await?.try_fold(0, |n, b| async move { Ok(n + b.num_rows() as u64) }).await?;
    report("scan: all columns, in key order", rows, since, None);
    println!("{}", serde_json::json!({ "bare_rows_per_s": base, "first_rows_per_s": first_time, "again_rows_per_s": again }));
    client.batch_execute(&format!("DROP SCHEMA \"{}\" CASCADE", settings.schema)).await?;
    Ok(())
}
