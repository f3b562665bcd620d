#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arrow::array::{Int32Array, Int64Array, RecordBatch, RecordBatchOptions, UInt8Array};
use arrow::datatypes::Schema;
use async_trait::async_trait;
use millstream_core::{ChangeBatch, Timestamp};

use super::*;
use crate::source::{PartitionState, SourcePosition};

/// A source of `end` records in one partition; a record's version is its offset.
struct Counting {
    end: Arc<AtomicI64>,
    decoded: Arc<AtomicUsize>,
}

struct CountingReader {
    end: Arc<AtomicI64>,
    decoded: Arc<AtomicUsize>,
}

fn at(offset: i64) -> SourceState {
    SourceState {
        partitions: vec![PartitionState { position: SourcePosition::Offset(offset), version: Version(offset - 1) }],
        starts: Vec::new(),
    }
}

fn offset(state: &SourceState) -> i64 {
    match state.partitions[0].position {
        SourcePosition::Offset(offset) => offset,
        SourcePosition::Feed(_) => -1,
    }
}

#[async_trait]
impl ChunkSource for Counting {
    async fn beginning(&self) -> Result<SourceState> {
        Ok(at(0))
    }

    fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        Ok(Box::new(CountingReader { end: self.end.clone(), decoded: self.decoded.clone() }))
    }

    async fn wait(&self, _: &SourceState) -> Result<()> {
        Ok(())
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        Ok(u64::try_from(self.end.load(Ordering::Relaxed) - offset(state)).unwrap())
    }
}

#[async_trait]
impl ChunkReader for CountingReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        let (first, last) = (offset(from), self.end.load(Ordering::Relaxed));
        let rows = i64::try_from(limit.rows_max).unwrap();
        let end = (first + rows).min(last).min(limit.mark_max.0.0.saturating_add(1)).max(first);
        self.decoded.fetch_add(usize::try_from(end - first).unwrap(), Ordering::Relaxed);
        let changes = records(first, end);
        let at_end = vec![end == last];
        Ok(Chunk {
            start: from.clone(),
            end: at(end),
            changes,
            further: Vec::new(),
            rejected: Vec::new(),
            directed: Vec::new(),
            at_end,
            seen_at: Timestamp(0),
            lag: u64::try_from(last - end).unwrap(),
            bytes: 100,
        })
    }
}

/// Inserts without columns, at these offsets.
fn records(first: i64, end: i64) -> ChangeBatch {
    let n = usize::try_from(end - first).unwrap();
    let options = RecordBatchOptions::new().with_row_count(Some(n));
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    let offsets = Int64Array::from_iter_values(first..end);
    ChangeBatch::try_new(rows, UInt8Array::from_value(0, n), offsets.clone(), Int32Array::from_value(0, n), offsets).unwrap()
}

fn shared(rows: usize, window_bytes_max: usize) -> (Arc<SharedSource>, Arc<AtomicUsize>) {
    let (source, decoded, _) = growing(100, rows, window_bytes_max);
    (source, decoded)
}

/// The same, whose end can be moved.
fn growing(end: i64, rows: usize, window_bytes_max: usize) -> (Arc<SharedSource>, Arc<AtomicUsize>, Arc<AtomicI64>) {
    let (end, decoded) = (Arc::new(AtomicI64::new(end)), Arc::new(AtomicUsize::new(0)));
    let settings = EngineSettings { epoch_rows_max: rows, shared_window_bytes_max: window_bytes_max, ..EngineSettings::default() };
    (SharedSource::new(Box::new(Counting { end: end.clone(), decoded: decoded.clone() }), 3, &settings), decoded, end)
}

async fn to_the_end(cursor: &mut SourceCursor, mut state: SourceState) -> Vec<i64> {
    let mut ends = Vec::new();
    loop {
        let chunk = cursor.next(&state).await.unwrap();
        if chunk.is_empty() {
            return ends;
        }
        assert_eq!(chunk.start, state, "nothing is skipped");
        state = chunk.end.clone();
        ends.push(offset(&state));
    }
}

#[tokio::test]
async fn flows_that_go_together_decode_each_record_once() {
    let (source, decoded) = shared(10, 1_000_000);
    let mut cursors: Vec<_> = (0..3).map(|_| source.cursor()).collect();
    let mut state = at(0);
    while offset(&state) < 100 {
        let mut next = state.clone();
        for cursor in &mut cursors {
            next = cursor.next(&state).await.unwrap().end.clone();
        }
        state = next;
    }
    assert_eq!(decoded.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn a_slow_flow_reads_for_itself_until_it_meets_the_window_and_sees_everything_once() {
    // Room for three chunks, which are not much more than what they say of their partitions.
    let chunk = shared(10, 0).0.cursor().next(&at(0)).await.unwrap();
    assert!(chunk.held_bytes() > 2 * chunk.bytes);
    let (source, decoded) = shared(10, 3 * chunk.held_bytes());
    to_the_end(&mut source.cursor(), at(0)).await;
    // The window holds 70 to 100 now.
    let mut slow = source.cursor();
    let ends = to_the_end(&mut slow, at(5)).await;
    assert_eq!(ends, [15, 25, 35, 45, 55, 65, 70, 80, 90, 100]);
    assert_eq!(decoded.load(Ordering::Relaxed), 100 + 65, "from 70 on it takes what is there");
    assert!(slow.own.is_none());
}

#[tokio::test]
async fn a_flow_ahead_of_all_others_takes_the_window_with_it() {
    let (source, _) = shared(10, 1_000_000);
    let behind = source.cursor().next(&at(0)).await.unwrap();
    let ahead = source.cursor().next(&at(50)).await.unwrap();
    assert_eq!((offset(&behind.end), offset(&ahead.end)), (10, 60));
    let ends = to_the_end(&mut source.cursor(), at(10)).await;
    assert_eq!(ends, [20, 30, 40, 50, 60, 70, 80, 90, 100]);
}

#[tokio::test]
async fn a_flow_that_falls_behind_takes_small_chunks_together_and_knows_what_waits() {
    let (source, decoded, end) = growing(0, 10, 1_000_000);
    let (mut ahead, mut state) = (source.cursor(), at(0));
    for now in [3, 5, 9, 14, 15, 27] {
        end.store(now, Ordering::Relaxed);
        while offset(&state) < now {
            let chunk = ahead.next(&state).await.unwrap();
            assert_eq!(chunk.start, state);
            state = chunk.end.clone();
        }
    }
    let (mut behind, mut state, mut seen) = (source.cursor(), at(0), Vec::new());
    while offset(&state) < 27 {
        let chunk = behind.next(&state).await.unwrap();
        assert_eq!(chunk.start, state);
        assert_eq!(chunk.changes.offsets().values(), &(offset(&chunk.start)..offset(&chunk.end)).collect::<Vec<_>>());
        state = chunk.end.clone();
        seen.push((offset(&state), chunk.lag));
    }
    // The chunks of the flow ahead end at 3, 5, 9, 14, 15, 25, 27.
    assert_eq!(seen, [(9, 18), (15, 12), (25, 2), (27, 0)]);
    assert_eq!(decoded.load(Ordering::Relaxed), 27, "each record is decoded once");
}

/// Consecutive chunks between these places: an offset and a version each.
fn window(places: &[(i64, i64)]) -> Window {
    let state = |(offset, version): (i64, i64)| SourceState {
        partitions: vec![PartitionState { position: SourcePosition::Offset(offset), version: Version(version) }],
        starts: Vec::new(),
    };
    let mut window = Window::default();
    for (from, to) in places.iter().zip(&places[1..]) {
        let (start, end, changes) = (state(*from), state(*to), records(from.0, to.0));
        let (further, rejected, directed, at_end) = (Vec::new(), Vec::new(), Vec::new(), vec![true]);
        let chunk = Chunk { start, end, changes, further, rejected, directed, at_end, seen_at: Timestamp(0), lag: 0, bytes: 1 };
        window.push(Arc::new(chunk), usize::MAX);
    }
    window
}

/// Control records move a flow on without moving it in the merged order.
#[test]
fn a_chunk_is_found_by_where_it_begins_among_those_at_one_place_in_the_order() {
    let places = [(0, 5), (3, 8), (6, 8), (7, 8), (9, 20)];
    let window = window(&places);
    let limit = ChunkLimit { rows_max: 1, bytes_max: 1, mark_max: (Version::MAX, usize::MAX) };
    let find = |offset: i64, version: i64| {
        let mut from = at(offset);
        from.partitions[0].version = Version(version);
        window.find(&from, limit)
    };
    for (offset, version) in &places[..4] {
        let Some(Found::Chunks(chunks, _)) = find(*offset, *version) else { unreachable!("the chunk at {offset}") };
        assert_eq!(self::offset(&chunks[0].start), *offset);
    }
    assert!(find(9, 20).is_none(), "the window's end");
    assert!(find(12, 30).is_none(), "beyond it");
    assert!(matches!(find(2, 7), Some(Found::Behind((Version(8), 0)))));
    assert!(matches!(find(8, 15), Some(Found::Behind((Version(20), 0)))), "it meets the window at its end");
}
