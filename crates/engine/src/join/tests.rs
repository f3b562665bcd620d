#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use millstream_core::{ErrorKind, FlowId};
use millstream_testkit::generate::Changes;
use millstream_testkit::toy::{Disk, ToySpillStore};

use super::*;
use crate::compile::JoinSide;

const MINUTE: i64 = 60_000_000;

/// A key, a time in minutes and a value.
type Row = (i64, i64, i64);

fn fields(side: &str) -> Vec<Field> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let field = |name: &str, data_type| Field::new(format!("{side} {name}"), data_type, true);
    vec![field("key", DataType::Int64), field("time", time), field("value", DataType::Int64)]
}

fn side(source: usize, name: &str) -> JoinSide {
    JoinSide {
        source,
        inputs: Vec::new(),
        before: Vec::new(),
        keys: vec![Arc::new(Column::new(&format!("{name} key"), 0))],
        width: 3,
        time: 1,
        schema: Arc::new(Schema::new(fields(name))),
        watermark_column: format!("{name} time"),
        watermark_delay_us: 0,
    }
}

/// On the key; the right row is from 2 minutes before to 3 minutes after the left one, and its value is at most 100 by that of the left one.
fn join(kind: JoinType, limits: Limits) -> StreamJoin {
    let share = BinaryExpr::new(lit(100_i64), Operator::Divide, Arc::new(Column::new("left value", 2)));
    let condition = BinaryExpr::new(Arc::new(share), Operator::GtEq, Arc::new(Column::new("right value", 5)));
    let stage = JoinStage {
        sides: [side(0, "left"), side(1, "right")],
        kind,
        condition: vec![Step::Filter(Arc::new(condition))],
        least_us: -2 * MINUTE,
        greatest_us: 3 * MINUTE,
        null_equals_null: false,
        window_side: None,
        pair: Arc::new(Schema::new([fields("left"), fields("right")].concat())),
        after: Vec::new(),
    };
    StreamJoin { limits, ..StreamJoin::new(stage).unwrap() }
}

/// Rows of one side; each event's offset is its row's number.
fn arrived(partition: i32, name: &str, rows: &[Row]) -> Arrived {
    let column = |of: fn(&Row) -> i64| rows.iter().map(of).collect::<Int64Array>();
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1 * MINUTE)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![Arc::new(column(|row| row.0)), Arc::new(times), Arc::new(column(|row| row.2))];
    let event = |(row, offset)| (RowPosition { partition, offset }, Version(2 * i64::from(partition == 0) + 10 * Row::clone(row).1));
    Arrived {
        rows: RecordBatch::try_new(Arc::new(Schema::new(fields(name))), columns).unwrap(),
        events: rows.iter().zip(0..).map(event).collect(),
    }
}

/// The minutes of the left and of the right row of each joined one, in order.
fn minutes(rows: &Rows) -> Vec<(Option<i64>, Option<i64>)> {
    let times = [1, 4].map(|at| rows.batch.column(at).as_primitive::<TimestampMicrosecondType>().clone());
    let minute = |side: usize, row: usize| times[side].is_valid(row).then(|| times[side].value(row) / MINUTE);
    let mut minutes: Vec<_> = (0..rows.len()).map(|row| (minute(0, row), minute(1, row))).collect();
    minutes.sort_unstable();
    minutes
}

#[test]
fn however_few_pairs_are_looked_at_at_a_time_the_same_rows_come_out_and_the_same_events_are_to_blame() {
    let left: Vec<Row> = (0..60).map(|at| (at % 2, at / 3, at % 5)).collect();
    let right: Vec<Row> = (0..60).map(|at| (at % 2, at / 3, at * 7 % 60)).collect();
    let (mut pairs, mut failed) = (Vec::new(), Vec::new());
    let near = |l: &Row, r: &Row| l.0 == r.0 && (-2..=3).contains(&(r.1 - l.1));
    for (at, l) in left.iter().enumerate() {
        for (number, r) in right.iter().enumerate().filter(|(_, r)| near(l, r)) {
            match 100_i64.checked_div(l.2) {
                // The left event is the later one of two of the same minute.
                None => failed.push(if l.1 >= r.1 { (0, at) } else { (1, number) }),
                Some(share) if share >= r.2 => pairs.push((Some(l.1), Some(r.1))),
                Some(_) => {}
            }
        }
    }
    let matches = |l: &Row, r: &Row| near(l, r) && l.2 != 0 && 100 / l.2 >= r.2;
    pairs.extend(left.iter().filter(|l| !right.iter().any(|r| matches(l, r))).map(|l| (Some(l.1), None)));
    pairs.extend(right.iter().filter(|r| !left.iter().any(|l| matches(l, r))).map(|r| (None, Some(r.1))));
    pairs.sort_unstable();
    failed.sort_unstable();
    for pairs_at_once in [1, 7, 50, 100_000] {
        let mut join = join(JoinType::Full, Limits { pairs_at_once, ..Limits::default() });
        let joined = join.advance(arrived(0, "left", &left), arrived(1, "right", &right), Some(EventTime(1_000 * MINUTE))).unwrap();
        assert_eq!(minutes(&joined.rows), pairs, "{pairs_at_once} pairs at a time");
        let place = |origin: u32| {
            let (position, _) = join.completed_by(origin);
            (position.partition, usize::try_from(position.offset).unwrap())
        };
        let mut blamed: Vec<_> = joined.failed.iter().map(|(origin, _)| place(*origin)).collect();
        blamed.sort_unstable();
        assert_eq!(blamed, failed, "{pairs_at_once} pairs at a time");
        // The event of each row is one of the two that it was made of.
        for (row, origin) in joined.rows.origin.values().iter().enumerate() {
            let (partition, offset) = place(*origin);
            let minute = if partition == 0 { left[offset].1 } else { right[offset].1 };
            let (l, r) = minutes(&joined.rows.slice(row, 1))[0];
            assert!(l == Some(minute) || r == Some(minute), "{l:?} {r:?} {minute}");
        }
    }
}

#[test]
fn an_epoch_that_joins_to_too_many_rows_is_refused_and_it_is_said_what_to_do() {
    let rows: Vec<Row> = (0..20).map(|_| (1, 1, 1)).collect();
    let advance = |rows_max| {
        let mut join = join(JoinType::Full, Limits { pairs_at_once: 64, rows_max, ..Limits::default() });
        join.advance(arrived(0, "left", &rows), arrived(1, "right", &rows), None).map(|joined| joined.rows.len())
    };
    assert_eq!(advance(400).unwrap(), 400);
    let error = advance(399).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("over 399 rows") && error.to_string().contains("lower engine.epoch_rows_max"), "{error}");
}

/// Rows of one side that come in one epoch.
type Side = Vec<Row>;

/// What comes in some epochs, and the watermark after each: most rows come in the order of their times, some keys have many.
fn epochs(seed: u64, n: i64) -> Vec<(Side, Side, i64)> {
    let mut random = Changes::seeded(seed, 1);
    let mut below = |n: usize| i64::try_from(random.below(n)).unwrap();
    let mut watermark = 0;
    let mut epoch = |now: i64| {
        let mut side = || {
            let rows = 0..below(40);
            rows.map(|_| (below(2) * below(12), (now - below(4) * below(3)).max(watermark), below(130))).collect::<Vec<_>>()
        };
        let (left, right) = (side(), side());
        watermark = (now - 6).max(0);
        (left, right, watermark)
    };
    (0..n).map(|now| epoch(now / 2)).collect()
}

/// What an epoch gave: the rows, and for each, and each that failed, the event that completed it.
fn given(join: &StreamJoin, joined: &Joined) -> (RecordBatch, Vec<(RowPosition, Version)>) {
    let origins = joined.rows.origin.values().iter().copied().chain(joined.failed.iter().map(|(origin, _)| *origin));
    (joined.rows.batch.clone(), origins.map(|origin| join.completed_by(origin)).collect())
}

fn advance(join: &mut StreamJoin, (left, right, watermark): &(Side, Side, i64)) -> Result<Joined> {
    join.advance(arrived(0, "left", left), arrived(1, "right", right), Some(EventTime(watermark * MINUTE)))
}

fn area() -> (Arc<ToySpillStore>, SpillArea) {
    let store = Arc::new(ToySpillStore::open(Arc::new(Disk::default())));
    (store.clone(), SpillArea::new(store, FlowId::new("f")))
}

const KINDS: [JoinType; 5] = [JoinType::Inner, JoinType::Left, JoinType::Right, JoinType::Full, JoinType::LeftSemi];

#[test]
fn the_same_rows_come_out_in_the_same_order_wherever_rows_are_kept() {
    for (kind, seed) in KINDS.into_iter().cycle().zip(0..10) {
        let (store, area) = area();
        let (mut without, mut with) = (join(kind, Limits::default()), join(kind, Limits { pairs_at_once: 30, ..Limits::default() }));
        let mut random = Changes::seeded(seed, 1);
        let mut rows = 0;
        for (number, epoch) in epochs(seed, 80).iter().enumerate() {
            let (expected, found) = (advance(&mut without, epoch).unwrap(), advance(&mut with, epoch).unwrap());
            assert_eq!(given(&with, &found), given(&without, &expected), "{kind:?}, epoch {number} of {seed}");
            rows += expected.rows.len();
            // Sometimes there is much memory, mostly little or none.
            let bytes_max = [0, 500, 4_000, 100_000][random.below(4)];
            with.spill(&area, bytes_max).unwrap();
            // How much is brought back at a time is another matter: all, or hardly more than what one row looks for.
            with.limits.recalled_bytes_max = [200, 3_000, 1 << 20][random.below(3)];
        }
        assert!(rows > 500 && store.created() > 100, "{rows} rows, {} runs", store.created());
        drop(with);
        assert_eq!(store.files(), 0);
    }
}

/// The checkpoints of some epochs: what each has of either side, and the first of the newest whole round.
struct Checkpoints {
    all: Vec<Vec<RecordBatch>>,
    base: usize,
    round: Option<(usize, JoinMark)>,
}

impl Checkpoints {
    /// Adds the one after an epoch: its delta, and a part of a round, of which one follows the other.
    fn add(&mut self, join: &StreamJoin, delta: Vec<RecordBatch>) {
        let here = self.all.len();
        let (first, mark) = self.round.take().unwrap_or((here, JoinMark::default()));
        let (part, next) = join.part(&mark, if here == 0 { usize::MAX } else { 5_000 }).unwrap();
        let both = |(delta, part): (&RecordBatch, &RecordBatch)| concat_batches(&part.schema(), [delta, part]).unwrap();
        let is_full = first == here && next.is_none();
        self.all.push(if is_full { part } else { delta.iter().zip(&part).map(both).collect() });
        match next {
            Some(next) => self.round = Some((first, next)),
            None => self.base = first,
        }
    }
}

#[test]
fn what_is_restored_from_parts_goes_on_as_what_never_stopped_in_memory_or_not() {
    for (kind, seed) in KINDS.into_iter().cycle().zip(20..30) {
        let (_, area) = area();
        let (mut without, mut with) = (join(kind, Limits::default()), join(kind, Limits::default()));
        let mut random = Changes::seeded(seed, 1);
        let mut checkpoints = Checkpoints { all: Vec::new(), base: 0, round: None };
        let (mut bases, mut restarts) = (std::collections::BTreeSet::new(), 0);
        for (number, epoch) in epochs(seed, 120).iter().enumerate() {
            let (expected, found) = (advance(&mut without, epoch).unwrap(), advance(&mut with, epoch).unwrap());
            assert_eq!(given(&with, &found), given(&without, &expected), "{kind:?}, epoch {number} of {seed}");
            checkpoints.add(&with, found.delta);
            bases.insert(checkpoints.base);
            if random.below(2) == 0 {
                with.spill(&area, [0, 2_000][random.below(2)]).unwrap();
            }
            if random.below(10) == 0 {
                restarts += 1;
                with = join(kind, Limits::default());
                let spills = random.below(2) == 0;
                for stored in &checkpoints.all[checkpoints.base..] {
                    with.restore(&stored[0], &stored[1]).unwrap();
                    if spills && random.below(3) == 0 {
                        with.spill(&area, 1_000).unwrap();
                    }
                }
                with.drop_passed(EventTime(epoch.2 * MINUTE), [None, None]);
                checkpoints.round = None;
            }
        }
        assert!(restarts > 4 && bases.len() > 3, "{restarts} restarts, rounds from {bases:?}");
    }
}

#[test]
fn what_is_kept_stays_within_its_memory() {
    let (_, area) = area();
    let mut join = join(JoinType::Full, Limits::default());
    for part in 0..20 {
        // No pair matches, so that all of it is kept.
        let rows = |n: i64| (0..5_000).map(|at| (part * 5_000 + at, part, n)).collect::<Vec<Row>>();
        advance(&mut join, &(rows(1), rows(1_000), 0)).unwrap();
        join.spill(&area, 200_000).unwrap();
        let size = join.size();
        assert!(size.memory < 250_000 + size.pinned, "{size:?}");
    }
    let size = join.size();
    assert!(size.disk > 5_000_000 && size.pinned < 1_000_000, "{size:?}");
    // What nobody can match any more is not on disk any longer.
    let rest = advance(&mut join, &(Vec::new(), Vec::new(), 1_000)).unwrap();
    assert_eq!(rest.rows.len(), 200_000);
    join.spill(&area, 200_000).unwrap();
    assert_eq!(join.size().disk, 0);
}

#[test]
fn an_epoch_that_looks_for_more_than_there_is_memory_for_is_joined_in_parts() {
    let (_, area) = area();
    let rows: Vec<Row> = (0..2_000).map(|at| (at % 500, 1, 1)).collect();
    let nothing = Vec::new();
    let mut join = join(JoinType::Full, Limits::default());
    advance(&mut join, &(rows.clone(), nothing.clone(), 0)).unwrap();
    join.spill(&area, 0).unwrap();
    assert_eq!(advance(&mut join, &(nothing.clone(), rows[..500].to_vec(), 0)).unwrap().rows.len(), 2_000);
    assert!(join.portion >= 500, "there is memory for all");
    // All left rows have matched, and have come back for that: they go again.
    join.spill(&area, 0).unwrap();
    join.limits.recalled_bytes_max = 10_000;
    assert_eq!(advance(&mut join, &(nothing, rows[..500].to_vec(), 0)).unwrap().rows.len(), 2_000);
    assert!(join.portion < 250 && join.portion > 10, "{} at a time", join.portion);
}

#[test]
fn a_full_disk_changes_nothing_and_a_damaged_block_is_noticed() {
    let (store, area) = area();
    let (mut without, mut with) = (join(JoinType::Full, Limits::default()), join(JoinType::Full, Limits::default()));
    let epochs = epochs(3, 60);
    for epoch in &epochs[..50] {
        let (expected, found) = (advance(&mut without, epoch).unwrap(), advance(&mut with, epoch).unwrap());
        assert_eq!(given(&with, &found), given(&without, &expected));
        store.limit(Some(2_000));
        assert_eq!(with.spill(&area, 0).unwrap_err().kind(), ErrorKind::Exhausted);
        store.limit(None);
        if epoch.2 % 3 == 0 {
            with.spill(&area, 0).unwrap();
        }
    }
    store.damage();
    let mut rest = epochs[50..].iter().map(|epoch| advance(&mut with, epoch));
    let error = rest.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}

/// What is still to come out behind an epoch, part by part, until all is out; `between` is called before each part, and with what it gave.
fn rest(
    join: &mut StreamJoin,
    watermark: i64,
    mut between: impl FnMut(&mut StreamJoin, Option<Joined>),
) -> Vec<(RecordBatch, Vec<(RowPosition, Version)>)> {
    let mut parts = Vec::new();
    while join.emitted() != [None, None] {
        between(join, None);
        let (left, right) = join.nothing_arrived();
        let joined = join.advance(left, right, Some(EventTime(watermark * MINUTE))).unwrap();
        parts.push(given(join, &joined));
        between(join, Some(joined));
    }
    parts
}

const OUTER_KINDS: [JoinType; 3] = [JoinType::Left, JoinType::Right, JoinType::Full];

#[test]
fn what_the_watermark_passes_comes_out_in_parts_the_same_through_restarts_between_them() {
    let (mut in_parts, mut restarts) = (0, 0);
    for (kind, seed) in OUTER_KINDS.into_iter().cycle().zip(40..52) {
        let (_, area) = area();
        let bounded = |bytes| join(kind, Limits { emitted_bytes_max: bytes, ..Limits::default() });
        let (mut without, mut with) = (join(kind, Limits::default()), bounded(200));
        let mut random = Changes::seeded(seed, 1);
        let mut checkpoints = Checkpoints { all: Vec::new(), base: 0, round: None };
        let mut passed = 0;
        for (number, (left, right, watermark)) in epochs(seed, 120).into_iter().enumerate() {
            // The watermark moves in large steps.
            passed = if number % 20 == 19 { watermark } else { passed };
            let epoch = (left, right, passed);
            let (expected, found) = (advance(&mut without, &epoch).unwrap(), advance(&mut with, &epoch).unwrap());
            let mut all = vec![given(&with, &found)];
            checkpoints.add(&with, found.delta);
            all.extend(rest(&mut with, passed, |with, joined| {
                if let Some(joined) = joined {
                    assert!(joined.rows.len() <= 60, "{} rows", joined.rows.len());
                    in_parts += 1;
                    checkpoints.add(with, joined.delta);
                    return;
                }
                if random.below(3) == 0 {
                    with.spill(&area, [0, 2_000][random.below(2)]).unwrap();
                }
                if random.below(5) == 0 {
                    restarts += 1;
                    let emitted = with.emitted();
                    *with = bounded([1, 200, 700][random.below(3)]);
                    for stored in &checkpoints.all[checkpoints.base..] {
                        with.restore(&stored[0], &stored[1]).unwrap();
                        if random.below(4) == 0 {
                            with.spill(&area, 1_000).unwrap();
                        }
                    }
                    with.drop_passed(EventTime(passed * MINUTE), emitted);
                    assert_eq!(with.emitted(), emitted);
                    checkpoints.round = None;
                }
            }));
            // Of each part, the events of its rows come first, then those to blame.
            let (mut rows, mut events, mut failed) = (Vec::new(), Vec::new(), Vec::new());
            for (part, mut of_part) in all {
                failed.extend(of_part.split_off(part.num_rows()));
                events.extend(of_part);
                rows.push(part);
            }
            events.extend(failed);
            let (found, expected) = ((concat_batches(&rows[0].schema(), &rows).unwrap(), events), given(&without, &expected));
            assert!(found == expected, "{kind:?}, epoch {number} of {seed}: {} of {} rows", found.1.len(), expected.1.len());
        }
    }
    assert!(in_parts > 300 && restarts > 50, "{in_parts} parts, {restarts} restarts");
}

#[test]
fn one_step_of_the_watermark_brings_no_more_into_memory_than_a_part() {
    // All rows have one time.
    let rows: Vec<Row> = (0..20_000).map(|at| (at, 1, 1)).collect();
    for on_disk in [false, true] {
        let (_, area) = area();
        let mut join = join(JoinType::Full, Limits { emitted_bytes_max: 40_000, ..Limits::default() });
        for rows in rows.chunks(5_000) {
            advance(&mut join, &(rows.to_vec(), Vec::new(), 0)).unwrap();
            if on_disk {
                join.spill(&area, 0).unwrap();
            }
        }
        let first = advance(&mut join, &(Vec::new(), Vec::new(), 100)).unwrap().rows.len();
        let mut sizes = vec![first];
        sizes.extend(rest(&mut join, 100, |_, _| {}).into_iter().map(|(rows, _)| rows.num_rows()));
        assert!(sizes.iter().all(|rows| *rows <= 2_000) && sizes.len() > 15, "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 20_000);
        join.spill(&area, 0).unwrap();
        assert_eq!((join.size().disk, join.size().movable()), (0, 0));
    }
}

#[test]
fn a_row_that_has_passed_when_it_comes_does_not_wait_behind_others() {
    // A right row matches left ones of 5 to 10 minutes before it: nobody looks for one whose time the watermark will reach within 5 minutes.
    let with = |bytes| {
        let mut join = join(JoinType::Right, Limits { emitted_bytes_max: bytes, ..Limits::default() });
        (join.right.reach_us, join.least_us, join.greatest_us) = (-5 * MINUTE, 5 * MINUTE, 10 * MINUTE);
        join
    };
    let (mut plain, mut join) = (with(usize::MAX), with(1));
    for epoch in [(Vec::new(), vec![(1, 4, 1), (2, 12, 1)], 0), (Vec::new(), vec![(3, 1, 1), (4, 2, 1), (5, 9, 1), (6, 8, 1)], 8)] {
        let expected = minutes(&advance(&mut plain, &epoch).unwrap().rows);
        let mut found = minutes(&advance(&mut join, &epoch).unwrap().rows);
        if epoch.2 == 8 {
            assert_eq!(found[..2], [(None, Some(1)), (None, Some(2))]);
        }
        found.extend(rest(&mut join, epoch.2, |_, _| {}).into_iter().flat_map(|(rows, _)| {
            let n = rows.num_rows();
            minutes(&Rows { batch: rows, origin: rising(0, n), kinds: UInt8Array::from_value(0, n) })
        }));
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}
