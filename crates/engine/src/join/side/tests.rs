#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::row::{RowConverter, SortField};

use super::*;

const MINUTE: i64 = 60_000_000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, true)]))
}

fn converter() -> RowConverter {
    RowConverter::new(vec![SortField::new(DataType::Int64)]).unwrap()
}

/// Rows of these keys. Keys of different converters are equal when their values are, for integers.
fn keyed(rows: RecordBatch) -> Result<Keyed> {
    let keys = converter().convert_columns(rows.columns())?;
    let usable = (0..rows.num_rows()).map(|row| rows.column(0).is_valid(row)).collect();
    Ok(Keyed { rows, keys, usable })
}

fn key(key: i64) -> Vec<u8> {
    converter().convert_columns(&[Arc::new(Int64Array::from(vec![key])) as ArrayRef]).unwrap().row(0).data().to_vec()
}

fn add(state: &mut SideState, rows: &[(Option<i64>, i64)]) {
    let keys: Int64Array = rows.iter().map(|(key, _)| *key).collect();
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(keys)]).unwrap();
    let arrivals: Vec<_> = rows
        .iter()
        .map(|(_, time)| Arrival { position: RowPosition { partition: 0, offset: *time }, version: Version(*time), time: Some(*time) })
        .collect();
    state.begin_epoch();
    state.add(keyed(batch).unwrap(), &arrivals);
}

/// The times of the rows of `of` from `from` to `to`.
fn found(state: &SideState, of: i64, from: i64, to: i64) -> Vec<i64> {
    let mut times = Vec::new();
    state.find(&key(of), (from, to), state.end(), |slot| times.push(state.slot(slot).time));
    times.sort_unstable();
    times
}

#[test]
fn rows_are_found_by_key_and_time_over_the_bounds_of_buckets() {
    let mut state = SideState::new(schema(), 2 * MINUTE);
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
    let mut state = SideState::new(schema(), MINUTE);
    add(&mut state, &[(Some(1), 30), (Some(2), 10), (Some(1), 20)]);
    let mut gone = Vec::new();
    state.expire(30, |_, slot| gone.push(slot.time));
    assert_eq!(gone, [10, 20]);
    assert_eq!((found(&state, 1, 0, 100), found(&state, 2, 0, 100)), (vec![30], Vec::new()));
}

#[test]
fn a_full_checkpoint_and_deltas_give_the_rows_back_with_what_they_matched() {
    let mut state = SideState::new(schema(), MINUTE);
    add(&mut state, &[(Some(1), 10), (Some(2), 20)]);
    let full = state.snapshot().unwrap();
    add(&mut state, &[(Some(3), 30), (Some(4), 15)]);
    assert!(state.set_matched(0) && state.set_matched(2) && !state.set_matched(0));
    state.expire(18, |_, _| ());
    let delta = state.delta().unwrap();
    // The first row has left; the second has not matched; the third is new; the fourth came and left.
    assert_eq!(delta.num_rows(), 1);
    state.begin_epoch();
    assert!(state.set_matched(1));
    let matched = state.delta().unwrap();
    let mut restored = SideState::new(schema(), MINUTE);
    for stored in [&full, &delta, &matched] {
        let times = stored.column(2).as_primitive::<Int64Type>().values().to_vec();
        let known: Vec<i64> = restored.slots.iter().map(|slot| slot.time).collect();
        let times = times.into_iter().filter(|time| !known.contains(time)).map(Some).collect();
        restored.restore(stored, |rows| Ok((keyed(rows)?, times))).unwrap();
    }
    restored.expire(18, |_, _| ());
    assert_eq!(restored.snapshot().unwrap(), state.snapshot().unwrap());
    assert_eq!(restored.next_id, 3, "the numbers of rows that left without a trace may come again");
}

#[test]
fn many_rows_that_left_are_forgotten_and_the_others_stay_findable() {
    let mut state = SideState::new(schema(), MINUTE);
    let rows: Vec<_> = (0..20_000).map(|at| (Some(at % 7), at)).collect();
    add(&mut state, &rows);
    state.set_matched(19_999);
    state.expire(19_000, |_, _| ());
    let (before, bytes) = (state.snapshot().unwrap(), state.bytes());
    state.tidy(keyed).unwrap();
    assert_eq!(state.end(), 1_000);
    assert!(state.bytes() < bytes / 4, "{} of {bytes}", state.bytes());
    assert_eq!(state.snapshot().unwrap(), before);
    let expected: Vec<i64> = (19_000..20_000).filter(|at| at % 7 == 3).collect();
    assert_eq!(found(&state, 3, 0, 20_000), expected);
    let mut gone = Vec::new();
    state.expire(19_002, |_, slot| gone.push(slot.time));
    assert_eq!(gone, [19_000, 19_001]);
}
