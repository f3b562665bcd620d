#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{ErrorKind, FlowId};
use millstream_testkit::generate::Changes;
use millstream_testkit::toy::{Disk, ToySpillStore};

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, true)]))
}

fn rows(values: &[i64]) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values.to_vec()))]).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

fn key(end: i64, group: u8) -> GroupKey {
    GroupKey::new(EventTime(end), &[group])
}

#[test]
fn the_last_row_of_a_group_is_its_state() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(10, 1), key(20, 1)], rows(&[1, 2])).unwrap();
    state.put(vec![key(20, 1), key(10, 2)], rows(&[22, 3])).unwrap();
    let (known, which) = state.gather(&[key(10, 1), key(99, 9), key(20, 1)]).unwrap();
    assert_eq!((values(&known), which), (vec![1, 22], vec![0, 2]));
    assert_eq!(values(&state.all().unwrap()), [1, 3, 22]);
}

#[test]
fn closing_takes_the_windows_that_the_watermark_has_reached_in_the_order_of_their_ends() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(30, 1), key(10, 2), key(20, 1), key(10, 1)], rows(&[4, 2, 3, 1])).unwrap();
    assert!(state.close(EventTime(9), usize::MAX).unwrap().is_none());
    assert_eq!(values(&state.close(EventTime(20), usize::MAX).unwrap().unwrap().1), [1, 2, 3]);
    assert_eq!(values(&state.all().unwrap()), [4]);
    assert_eq!(values(&state.close(EventTime(i64::MAX), usize::MAX).unwrap().unwrap().1), [4], "at the end of time, too");
    assert_eq!(state.bytes(), 0);
}

#[test]
fn rewriting_the_same_groups_for_ever_does_not_grow() {
    let mut state = GroupState::new(schema());
    let mut most = 0;
    for round in 0..2_000_i64 {
        state.put((0..8).map(|g| key(10, g)).collect(), rows(&[round; 8])).unwrap();
        most = most.max(state.rows);
    }
    assert!(most <= ROWS_MIN + 8, "{most} rows are held for 8 groups");
    assert_eq!(values(&state.all().unwrap()), [1_999; 8]);
}

#[test]
fn taken_groups_are_there_no_more() {
    let mut state = GroupState::new(schema());
    state.put(vec![key(30, 1), key(10, 2)], rows(&[4, 2])).unwrap();
    assert_eq!(values(&state.take(&[key(10, 2), key(99, 9)]).unwrap()), [2]);
    assert_eq!(values(&state.all().unwrap()), [4]);
}

#[test]
fn rows_that_were_read_take_what_they_took() {
    let fields = (0..8).map(|i| Field::new(format!("value {i}"), DataType::Int64, true)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let numbers: Vec<i64> = (0..1_000).collect();
    let columns = (0..8).map(|_| Arc::new(Int64Array::from(numbers.clone())) as arrow::array::ArrayRef).collect();
    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let keys = || numbers.iter().map(|n| GroupKey::new(EventTime(10), &n.to_be_bytes())).collect();
    let (mut written, mut read) = (GroupState::new(schema.clone()), GroupState::new(schema.clone()));
    written.put(keys(), rows.clone()).unwrap();
    let (_, batches) = from_ipc(&to_ipc(&schema, &[rows]).unwrap()).unwrap();
    read.restore(keys(), &batches[0]).unwrap();
    assert!(read.bytes() < written.bytes() * 11 / 10, "{} bytes, which were {}", read.bytes(), written.bytes());
}

/// A place for runs.
fn area() -> (Arc<ToySpillStore>, SpillArea) {
    let store = Arc::new(ToySpillStore::open(Arc::new(Disk::default())));
    (store.clone(), SpillArea::new(store, FlowId::new("f")))
}

/// What parts of about `bytes_max` bytes have together.
fn in_parts(state: &GroupState, bytes_max: usize) -> Vec<i64> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let (rows, last) = state.part(after.as_ref(), bytes_max).unwrap();
        all.extend(values(&rows));
        let Some(last) = last else { return all };
        after = Some(last);
    }
}

#[test]
fn state_that_is_spilled_at_any_time_is_that_of_a_map() {
    for seed in 0..30 {
        let ((store, area), mut chance) = (area(), Changes::seeded(seed, 1));
        let mut state = GroupState::new(schema());
        let mut model: BTreeMap<GroupKey, i64> = BTreeMap::new();
        let (mut watermark, mut next) = (0_i64, 0_i64);
        for _ in 0..400 {
            let mut some: BTreeMap<GroupKey, ()> = BTreeMap::new();
            for _ in 0..=chance.below(40) {
                let end = watermark + 1 + i64::try_from(chance.below(12)).unwrap();
                some.insert(key(end, u8::try_from(chance.below(200)).unwrap()), ());
            }
            let some: Vec<GroupKey> = some.into_keys().collect();
            let known: Vec<usize> = (0..some.len()).filter(|i| model.contains_key(&some[*i])).collect();
            let known_values: Vec<i64> = known.iter().map(|i| model[&some[*i]]).collect();
            match chance.below(8) {
                0 => {
                    assert_eq!(values(&state.take(&some).unwrap()), known_values);
                    model.retain(|key, _| some.binary_search(key).is_err());
                }
                1 => {
                    watermark += i64::try_from(chance.below(3)).unwrap();
                    let open = model.split_off(&GroupKey::new(EventTime(watermark + 1), &[]));
                    let closed = std::mem::replace(&mut model, open);
                    if chance.below(2) == 0 {
                        state.forget(EventTime(watermark), None).unwrap();
                    } else {
                        let (bytes_max, mut found) = ([1, 400, usize::MAX][chance.below(3)], Vec::new());
                        loop {
                            if let Some((keys, of_keys)) = state.close(EventTime(watermark), bytes_max).unwrap() {
                                found.extend(keys.into_iter().zip(values(&of_keys)));
                            }
                            // What is still to come out is there, and what has come out is not.
                            let left: Vec<i64> = closed.values().skip(found.len()).chain(model.values()).copied().collect();
                            assert_eq!(values(&state.all().unwrap()), left);
                            if state.emitted().is_none() {
                                break;
                            }
                            assert!(bytes_max < usize::MAX);
                            if chance.below(3) == 0 {
                                state.spill(&area, [0, 3_000][chance.below(2)]).unwrap();
                            }
                        }
                        assert_eq!(found, closed.into_iter().collect::<Vec<_>>());
                    }
                }
                both => {
                    let (found, which) = state.gather(&some).unwrap();
                    assert_eq!((values(&found), which), (known_values, known));
                    let new: Vec<i64> = (next..).take(some.len()).collect();
                    next += i64::try_from(new.len()).unwrap();
                    model.extend(some.iter().cloned().zip(new.iter().copied()));
                    if both < 5 {
                        state.put(some, rows(&new)).unwrap();
                    } else {
                        // The other way to store them, in any order of the keys: it tells what they had.
                        let turn = chance.below(some.len());
                        let (mut some, mut new) = (some, new);
                        some.rotate_left(turn);
                        new.rotate_left(turn);
                        let had: (Vec<i64>, Vec<usize>) = state.gather(&some).map(|(rows, of_keys)| (values(&rows), of_keys)).unwrap();
                        let stored = state.update(some, |known, of_keys| {
                            assert_eq!((values(&known), of_keys), had);
                            Ok(rows(&new))
                        });
                        assert_eq!(values(&stored.unwrap()), new);
                    }
                }
            }
            if chance.below(3) == 0 {
                let bytes_max = state.pinned_bytes() + chance.below(state.resident_bytes() + 1);
                state.spill(&area, bytes_max).unwrap();
                assert!(state.bytes() <= bytes_max.max(state.pinned_bytes()) + 4_096, "{} of {bytes_max}", state.bytes());
            }
            if chance.below(10) == 0 {
                assert_eq!(values(&state.all().unwrap()), model.values().copied().collect::<Vec<_>>());
                assert_eq!(in_parts(&state, 1 + chance.below(4_000)), model.values().copied().collect::<Vec<_>>());
            }
        }
        assert!(store.created() > 20, "only {} runs were written", store.created());
        drop(state);
        assert_eq!(store.files(), 0);
    }
}

#[test]
fn what_was_touched_last_stays_in_memory() {
    assert_eq!(first_kept(&[5, 5, 5], 0), 3);
    assert_eq!(first_kept(&[5, 5, 5], 9), 2);
    assert_eq!(first_kept(&[5, 5, 5], 10), 1);
    assert_eq!(first_kept(&[5, 0, 5], 15), 0);
    let ((store, area), mut state) = (area(), GroupState::new(schema()));
    for group in 0..100 {
        state.put(vec![key(10, group)], rows(&[i64::from(group)])).unwrap();
    }
    state.spill(&area, state.bytes() / 2).unwrap();
    store.damage();
    assert_eq!(values(&state.gather(&[key(10, 99)]).unwrap().0), [99]);
    assert_eq!(state.gather(&[key(10, 0)]).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn compacted_rows_go_out_only_as_far_as_they_have_to() {
    let ((_, area), mut state) = (area(), GroupState::new(schema()));
    let numbers: Vec<i64> = (0..100_000).collect();
    state.put(numbers.iter().map(|n| GroupKey::new(EventTime(10), &n.to_be_bytes())).collect(), rows(&numbers)).unwrap();
    state.compact().unwrap();
    let bytes = state.bytes();
    state.spill(&area, bytes / 2).unwrap();
    assert!(
        state.bytes() <= bytes / 2 + 200_000 && state.resident_bytes() > bytes / 4,
        "{} of {bytes} bytes are left",
        state.resident_bytes()
    );
    assert_eq!(values(&state.all().unwrap()), numbers);
}

#[test]
fn what_is_removed_is_not_read_for_that() {
    let ((store, area), mut state) = (area(), GroupState::new(schema()));
    state.put(vec![key(10, 1), key(20, 2)], rows(&[1, 2])).unwrap();
    state.spill(&area, 0).unwrap();
    store.damage();
    state.remove(&[key(10, 1), key(30, 3)]);
    store.mend();
    assert_eq!(values(&state.all().unwrap()), [2]);
}

/// A large run between others keeps these apart, until its windows close; then they are merged, and what they have is gone.
#[test]
fn groups_that_are_gone_stay_gone_when_nothing_is_left_of_runs() {
    let ((store, area), mut state) = (area(), GroupState::new(schema()));
    state.put(vec![key(20, 1)], rows(&[1])).unwrap();
    state.spill(&area, 0).unwrap();
    let numbers: Vec<i64> = (0..5_000).collect();
    state.put(numbers.iter().map(|n| GroupKey::new(EventTime(10), &n.to_be_bytes())).collect(), rows(&numbers)).unwrap();
    state.spill(&area, 0).unwrap();
    for _ in 0..3 {
        state.remove(&[key(20, 1)]);
        state.spill(&area, 0).unwrap();
    }
    assert_eq!(store.files(), 5, "the large one keeps the others apart");
    state.remove(&[key(20, 1)]);
    state.forget(EventTime(10), None).unwrap();
    state.spill(&area, usize::MAX).unwrap();
    assert_eq!((store.files(), state.bytes()), (0, 0));
    let (found, which) = state.gather(&[key(20, 1)]).unwrap();
    assert_eq!((found.num_rows(), which.len()), (0, 0));
    assert!(state.close(EventTime(30), usize::MAX).unwrap().is_none());
}

#[test]
fn a_full_disk_changes_nothing_and_is_tried_again() {
    let ((store, area), mut state) = (area(), GroupState::new(schema()));
    let numbers: Vec<i64> = (0..5_000).collect();
    state.put(numbers.iter().map(|n| GroupKey::new(EventTime(10), &n.to_be_bytes())).collect(), rows(&numbers)).unwrap();
    store.limit(Some(20_000));
    assert_eq!(state.spill(&area, 0).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!((values(&state.all().unwrap()), store.files()), (numbers.clone(), 0));
    store.limit(None);
    state.spill(&area, 0).unwrap();
    assert_eq!((values(&state.all().unwrap()), state.resident_bytes()), (numbers, 0));
    assert!(state.disk_bytes() > 40_000 && state.bytes() < 20_000, "{} bytes are in memory", state.bytes());
}

#[test]
fn on_a_nearly_full_disk_rows_go_out_though_their_runs_can_not_be_merged() {
    let ((store, area), mut state) = (area(), GroupState::new(schema()));
    let put = |state: &mut GroupState, part: i64| {
        let numbers: Vec<i64> = (part * 1_000..(part + 1) * 1_000).collect();
        state.put(numbers.iter().map(|n| GroupKey::new(EventTime(10), &n.to_be_bytes())).collect(), rows(&numbers)).unwrap();
    };
    for part in 0..3 {
        put(&mut state, part);
        state.spill(&area, 0).unwrap();
    }
    // For one run more there is room, not for all of them a second time.
    let taken = usize::try_from(state.disk_bytes()).unwrap();
    store.limit(Some(taken + taken / 2));
    put(&mut state, 3);
    state.spill(&area, 0).unwrap();
    assert_eq!((state.resident_bytes(), store.files()), (0, 4));
    assert_eq!(values(&state.all().unwrap()), (0..4_000).collect::<Vec<_>>());
    store.limit(None);
    for part in 4..8 {
        put(&mut state, part);
        state.spill(&area, 0).unwrap();
    }
    assert_eq!((values(&state.all().unwrap()), store.files()), ((0..8_000).collect(), 1), "where there is room again, they are merged");
}
