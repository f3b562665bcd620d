#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{Int32Array, Int64Array, RecordBatch, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use millstream_core::{FlowId, RowPosition, Timestamp, Version};

use super::*;
use crate::source::{PartitionState, RejectedRecord, SourcePosition, SourceState};

fn at(offset: i64) -> SourceState {
    SourceState {
        partitions: vec![PartitionState { position: SourcePosition::Offset(offset), version: Version(offset) }],
        starts: Vec::new(),
    }
}

/// Rows at `first` and `first` + 1, and a record after them that is no row.
fn chunk(first: i64, directed: &[(u32, &str)]) -> Arc<Chunk> {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let offsets = Int64Array::from(vec![first, first + 1]);
    let rows = RecordBatch::try_new(schema, vec![Arc::new(offsets.clone())]).unwrap();
    let changes = ChangeBatch::try_new(rows, UInt8Array::from(vec![0, 0]), offsets.clone(), Int32Array::from(vec![0, 0]), offsets).unwrap();
    let rejected = RejectedRecord {
        position: RowPosition { partition: 0, offset: first + 2 },
        timestamp: Timestamp(first),
        key: None,
        value: Some(Bytes::from_static(b"?")),
        reason: "no row".to_owned(),
        directed: None,
    };
    Arc::new(Chunk {
        start: at(first),
        end: at(first + 3),
        changes,
        further: Vec::new(),
        rejected: vec![rejected],
        directed: directed.iter().map(|(row, flow)| (*row, Arc::from([FlowId::new(*flow)]))).collect(),
        at_end: vec![first > 0],
        seen_at: Timestamp(first),
        lag: 0,
        bytes: 10,
    })
}

#[test]
fn rows_what_is_no_row_and_who_takes_them_stay_in_order() {
    let all = together(&[chunk(0, &[(1, "a")]), chunk(3, &[(0, "b")])], 7).unwrap();
    assert_eq!((&all.start, &all.end), (&at(0), &at(6)));
    assert_eq!(all.changes.offsets().values(), &[0, 1, 3, 4]);
    assert_eq!(all.rejected.iter().map(|r| r.position.offset).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(all.directed.iter().map(|(row, flows)| (*row, flows[0].as_str())).collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
    assert_eq!((all.lag, all.bytes, all.seen_at, all.at_end.as_slice()), (7, 20, Timestamp(3), [true].as_slice()));
    assert_eq!(all.records(), 6);
}

/// A chunk of one row at this place and version.
fn row(partition: i32, offset: i64, version: i64, directed: &[(u32, &str)]) -> Arc<Chunk> {
    let whole = chunk(offset, directed);
    let rows = whole.changes.rows().slice(0, 1);
    let changes = ChangeBatch::try_new(
        rows,
        UInt8Array::from(vec![0]),
        Int64Array::from(vec![version]),
        Int32Array::from(vec![partition]),
        Int64Array::from(vec![offset]),
    );
    let chunk = Arc::into_inner(whole).unwrap();
    Arc::new(Chunk { changes: changes.unwrap(), rejected: Vec::new(), ..chunk })
}

#[test]
fn records_are_in_merged_order_whatever_was_there_when_chunks_were_cut() {
    let all = together(&[row(0, 1, 20, &[]), row(1, 7, 10, &[(0, "a")]), row(0, 2, 30, &[]), row(1, 8, 20, &[(0, "b")])], 0).unwrap();
    assert_eq!(all.changes.versions().values(), &[10, 20, 20, 30]);
    assert_eq!(all.changes.partitions().values(), &[1, 0, 1, 0]);
    assert_eq!(all.changes.offsets().values(), &[7, 1, 8, 2]);
    let values: &Int64Array = all.changes.rows().column(0).as_any().downcast_ref().unwrap();
    assert_eq!(values.values(), &[7, 1, 8, 2], "with their own values");
    assert_eq!(all.directed.iter().map(|(row, flows)| (*row, flows[0].as_str())).collect::<Vec<_>>(), [(0, "a"), (2, "b")]);
}

#[test]
fn one_alone_is_shared() {
    let one = chunk(0, &[]);
    assert!(Arc::ptr_eq(&together(std::slice::from_ref(&one), 0).unwrap(), &one));
    assert_eq!(together(&[one], 5).unwrap().lag, 5);
}

#[test]
fn as_many_as_fit_and_at_least_one() {
    let chunks = [chunk(0, &[]), chunk(3, &[]), chunk(6, &[])];
    let many = |rows_max, bytes_max| how_many(&chunks, ChunkLimit { rows_max, bytes_max, mark_max: (Version::MAX, usize::MAX) });
    assert_eq!([many(9, 1_000), many(8, 1_000), many(6, 1_000), many(1, 1_000)], [3, 2, 2, 1]);
    assert_eq!([many(9, 2), many(9, 1)], [1, 1], "eight times 2 bytes hold one chunk of 10, and one is taken anyway");
    assert_eq!(many(9, 3), 2);
}
