#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use millstream_core::ErrorKind;

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

/// Full, on the key; the right row is from 2 minutes before to 3 minutes after the left one, and its value is at most 100 by that of the left one.
fn join(limits: Limits) -> StreamJoin {
    let share = BinaryExpr::new(lit(100_i64), Operator::Divide, Arc::new(Column::new("left value", 2)));
    let condition = BinaryExpr::new(Arc::new(share), Operator::GtEq, Arc::new(Column::new("right value", 5)));
    let stage = JoinStage {
        sides: [side(0, "left"), side(1, "right")],
        kind: JoinType::Full,
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
        let mut join = join(Limits { pairs_at_once, ..Limits::default() });
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
        let mut join = join(Limits { pairs_at_once: 64, rows_max });
        join.advance(arrived(0, "left", &rows), arrived(1, "right", &rows), None).map(|joined| joined.rows.len())
    };
    assert_eq!(advance(400).unwrap(), 400);
    let error = advance(399).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("over 399 rows") && error.to_string().contains("lower engine.epoch_rows_max"), "{error}");
}
