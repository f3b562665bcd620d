#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::Schema;
use async_trait::async_trait;
use millstream_core::{ChangeBatch, Timestamp};

use super::*;
use crate::source::{PartitionState, SourcePosition};

/// A source of `end` records in one partition; a record's version is its offset.
struct Counting {
    end: i64,
    decoded: Arc<AtomicUsize>,
}

struct CountingReader {
    end: i64,
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
        Ok(Box::new(CountingReader { end: self.end, decoded: self.decoded.clone() }))
    }

    async fn wait(&self, _: &SourceState) -> Result<()> {
        Ok(())
    }

    async fn lag(&self, state: &SourceState) -> Result<u64> {
        Ok(u64::try_from(self.end - offset(state)).unwrap())
    }
}

#[async_trait]
impl ChunkReader for CountingReader {
    async fn chunk(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Chunk> {
        let first = offset(from);
        let rows = i64::try_from(limit.rows_max).unwrap();
        let end = (first + rows).min(self.end).min(limit.mark_max.0.0.saturating_add(1)).max(first);
        self.decoded.fetch_add(usize::try_from(end - first).unwrap(), Ordering::Relaxed);
        let changes = ChangeBatch::empty(Arc::new(Schema::empty()));
        let at_end = vec![end == self.end];
        Ok(Chunk {
            start: from.clone(),
            end: at(end),
            changes,
            further: Vec::new(),
            rejected: Vec::new(),
            directed: Vec::new(),
            at_end,
            seen_at: Timestamp(0),
            lag: 0,
            bytes: 100,
        })
    }
}

fn shared(rows: usize, window_bytes_max: usize) -> (Arc<SharedSource>, Arc<AtomicUsize>) {
    let decoded = Arc::new(AtomicUsize::new(0));
    let settings = EngineSettings { epoch_rows_max: rows, shared_window_bytes_max: window_bytes_max, ..EngineSettings::default() };
    (SharedSource::new(Box::new(Counting { end: 100, decoded: decoded.clone() }), 3, &settings), decoded)
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
    let (source, decoded) = shared(10, 350);
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
