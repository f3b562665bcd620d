//! Tables to test with: every kind of key, and columns of every type.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use millstream_core::table::timestamp_type;
use millstream_core::{ClusteringColumn, KeySpec, SortOrder, TableKind, TableSpec};

use crate::row;
use crate::rows::{Cell, Row, date, time};

/// A schema from (name, type, nullable).
#[must_use]
pub fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, t, null)| Field::new(*name, t.clone(), *null)).collect::<Vec<_>>()))
}

fn clustering(name: &str, order: SortOrder) -> ClusteringColumn {
    ClusteringColumn { name: name.to_owned(), order }
}

/// An event-store table with a composite partition key (`origin`, `day`) and the clustering key (`ts` DESC, `id` ASC), like `departures`;
/// other columns: `note` STRING, `amount` DOUBLE, `n` INT.
#[must_use]
pub fn events(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::EventStore,
        schema: schema(&[
            ("origin", DataType::Utf8, false),
            ("day", DataType::Date32, false),
            ("ts", timestamp_type(), false),
            ("id", DataType::Int64, false),
            ("note", DataType::Utf8, true),
            ("amount", DataType::Float64, true),
            ("n", DataType::Int32, true),
        ]),
        key: KeySpec {
            partition: vec!["origin".to_owned(), "day".to_owned()],
            clustering: vec![clustering("ts", SortOrder::Desc), clustering("id", SortOrder::Asc)],
        },
        ttl: None,
    }
}

/// A row of [`events`].
#[must_use]
pub fn event(origin: &str, day: i32, ts: i64, id: i64, n: i32) -> Row {
    row![origin, date(day), time(ts), id, format!("{origin}-{id}"), f64::from(n) / 2.0, n]
}

/// The key of `row` of [`events`], other columns null: what a delete carries.
#[must_use]
pub fn event_key(origin: &str, day: i32, ts: i64, id: i64) -> Row {
    row![origin, date(day), time(ts), id, Cell::Null, Cell::Null, Cell::Null]
}

/// An event-store table with a single key: `k` STRING, `v` BIGINT.
#[must_use]
pub fn single(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::EventStore,
        schema: schema(&[("k", DataType::Utf8, false), ("v", DataType::Int64, true)]),
        key: KeySpec::single(["k"]),
        ttl: None,
    }
}

/// An event-store table with a compound key: partition `p` INT, clustering column `c` of any key type, `v` BIGINT.
#[must_use]
pub fn clustered_by(name: &str, data_type: DataType, order: SortOrder) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::EventStore,
        schema: schema(&[("p", DataType::Int32, false), ("c", data_type, false), ("v", DataType::Int64, true)]),
        key: KeySpec { partition: vec!["p".to_owned()], clustering: vec![clustering("c", order)] },
        ttl: None,
    }
}

/// Values of every type that can be a key, each type's in ascending order.
#[must_use]
pub fn key_types() -> Vec<(DataType, Vec<Cell>)> {
    let ints = |min: i64, max: i64| [min, -2, -1, 0, 1, 2, max].map(Cell::Int).to_vec();
    let times = || [i64::MIN / 4, -1_000_001, -1, 0, 1, 1_704_067_200_000_000].map(Cell::Time).to_vec();
    vec![
        (DataType::Boolean, vec![Cell::Bool(false), Cell::Bool(true)]),
        (DataType::Int8, ints(i8::MIN.into(), i8::MAX.into())),
        (DataType::Int16, ints(i16::MIN.into(), i16::MAX.into())),
        (DataType::Int32, ints(i32::MIN.into(), i32::MAX.into())),
        (DataType::Int64, ints(i64::MIN, i64::MAX)),
        (DataType::Utf8, ["", "\0", "\0\0", "\0a", "A", "a", "a\0", "a\0b", "aa", "b", "z\u{ff}", "é", "日本"].map(Cell::from).to_vec()),
        (
            DataType::Binary,
            [&[][..], &[0], &[0, 0], &[0, 1], &[0, 255], &[1], &[1, 0], &[127], &[128], &[255], &[255, 0], &[255, 255]]
                .map(|b| Cell::Bytes(b.to_vec()))
                .to_vec(),
        ),
        (DataType::Date32, [i32::MIN / 4096, -1, 0, 1, 19_723].map(Cell::Date).to_vec()),
        (timestamp_type(), times()),
        (DataType::Timestamp(TimeUnit::Microsecond, None), times()),
    ]
}

/// An event-store table with a column of every type; the key is `id` BIGINT.
#[must_use]
pub fn all_types(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::EventStore,
        schema: schema(&[
            ("id", DataType::Int64, false),
            ("a_boolean", DataType::Boolean, true),
            ("a_tinyint", DataType::Int8, true),
            ("a_smallint", DataType::Int16, true),
            ("an_int", DataType::Int32, true),
            ("a_bigint", DataType::Int64, true),
            ("a_float", DataType::Float32, true),
            ("a_double", DataType::Float64, true),
            ("a_decimal", DataType::Decimal128(38, 6), true),
            ("a_string", DataType::Utf8, true),
            ("a_binary", DataType::Binary, true),
            ("a_date", DataType::Date32, true),
            ("a_timestamp", timestamp_type(), true),
            ("a_timestamp_ntz", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        ]),
        key: KeySpec::single(["id"]),
        ttl: None,
    }
}

/// Rows of [`all_types`]: ordinary ones, extreme ones, and one of nulls; ids 1 to 4.
#[must_use]
pub fn all_types_rows() -> Vec<Row> {
    let extreme = |id: i64, sign: i64, decimal: i128| {
        vec![
            Cell::Int(id),
            Cell::Bool(sign > 0),
            Cell::Int(if sign > 0 { i8::MAX.into() } else { i8::MIN.into() }),
            Cell::Int(if sign > 0 { i16::MAX.into() } else { i16::MIN.into() }),
            Cell::Int(if sign > 0 { i32::MAX.into() } else { i32::MIN.into() }),
            Cell::Int(if sign > 0 { i64::MAX } else { i64::MIN }),
            Cell::Float(if sign > 0 { f32::MAX.into() } else { f32::MIN.into() }),
            Cell::Float(if sign > 0 { f64::INFINITY } else { f64::MIN_POSITIVE }),
            Cell::Decimal(decimal),
            Cell::Str("\0é日本\u{10ffff}".to_owned()),
            Cell::Bytes(vec![0, 255, 0]),
            Cell::Date(if sign > 0 { 2_932_896 } else { -719_162 }),
            Cell::Time(if sign > 0 { 253_402_300_799_999_999 } else { -62_135_596_800_000_000 }),
            Cell::Time(if sign > 0 { 253_402_300_799_999_999 } else { -62_135_596_800_000_000 }),
        ]
    };
    let most = 10_i128.pow(38) - 1;
    let mut nulls = vec![Cell::Null; 14];
    nulls[0] = Cell::Int(3);
    let ordinary = vec![
        Cell::Int(4),
        Cell::Bool(false),
        Cell::Int(-5),
        Cell::Int(300),
        Cell::Int(70_000),
        Cell::Int(-5_000_000_000),
        Cell::Float(0.5),
        Cell::Float(-1234.5678),
        Cell::Decimal(1_500_000),
        Cell::Str(String::new()),
        Cell::Bytes(Vec::new()),
        Cell::Date(0),
        Cell::Time(-1),
        Cell::Time(1),
    ];
    vec![extreme(1, 1, most), extreme(2, -1, -most), nulls, ordinary]
}

/// `spec` with this TTL.
#[must_use]
pub fn with_ttl(spec: TableSpec, ttl: Duration) -> TableSpec {
    TableSpec { ttl: Some(ttl), ..spec }
}

/// A report with the primary key (`carrier` STRING, `day` DATE) and the columns `flights` BIGINT, `delay` DOUBLE. All columns are
/// nullable, so that a null in the key reaches the store.
#[must_use]
pub fn report(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::Report,
        schema: schema(&[
            ("carrier", DataType::Utf8, true),
            ("day", DataType::Date32, true),
            ("flights", DataType::Int64, true),
            ("delay", DataType::Float64, true),
        ]),
        key: KeySpec::single(["carrier", "day"]),
        ttl: None,
    }
}

/// A lake table: `flow` STRING, `epoch` BIGINT, `id` BIGINT, `note` STRING; it has no key.
#[must_use]
pub fn lake(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::Lake,
        schema: schema(&[
            ("flow", DataType::Utf8, false),
            ("epoch", DataType::Int64, false),
            ("id", DataType::Int64, false),
            ("note", DataType::Utf8, true),
        ]),
        key: KeySpec::default(),
        ttl: None,
    }
}

/// A topic that flows write: the columns of [`lake`].
#[must_use]
pub fn topic(name: &str) -> TableSpec {
    TableSpec { kind: TableKind::Topic, ..lake(name) }
}

/// A table of critical events: key (`origin` STRING, `id` BIGINT), `delay` INT, rows live for `ttl`.
#[must_use]
pub fn critical(name: &str, ttl: Option<Duration>) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        kind: TableKind::Critical,
        schema: schema(&[("origin", DataType::Utf8, false), ("id", DataType::Int64, false), ("delay", DataType::Int32, true)]),
        key: KeySpec::single(["origin", "id"]),
        ttl,
    }
}
