//! How fast JSON records become Arrow columns: our decoder beside arrow-json on the same flights events, on one core.
//!
//! `cargo run --release -p millstream-engine --example decode_throughput`

#![allow(clippy::print_stdout, reason = "an example says what it measured")]

use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use bytes::Bytes;
use millstream_core::decode::{Reading, RecordDecoder};
use millstream_core::ports::{Clock, Record, SystemClock};
use millstream_core::table::timestamp_type;
use millstream_core::{Offset, Timestamp};

const EVENTS: i64 = 200_000;
const BATCH: usize = 8_192;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let schema = flights();
    let records: Vec<Record> = (0..EVENTS).map(event).collect();
    let bytes: usize = records.iter().filter_map(|r| r.value.as_ref()).map(Bytes::len).sum();
    println!("{EVENTS} events of {} columns, {} bytes each", schema.fields().len(), bytes / records.len());

    let mut decoder = RecordDecoder::new(schema.clone(), &Reading::default())?;
    measure("ours", bytes, || {
        let mut rows = 0;
        for chunk in records.chunks(BATCH) {
            let decoded = decoder.decode(chunk)?;
            ensure!(decoded.rejected.is_empty(), "{:?}", decoded.rejected.first());
            rows += decoded.rows.num_rows();
        }
        Ok(rows)
    })?;
    measure("arrow-json", bytes, || {
        let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(BATCH).build_decoder()?;
        let mut rows = 0;
        for chunk in records.chunks(BATCH) {
            for value in chunk.iter().filter_map(|r| r.value.as_ref()) {
                decoder.decode(value)?;
            }
            rows += decoder.flush()?.map_or(0, |batch| batch.num_rows());
        }
        Ok(rows)
    })
}

/// Prints the best of several rounds.
fn measure(name: &str, bytes: usize, mut work: impl FnMut() -> Result<usize>) -> Result<()> {
    let clock = SystemClock;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = clock.now();
        let rows = work()?;
        ensure!(i64::try_from(rows)? == EVENTS, "{rows} rows");
        best = best.min((clock.now().micros() - start.micros()) as f64 / 1e6);
    }
    println!("{name:>12}: {:.2} million events/s, {:.0} MB/s", EVENTS as f64 / best / 1e6, bytes as f64 / best / 1e6);
    Ok(())
}

fn flights() -> SchemaRef {
    let mut fields = vec![
        Field::new("event_id", DataType::Int64, false),
        Field::new("ts", timestamp_type(), false),
        Field::new("carrier", DataType::Utf8, false),
        Field::new("origin", DataType::Utf8, false),
    ];
    fields.extend(["dest", "tailnum"].map(|name| Field::new(name, DataType::Utf8, true)));
    fields.extend(
        [
            "year",
            "month",
            "day",
            "dep_time",
            "sched_dep_time",
            "dep_delay",
            "arr_time",
            "sched_arr_time",
            "arr_delay",
            "flight",
            "air_time",
            "distance",
            "hour",
            "minute",
        ]
        .map(|name| Field::new(name, DataType::Int32, true)),
    );
    fields.push(Field::new("time_hour", timestamp_type(), true));
    Arc::new(Schema::new(fields))
}

/// An event that looks like those of the demo: every fortieth flight has no times.
fn event(n: i64) -> Record {
    let carrier = ["UA", "AA", "B6", "DL", "EV"][(n % 5) as usize];
    let origin = ["EWR", "JFK", "LGA"][(n % 3) as usize];
    let (month, day, hour, minute) = (n / 28_000 % 12 + 1, n / 1_000 % 28 + 1, n % 24, n % 60);
    let known = |value: i64| if n % 40 == 0 { "null".to_owned() } else { value.to_string() };
    let value = format!(
        "{{\"event_id\":{n},\"ts\":\"2013-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z\",\"year\":2013,\"month\":{month},\"day\":{day},\
         \"dep_time\":{},\"sched_dep_time\":{},\"dep_delay\":{},\"arr_time\":{},\"sched_arr_time\":{},\"arr_delay\":{},\"carrier\":\"{carrier}\",\
         \"flight\":{},\"tailnum\":\"N{}{carrier}\",\"origin\":\"{origin}\",\"dest\":\"IAH\",\"air_time\":{},\"distance\":{},\"hour\":{hour},\
         \"minute\":{minute},\"time_hour\":\"2013-{month:02}-{day:02}T{hour:02}:00:00Z\"}}",
        known(hour * 100 + minute),
        hour * 100 + minute,
        known(n % 90 - 20),
        known(hour * 100 + 230),
        hour * 100 + 225,
        known(n % 80 - 25),
        n % 8_500,
        10_000 + n % 4_000,
        known(n % 300 + 30),
        n % 2_500 + 100,
    );
    Record {
        offset: Offset(n),
        timestamp: Timestamp(n),
        key: Some(Bytes::from_static(carrier.as_bytes())),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}
