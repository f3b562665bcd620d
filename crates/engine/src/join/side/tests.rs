#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use datafusion::physical_expr::expressions::Column;
use millstream_core::FlowId;
use millstream_testkit::toy::{Disk, ToySpillStore};

use super::*;
use crate::compile::JoinSide;
use crate::spill::SpillArea;

const MINUTE: i64 = 60_000_000;

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![field("key", DataType::Int64), field("time", time), field("text", DataType::Utf8)]))
}

fn columns() -> MatchColumns {
    let side = JoinSide {
        source: 0,
        inputs: Vec::new(),
        before: Vec::new(),
        keys: vec![Arc::new(Column::new("key", 0))],
        width: 3,
        time: 1,
        schema: schema(),
        watermark_column: "time".to_owned(),
        watermark_delay_us: 0,
    };
    MatchColumns::of(&side, false).unwrap()
}

fn key(key: i64) -> Vec<u8> {
    let converter = RowConverter::new(vec![SortField::new(DataType::Int64)]).unwrap();
    converter.convert_columns(&[Arc::new(Int64Array::from(vec![key])) as ArrayRef]).unwrap().row(0).data().to_vec()
}

/// Adds rows of these keys and times, each with a text of so many bytes.
fn add_long(state: &mut SideState, rows: &[(Option<i64>, i64)], bytes: usize) {
    let keys: Int64Array = rows.iter().map(|(key, _)| *key).collect();
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, time)| *time)).with_timezone("UTC");
    let texts = StringArray::from_iter_values(rows.iter().map(|_| "x".repeat(bytes)));
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(times), Arc::new(texts)]).unwrap();
    let events: Vec<_> = rows.iter().map(|(_, time)| (RowPosition { partition: 0, offset: *time }, Version(*time))).collect();
    state.begin_epoch();
    state.add(columns().keyed(batch).unwrap(), &events);
}

fn add(state: &mut SideState, rows: &[(Option<i64>, i64)]) {
    add_long(state, rows, 0);
}

/// The times of the rows of `of` from `from` to `to`.
fn found(state: &SideState, of: i64, from: i64, to: i64) -> Vec<i64> {
    let mut times = Vec::new();
    state.find(&key(of), (from, to), &(0..0), |slot| times.push(state.slot(slot).time));
    times.sort_unstable();
    times
}

/// The same, in memory or not.
fn recalled(state: &mut SideState, of: i64, from: i64, to: i64) -> Vec<i64> {
    let mut prefixes = Vec::new();
    state.prefixes(&key(of), (from, to), &mut prefixes);
    state.recall(prefixes, usize::MAX, &columns()).unwrap().unwrap();
    let times = found(state, of, from, to);
    state.release(&columns()).unwrap();
    times
}

/// Notes the time of a row that leaves; it is never enough.
fn told(gone: &mut Vec<i64>, time: i64) -> bool {
    gone.push(time);
    false
}

/// All rows that are kept.
fn all(state: &SideState) -> RecordBatch {
    let (rows, mark) = state.part(&SideMark::default(), usize::MAX, &columns()).unwrap();
    assert_eq!(mark, None);
    rows
}

fn area() -> SpillArea {
    SpillArea::new(Arc::new(ToySpillStore::open(Arc::new(Disk::default()))), FlowId::new("f"))
}

#[test]
fn rows_are_found_by_key_and_time_over_the_bounds_of_buckets() {
    let mut state = SideState::new(schema(), 2 * MINUTE, false);
    let times: Vec<i64> = (-10..10).map(|at| at * MINUTE).collect();
    add(&mut state, &times.iter().map(|time| (Some(1), *time)).collect::<Vec<_>>());
    add(&mut state, &[(Some(2), 0), (None, MINUTE)]);
    for from in &times {
        let expected: Vec<i64> = times.iter().copied().filter(|time| from <= time && *time <= from + 2 * MINUTE).collect();
        assert_eq!(found(&state, 1, *from, from + 2 * MINUTE), expected);
    }
    assert_eq!(found(&state, 2, -MINUTE, MINUTE), [0]);
    assert_eq!(found(&state, 3, i64::MIN, i64::MIN + MINUTE), [0; 0]);
    assert!(!state.is_live(state.end() - 1), "nobody finds a row without a key");
}

#[test]
fn rows_leave_in_the_order_of_their_times() {
    let mut state = SideState::new(schema(), MINUTE, false);
    add(&mut state, &[(Some(1), 30), (Some(2), 10), (Some(1), 20)]);
    let mut gone = Vec::new();
    state.expire((30, i64::MIN), |_, slot, _| told(&mut gone, slot.time));
    assert_eq!(gone, [10, 20]);
    assert_eq!((found(&state, 1, 0, 100), found(&state, 2, 0, 100)), (vec![30], Vec::new()));
}

#[test]
fn a_full_checkpoint_and_deltas_give_the_rows_back_with_what_they_matched() {
    let mut state = SideState::new(schema(), MINUTE, false);
    add(&mut state, &[(Some(1), 10), (Some(2), 20)]);
    let full = all(&state);
    add(&mut state, &[(Some(3), 30), (Some(4), 15)]);
    assert!(state.set_matched(0) && state.set_matched(2) && !state.set_matched(0));
    state.expire((18, i64::MIN), |_, _, _| false);
    let delta = state.delta().unwrap();
    // The first row has left; the second has not matched; the third is new; the fourth came and left.
    assert_eq!(delta.num_rows(), 1);
    state.begin_epoch();
    assert!(state.set_matched(1));
    let matched = state.delta().unwrap();
    let mut restored = SideState::new(schema(), MINUTE, false);
    for stored in [&full, &delta, &matched] {
        restored.restore(stored, &columns()).unwrap();
    }
    restored.expire((18, i64::MIN), |_, _, _| false);
    assert_eq!(all(&restored), all(&state));
    assert_eq!(restored.next_id, 3, "the numbers of rows that left without a trace may come again");
}

#[test]
fn many_rows_that_left_are_forgotten_and_the_others_stay_findable() {
    let mut state = SideState::new(schema(), MINUTE, false);
    let rows: Vec<_> = (0..20_000).map(|at| (Some(at % 7), at)).collect();
    add(&mut state, &rows);
    state.set_matched(19_999);
    state.expire((19_000, i64::MIN), |_, _, _| false);
    let (before, bytes) = (all(&state), state.size().memory);
    state.tidy(&columns()).unwrap();
    assert_eq!(state.end(), 1_000);
    assert!(state.size().memory < bytes / 4, "{} of {bytes}", state.size().memory);
    assert_eq!(all(&state), before);
    let expected: Vec<i64> = (19_000..20_000).filter(|at| at % 7 == 3).collect();
    assert_eq!(found(&state, 3, 0, 20_000), expected);
    let mut gone = Vec::new();
    state.expire((19_002, i64::MIN), |_, slot, _| told(&mut gone, slot.time));
    assert_eq!(gone, [19_000, 19_001]);
}

#[test]
fn large_rows_that_left_are_forgotten_however_few_they_are() {
    let mut state = SideState::new(schema(), MINUTE, false);
    add_long(&mut state, &(0..40).map(|at| (Some(1), at)).collect::<Vec<_>>(), 100_000);
    add(&mut state, &(40..100).map(|at| (Some(1), at)).collect::<Vec<_>>());
    state.expire((40, i64::MIN), |_, _, _| false);
    let before = all(&state);
    assert!(state.size().memory > 4_000_000);
    state.tidy(&columns()).unwrap();
    assert!(state.size().memory < 20_000, "{}", state.size().memory);
    assert_eq!(all(&state), before);
    assert_eq!(found(&state, 1, 0, 1_000), (40..100).collect::<Vec<_>>());
}

#[test]
fn rows_on_disk_are_found_as_those_in_memory_are() {
    let (area, columns) = (area(), columns());
    let mut state = SideState::new(schema(), 2 * MINUTE, false);
    // Of key 7 there are more than a block holds.
    for part in 0..6 {
        let rows = (part * 5_000..(part + 1) * 5_000).map(|at| (Some(if at % 3 == 0 { at % 1_000 } else { 7 }), at * MINUTE / 1_000));
        add(&mut state, &rows.collect::<Vec<_>>());
        state.spill(&area, 40_000, &columns).unwrap();
        assert!(state.size().movable() < 60_000, "{:?}", state.size());
    }
    let size = state.size();
    assert!(size.disk > 100_000 && size.pinned < 80_000, "{size:?}");
    let of = |at: &i64| if at % 3 == 0 { at % 1_000 } else { 7 };
    for (key, from) in [(7, 0), (7, 11), (3, 2), (999, 14), (999, 20), (5, 4), (7, 28), (1_234, 5)] {
        let (from, to) = (from * MINUTE, from * MINUTE + 2 * MINUTE);
        let expected: Vec<i64> =
            (0..30_000).filter(|at| of(at) == key).map(|at| at * MINUTE / 1_000).filter(|t| (from..=to).contains(t)).collect();
        assert_eq!(recalled(&mut state, key, from, to), expected, "{key} from {from}");
        assert_eq!(expected.is_empty(), key == 1_234);
    }
    // What was let go of is not found any more, and its slots are taken back.
    assert!(found(&state, 7, 0, 2 * MINUTE).is_empty());
    let slots = state.slots.len();
    state.begin_epoch();
    assert!(state.slots.len() < slots && state.batches.len() <= 2);
}

#[test]
fn rows_of_an_outer_side_leave_in_order_from_memory_and_disk_if_they_have_not_matched() {
    let (area, columns) = (area(), columns());
    let mut state = SideState::new(schema(), 10, true);
    let times: Vec<i64> = (0..400).map(|at| at * 37 % 400).collect();
    let mut left = Vec::new();
    for (number, times) in times.chunks(50).enumerate() {
        add(&mut state, &times.iter().map(|time| (Some(*time), *time)).collect::<Vec<_>>());
        // Each third one matches: one that is new, one in memory, or one that has to come back, and stays.
        for time in times.iter().filter(|time| *time % 3 == 0).chain([&1, &40]) {
            let mut prefixes = Vec::new();
            state.prefixes(&key(*time), (*time, *time), &mut prefixes);
            state.recall(prefixes, usize::MAX, &columns).unwrap();
            let mut slots = Vec::new();
            state.find(&key(*time), (*time, *time), &(0..0), |slot| slots.push(slot));
            for slot in slots {
                state.set_matched(slot);
            }
            state.release(&columns).unwrap();
        }
        if number % 3 > 0 {
            state.spill(&area, 2_000, &columns).unwrap();
        }
    }
    let is_alone = |time: &i64| time % 3 != 0 && ![1, 40].contains(time);
    for until in [0, 1, 55, 56, 56, 200, 399, 1_000] {
        let mut leaving = Vec::new();
        let (from_runs, _, _) = state.recall_leaving(until, usize::MAX, &columns).unwrap();
        state.expire((until, i64::MIN), |slot, known, _| {
            leaving.extend((!known.matched).then_some(slot));
            false
        });
        leaving.extend(from_runs);
        state.pass((until, i64::MIN));
        leaving.sort_by_key(|slot| state.place_among_leaving(*slot));
        left.extend(leaving.iter().map(|slot| state.slot(*slot).time));
        state.release(&columns).unwrap();
        assert_eq!(left, (0..until.min(400)).filter(is_alone).collect::<Vec<_>>());
    }
    state.spill(&area, 0, &columns).unwrap();
    assert_eq!((all(&state).num_rows(), state.size().disk), (0, 0));
}

#[test]
fn a_row_that_came_back_for_having_matched_is_told_once_and_known_on_disk() {
    let (area, columns) = (area(), columns());
    let mut state = SideState::new(schema(), 10, true);
    add(&mut state, &[(Some(1), 5), (Some(1), 6)]);
    state.spill(&area, 0, &columns).unwrap();
    for round in 0..3 {
        state.begin_epoch();
        let mut prefixes = Vec::new();
        state.prefixes(&key(1), (6, 6), &mut prefixes);
        state.recall(prefixes, usize::MAX, &columns).unwrap();
        let mut slots = Vec::new();
        state.find(&key(1), (6, 6), &(0..0), |slot| slots.push(slot));
        assert_eq!(slots.len(), 1);
        assert_eq!(state.set_matched(slots[0]), round == 0, "it has matched once before");
        state.release(&columns).unwrap();
        assert_eq!(state.delta().unwrap().num_rows(), usize::from(round == 0));
        assert_eq!(recalled(&mut state, 1, 0, 10), [5, 6]);
        if round == 1 {
            state.spill(&area, 0, &columns).unwrap();
        }
    }
    let rows = all(&state);
    let matched: Vec<bool> = rows.columns().last().unwrap().as_boolean().values().iter().collect();
    let times = rows.column(1).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(times.into_iter().zip(matched).collect::<std::collections::BTreeMap<_, _>>(), [(5, false), (6, true)].into());
    assert_eq!(rows.column(6).as_primitive::<Int64Type>().values().len(), 2);
}

#[test]
fn on_a_nearly_full_disk_rows_go_out_though_their_runs_can_not_be_merged() {
    let store = Arc::new(ToySpillStore::open(Arc::new(Disk::default())));
    let (area, columns) = (SpillArea::new(store.clone(), FlowId::new("f")), columns());
    let mut state = SideState::new(schema(), 10, true);
    let rows = |part: i64| (part * 500..(part + 1) * 500).map(|at| (Some(at % 50), at)).collect::<Vec<_>>();
    for part in 0..3 {
        add(&mut state, &rows(part));
        state.spill(&area, 0, &columns).unwrap();
    }
    // For one run more of each order there is room, not for all of them a second time.
    let taken = usize::try_from(state.size().disk).unwrap();
    store.limit(Some(taken + taken / 2));
    add(&mut state, &rows(3));
    state.spill(&area, 0, &columns).unwrap();
    assert_eq!((state.size().movable(), store.files()), (0, 8));
    assert_eq!(all(&state).num_rows(), 2_000);
    assert_eq!(recalled(&mut state, 7, 0, 2_000), (0..2_000).filter(|at| at % 50 == 7).collect::<Vec<_>>());
    state.begin_epoch();
    store.limit(None);
    for part in 4..8 {
        add(&mut state, &rows(part));
        state.spill(&area, 0, &columns).unwrap();
    }
    assert_eq!((all(&state).num_rows(), store.files()), (4_000, 2), "where there is room again, they are merged");
}

#[test]
fn slots_of_rows_that_an_epoch_brought_back_count_until_it_is_over() {
    let (area, columns) = (area(), columns());
    let mut state = SideState::new(schema(), 1_000, true);
    add(&mut state, &(0..1_000).map(|at| (Some(1), at)).collect::<Vec<_>>());
    state.spill(&area, 0, &columns).unwrap();
    state.begin_epoch();
    assert_eq!(state.size().movable(), 0);
    assert_eq!(recalled(&mut state, 1, 0, 999).len(), 1_000);
    assert!(state.size().movable() >= 1_000 * size_of::<Slot>(), "{:?}", state.size());
    state.begin_epoch();
    assert_eq!(state.size().movable(), 0);
}

#[test]
fn rows_are_put_together_in_batches_that_no_column_of_texts_outgrows() {
    let mut state = SideState::new(schema(), 10, true);
    state.batch_bytes_max = 100_000;
    // Most rows are small; one batch has rows of two sizes.
    add_long(&mut state, &(0..30).map(|at| (Some(at % 3), at)).collect::<Vec<_>>(), 20_000);
    add_long(&mut state, &(30..2_000).map(|at| (Some(at % 3), at)).collect::<Vec<_>>(), 10);
    let before = all(&state);
    state.keep(&state.live_by_id(), &columns()).unwrap();
    let bytes: Vec<usize> = state.batches.iter().map(|batch| batch.bytes).collect();
    assert!(bytes.len() > 7 && bytes.iter().all(|bytes| *bytes < 130_000), "{bytes:?}");
    assert_eq!(all(&state), before);
    assert_eq!(found(&state, 1, 0, 2_000), (0..2_000).filter(|at| at % 3 == 1).collect::<Vec<_>>());
    // What takes more than a batch is one by itself.
    add_long(&mut state, &[(Some(7), 5), (Some(7), 6)], 300_000);
    state.keep(&state.live_by_id(), &columns()).unwrap();
    assert_eq!(found(&state, 7, 0, 10), [5, 6]);
}
