#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use millstream_core::ErrorKind;
use millstream_testkit::toy::{Disk, ToySpillStore};

use super::block::{self, Block};
use super::filter::{KeyFilter, hash_of};
use super::runs::due;
use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false), Field::new("name", DataType::Utf8, true)]))
}

fn key(n: i64) -> GroupKey {
    GroupKey::new(EventTime(n / 1_000), &n.to_be_bytes())
}

fn rows(values: &[i64]) -> RecordBatch {
    let names: StringArray = values.iter().map(|v| (v % 3 > 0).then(|| format!("name {v}"))).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(values.to_vec())), Arc::new(names)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// A disk, a flow's place on it, and runs: each has these keys, each key its number plus the run's as the value; negative ones are gone.
fn written(runs: &[Vec<i64>]) -> (Arc<ToySpillStore>, SpillArea, Runs) {
    written_by(runs, key, Filtering::Keys)
}

fn written_by(runs: &[Vec<i64>], key: fn(i64) -> GroupKey, filtering: Filtering) -> (Arc<ToySpillStore>, SpillArea, Runs) {
    let store = Arc::new(ToySpillStore::open(Arc::new(Disk::default())));
    let area = SpillArea::new(store.clone(), FlowId::new("f"));
    let mut all = Runs::of(filtering);
    for (number, keys) in (0..).zip(runs) {
        let batch = rows(&keys.iter().map(|n| n.abs() + number).collect::<Vec<_>>());
        let place = |(row, n): (usize, &i64)| (key(n.abs()), if *n < 0 { GONE } else { (0, row) });
        let places: std::collections::BTreeMap<GroupKey, Place> = keys.iter().enumerate().map(place).collect();
        let entries = Merge::new(vec![Source::memory(places.iter())]);
        let written = Written { entries, entries_max: keys.len(), memory: &[batch], row_bytes: 1_000, keeps_gone: true, filtering };
        all.push(write(&area, &schema(), written).unwrap().unwrap());
    }
    (store, area, all)
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// All groups that are there, in order.
fn all(runs: &Runs, after: Option<&GroupKey>) -> Vec<i64> {
    let mut merge = Merge::new(runs.sources(after.map(GroupKey::borrowed)).unwrap());
    let mut picker = Picker::new(&[]);
    while let Some(entry) = merge.next().unwrap() {
        if entry.at.is_some() {
            picker.add(entry.at);
        }
    }
    values(&picker.rows(&schema()).unwrap())
}

#[test]
fn a_block_comes_back_as_it_was_written() {
    let rows = rows(&[7, 8, 9]);
    let keys = [key(1), key(2), key(5)];
    let borrowed: Vec<KeyRef<'_>> = keys.iter().map(GroupKey::borrowed).collect();
    let bytes = block::encode(&block::stored_schema(&schema()), rows.columns().to_vec(), &borrowed, vec![false, true, false]).unwrap();
    let block = Block::decode(&bytes).unwrap();
    assert_eq!(block.rows().columns(), rows.columns());
    assert_eq!((0..3).map(|row| block.is_gone(row)).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!([1, 2, 5, 3].map(|n| block.find(key(n).borrowed())), [Some(0), Some(1), Some(2), None]);
    assert_eq!([0, 3, 9].map(|n| block.seek(key(n).borrowed())), [0, 2, 3]);
}

#[test]
fn the_filter_holds_all_its_keys_and_few_others() {
    let mut filter = KeyFilter::with_room_for(10_000);
    (0..10_000).for_each(|n| filter.add(hash_of(key(n).borrowed())));
    assert!((0..10_000).all(|n| filter.may_hold(hash_of(key(n).borrowed()))));
    let wrong = (10_000..30_000).filter(|n| filter.may_hold(hash_of(key(*n).borrowed()))).count();
    assert!(wrong < 400, "{wrong} of 20,000 seem to be there");
}

#[test]
fn the_newest_run_that_knows_a_group_says_what_it_is() {
    let (_, _, runs) = written(&[(0..200).collect(), (100..300).collect(), vec![-150, 160, 5_000]]);
    let keys: Vec<GroupKey> = [5_000, 10, 150, 250, 160, 999, 199].map(key).into();
    let found = runs.find(&keys, (0..keys.len()).collect()).unwrap();
    let value = |(i, (batch, row)): &(usize, Place)| (*i, values(&found.batches[*batch])[*row]);
    assert_eq!(found.places.iter().map(value).collect::<Vec<_>>(), [(0, 5_002), (1, 10), (3, 251), (4, 162), (6, 200)]);
}

/// Ten numbers in a row have the first bytes of their keys in common.
fn key_in_tens(n: i64) -> GroupKey {
    GroupKey::new(EventTime(n / 1_000), &[(n / 10).to_be_bytes(), n.to_be_bytes()].concat())
}

#[test]
fn rows_are_found_by_the_beginning_of_their_keys_in_whatever_blocks_and_runs_they_are() {
    // A block has 65 rows, so that many tens are in two blocks.
    let (_, _, runs) = written_by(&[(0..2_000).collect(), (995..1_017).collect(), vec![-7, 8]], key_in_tens, Filtering::Prefixes);
    let found = |tens: &[u64]| {
        let prefixes: Vec<Prefix> = tens.iter().map(|n| Prefix::new(EventTime(i64::try_from(n / 100).unwrap()), *n)).collect();
        let rows = runs.beginning_with(&prefixes, usize::MAX).unwrap().unwrap();
        rows.iter().flat_map(values).collect::<Vec<_>>()
    };
    for ten in 2..99_i64 {
        assert_eq!(found(&[u64::try_from(ten).unwrap()]), (ten * 10..ten * 10 + 10).collect::<Vec<_>>());
    }
    // The newest run's first, each with its number added; a row that is gone is none.
    assert_eq!(found(&[0]), [10].into_iter().chain(0..10).collect::<Vec<_>>());
    assert_eq!(
        found(&[3, 99, 101, 500]),
        [(996..1_001), (1_011..1_018), (30..40), (990..1_000), (1_010..1_020)].into_iter().flatten().collect::<Vec<_>>()
    );
    assert!(found(&[200, 700]).is_empty());
    let few = runs.beginning_with(&[Prefix::new(EventTime(0), 5)], 100).unwrap();
    assert!(few.is_none(), "ten rows take more");
}

#[test]
fn a_filter_knows_the_beginnings_of_keys_or_nothing() {
    let (store, _, runs) = written_by(&[(0..2_000).collect()], key_in_tens, Filtering::Prefixes);
    store.damage();
    // A block that is not read can't be damaged.
    let absent = (300..400).filter(|n| runs.beginning_with(&[Prefix::new(EventTime(1), *n)], usize::MAX).is_ok()).count();
    assert!(absent > 95, "of 100 beginnings that are not there, {absent} were not looked for");
    let (_, _, unfiltered) = written_by(&[(0..2_000).collect()], key_in_tens, Filtering::Nothing);
    assert_eq!(all(&unfiltered, None).len(), 2_000);
    assert!(runs.memory_bytes() > unfiltered.memory_bytes() + 2_000);
}

#[test]
fn all_groups_come_in_order_from_any_place_on() {
    let (_, _, runs) = written(&[(0..200).collect(), (100..300).collect(), vec![-150, 160]]);
    let value = |n: i64| if n == 160 { 162 } else { n + i64::from(n >= 100) };
    let expected = |from: i64| (from..300).filter(|n| *n != 150).map(value).collect::<Vec<_>>();
    assert_eq!(all(&runs, None), expected(0));
    for after in [0, 15, 16, 63, 64, 149, 150, 151, 160, 298, 299, 4_000] {
        assert_eq!(all(&runs, Some(&key(after))), expected(after + 1), "behind {after}");
    }
}

#[test]
fn windows_that_close_are_gone_and_so_are_runs_of_nothing_else() {
    let (store, _, mut runs) = written(&[(0..1_500).collect(), (500..2_500).step_by(7).collect()]);
    assert_eq!(store.files(), 2);
    runs.close(EventTime(0));
    assert_eq!(all(&runs, None).first(), Some(&1_000));
    assert!(runs.find(&[key(999)], vec![0]).unwrap().places.is_empty());
    runs.close(EventTime(1));
    assert_eq!((store.files(), all(&runs, None).first()), (1, Some(&2_006)), "the older run had no other windows");
    runs.close(EventTime(2));
    assert_eq!((store.files(), runs.is_empty()), (0, true));
}

#[test]
fn merged_runs_say_what_they_said_apart_and_forget_what_is_gone() {
    let gone: Vec<i64> = (0..50).map(|n| -n).filter(|n| *n < 0).collect();
    let (store, area, mut runs) = written(&[(0..60).collect(), (20..70).collect(), gone, (40..65).collect()]);
    let before = all(&runs, None);
    runs.tidy(&area, &schema()).unwrap();
    assert_eq!((all(&runs, None), store.files()), (before.clone(), 1));
    assert_eq!(runs.entries(), before.len(), "nothing of what is gone is kept in the oldest run");
}

#[test]
fn a_merge_that_there_is_no_room_for_is_put_off_and_tried_again_when_much_has_changed() {
    let written_runs: [Vec<i64>; 5] = [0..60, 1_000..1_060, 1_020..1_070, 1_040..1_065, 1_050..1_080].map(Iterator::collect);
    let (store, area, mut runs) = written(&written_runs);
    let before = all(&runs, None);
    store.limit(Some(usize::try_from(runs.disk_bytes()).unwrap() + 100));
    runs.tidy(&area, &schema()).unwrap();
    assert_eq!((all(&runs, None), store.files(), store.created()), (before.clone(), 5, 6));
    runs.tidy(&area, &schema()).unwrap();
    assert_eq!(store.created(), 6, "nothing has changed");
    store.limit(None);
    runs.close(EventTime(0));
    runs.tidy(&area, &schema()).unwrap();
    assert_eq!((all(&runs, None), store.files()), (before[60..].to_vec(), 1), "a run that is gone leaves room");
}

#[test]
fn runs_of_about_one_size_are_merged_when_there_are_several() {
    assert_eq!(due(&[]), None);
    assert_eq!(due(&[10, 10, 10]), None);
    assert_eq!(due(&[10, 10, 10, 10]), Some(0));
    assert_eq!(due(&[1_000, 10, 10, 10, 10]), Some(1), "a large one waits");
    assert_eq!(due(&[70, 40, 20, 10]), Some(0));
    let (mut sizes, mut written, mut most) = (Vec::new(), 0, 0);
    for _ in 0..4_096 {
        sizes.push(1);
        while let Some(from) = due(&sizes) {
            let merged: u64 = sizes.drain(from..).sum();
            written += merged;
            sizes.push(merged);
        }
        most = most.max(sizes.len());
    }
    assert!(most < 20 && written < 4_096 * 12, "{most} runs, {written} rows written again");
}

#[test]
fn a_changed_byte_is_noticed() {
    let (store, _, runs) = written(&[(0..100).collect()]);
    store.damage();
    let error = runs.find(&[key(50)], vec![0]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}
