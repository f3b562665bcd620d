#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use bytes::Bytes;
use millstream_core::decode::ReadFormat;
use millstream_core::ports::{NewRecord, TopicSpec};
use millstream_core::{RowPosition, Timestamp};
use millstream_pipeline::graph::ParseMode;
use millstream_testkit::{ManualClock, toy};

use super::*;

const PARTITIONS: usize = 3;

fn topic() -> Topic {
    Topic {
        name: "readings".to_owned(),
        partitions: 3,
        retention: None,
        mode: ParseMode::DeadLetter,
        key_columns: Vec::new(),
        format: ReadFormat::default(),
        corrupt_record: None,
        output: None,
    }
}

/// A topic, and who appends to it.
struct World {
    log: Arc<dyn EventLog>,
    source: TopicSource,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::skipping(ManualClock::START));
        let log: Arc<dyn EventLog> = Arc::new(toy::ToyEventLog::open(Arc::default(), clock.clone()));
        log.create_topic(&TopicSpec { name: "readings".to_owned(), partitions: 3, retention: None }).await.unwrap();
        let columns = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
            Field::new("value", DataType::Int32, true),
        ]);
        let source = TopicSource::new(log.clone(), clock, None, topic(), Arc::new(columns));
        Self { log, source }
    }

    /// Appends records `ids`, each to a partition and at a time that its number gives; every tenth has a value that is none.
    async fn append(&self, ids: std::ops::Range<i64>) {
        for id in ids {
            let value = if id % 10 == 9 { "\"none\"".to_owned() } else { id.to_string() };
            let record = NewRecord {
                timestamp: Some(Timestamp((1_000 + id / 4) * 1_000_000)),
                value: Some(Bytes::from(format!("{{\"id\":{id},\"name\":\"n{id}\",\"value\":{value}}}"))),
                ..NewRecord::default()
            };
            self.log.append(&self.source.partition(usize::try_from(id * id + id / 3).unwrap() % PARTITIONS), vec![record]).await.unwrap();
        }
    }
}

fn limit(rows_max: usize) -> ChunkLimit {
    ChunkLimit { rows_max, bytes_max: 1 << 20, mark_max: (Version::MAX, usize::MAX) }
}

/// What is in a chunk: the positions of its rows and of what was rejected, and where it ends.
fn contents(chunk: &Chunk) -> (Vec<RowPosition>, Vec<RowPosition>, SourceState) {
    let rows = (0..chunk.changes.len()).map(|row| chunk.changes.position(row)).collect();
    (rows, chunk.rejected.iter().map(|r| r.position).collect(), chunk.end.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_read_ahead_are_those_that_are_read_one_at_a_time() {
    let world = World::new().await;
    world.append(0..200).await;
    let mut ahead = world.source.reader().unwrap();
    let mut state = world.source.beginning().await.unwrap();
    let mut records = 0;
    loop {
        let chunk = ahead.chunk(&state, limit(7)).await.unwrap();
        let alone = world.source.reader().unwrap().chunk(&state, limit(7)).await.unwrap();
        assert_eq!((contents(&chunk), &chunk.start), (contents(&alone), &state));
        if chunk.is_empty() {
            break;
        }
        records += chunk.records();
        state = chunk.end;
    }
    assert_eq!(records, 200);
    // What comes after the end is seen at once, though a chunk was read behind the last one before.
    world.append(200..203).await;
    assert_eq!(ahead.chunk(&state, limit(7)).await.unwrap().records(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_asked_for_another_place_starts_over_there() {
    let world = World::new().await;
    world.append(0..100).await;
    let mut reader = world.source.reader().unwrap();
    let beginning = world.source.beginning().await.unwrap();
    let first = reader.chunk(&beginning, limit(10)).await.unwrap();
    let second = reader.chunk(&first.end, limit(10)).await.unwrap();
    let again = reader.chunk(&beginning, limit(10)).await.unwrap();
    assert_eq!(contents(&again), contents(&first));
    assert_eq!(contents(&reader.chunk(&again.end, limit(10)).await.unwrap()), contents(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_limit_holds_for_what_was_read_ahead_with_a_wider_one() {
    let world = World::new().await;
    world.append(0..100).await;
    let mut reader = world.source.reader().unwrap();
    let first = reader.chunk(&world.source.beginning().await.unwrap(), limit(20)).await.unwrap();
    let few = reader.chunk(&first.end, limit(5)).await.unwrap();
    assert_eq!(few.records(), 5);
    let next = reader.chunk(&few.end, limit(20)).await.unwrap();
    let mark_max = reader.chunk(&next.end, limit(5)).await.unwrap().end.mark();
    let until = reader.chunk(&next.end, ChunkLimit { mark_max, ..limit(20) }).await.unwrap();
    assert_eq!((until.records(), until.end.mark()), (5, mark_max));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_is_bounded_in_bytes_too() {
    let world = World::new().await;
    world.append(0..100).await;
    let small = ChunkLimit { bytes_max: 100, ..limit(1_000) };
    let chunk = world.source.reader().unwrap().chunk(&world.source.beginning().await.unwrap(), small).await.unwrap();
    assert!((10..40).contains(&chunk.records()), "{} records of about 35 bytes", chunk.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_nobody_reads_are_checked_and_not_there() {
    let world = World::new().await;
    world.append(0..20).await;
    let beginning = world.source.beginning().await.unwrap();
    let all = world.source.reader().unwrap().chunk(&beginning, limit(100)).await.unwrap();
    let source = world.source.of_columns(&["id".to_owned(), "_partition".to_owned()]);
    let some = source.reader().unwrap().chunk(&beginning, limit(100)).await.unwrap();
    assert_eq!(contents(&some), contents(&all), "the value that is none is in a column that nobody reads");
    assert_eq!(some.rejected.len(), 2);
    let rows = some.changes.rows();
    assert_eq!(rows.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>(), ["id", "_partition"]);
    assert_eq!(rows.column(0).as_primitive::<Int64Type>(), all.changes.rows().column(0).as_primitive::<Int64Type>());
}
