//! Spark's SQL types through a system and back, exactly: extremes, nulls, and what the system can't hold.
//!
//! Each case writes a table with the key `id` BIGINT and one column `v`, a row for each value, and reads it back. What a system can't hold, it
//! declares ([`Port::refuses`]); then the refusal is what the case checks: of a type by `check_table`, before anything runs; of single values (a
//! NUL in PostgreSQL's text) as [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when they are written. Nothing is ever rounded.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use async_trait::async_trait;
use futures::future::BoxFuture;
use millstream_core::ports::{CriticalStore, EpochSink, EventStore, LakeStore, Publication, ReportStore, Scan};
use millstream_core::table::timestamp_type;
use millstream_core::{ErrorKind, KeySpec, Result, TableKind, TableSpec};

use super::suite;
use crate::changes::{Writer, insert};
use crate::check::{CaseResult, Failure};
use crate::harness::Harness;
use crate::rows::{Cell, Row, collect, stream_of};
use crate::{check, check_eq};

/// A version that no table's TTL has overtaken: 2024-01-01.
const VERSION: i64 = 1_704_067_200_000_000;

/// A system that holds tables.
#[async_trait]
pub trait TypedTables: Send + Sync {
    /// The kind of table that it holds.
    fn kind(&self) -> TableKind;

    /// Makes the table of `spec`, writes `rows` to it, and reads all of them back, in any order.
    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>>;
}

/// What the suite tests.
#[derive(Clone)]
pub struct Port {
    /// The system's tables.
    pub tables: Arc<dyn TypedTables>,
    /// Its adapter's `check_table`.
    pub check_table: fn(&TableSpec) -> Result<()>,
    /// What it declares to refuse: `None` for the value asks for the type as a whole.
    pub refuses: fn(&DataType, Option<&Cell>) -> bool,
}

impl Port {
    /// A system that holds everything.
    pub fn of(tables: impl TypedTables + 'static, check_table: fn(&TableSpec) -> Result<()>) -> Self {
        Self { tables: Arc::new(tables), check_table, refuses: |_, _| false }
    }

    /// The same with what it declares to refuse.
    #[must_use]
    pub fn refusing(self, refuses: fn(&DataType, Option<&Cell>) -> bool) -> Self {
        Self { refuses, ..self }
    }
}

/// Whether there is a NaN or an infinity within a nested value, for which JSON has no word.
#[must_use]
pub fn has_non_finite_within(value: &Cell) -> bool {
    let is = |value: &Cell| matches!(value, Cell::Float(v) if !v.is_finite()) || has_non_finite_within(value);
    match value {
        Cell::List(values) | Cell::Struct(values) => values.iter().any(is),
        Cell::Map(entries) => entries.iter().any(|(key, value)| is(key) || is(value)),
        _ => false,
    }
}

suite!(
    "types",
    Port,
    [
        booleans,
        integers,
        floating_point_numbers,
        decimals,
        strings,
        binaries,
        dates,
        timestamps,
        timestamps_without_zone,
        arrays,
        maps,
        structs,
        nested_in_each_other,
    ]
);

fn spec(kind: TableKind, name: &str, data_type: DataType) -> TableSpec {
    let key = if kind == TableKind::Lake || kind == TableKind::Topic { KeySpec::default() } else { KeySpec::single(["id"]) };
    let schema = crate::tables::schema(&[("id", DataType::Int64, false), ("v", data_type, true)]);
    TableSpec { name: name.to_owned(), kind, schema, key, ttl: None }
}

/// Equal to the last bit; NaN is NaN whatever its bits, for Spark has one of them.
fn same(a: &Cell, b: &Cell) -> bool {
    let all = |a: &[Cell], b: &[Cell]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Cell::List(a), Cell::List(b)) | (Cell::Struct(a), Cell::Struct(b)) => all(a, b),
        // A map has no order.
        (Cell::Map(a), Cell::Map(b)) => a.len() == b.len() && a.iter().all(|(k, v)| b.iter().any(|(l, w)| same(k, l) && same(v, w))),
        (a, b) => a == b,
    }
}

/// Writes `values` and a null as `data_type`, and finds them again, or is refused what the system declares to refuse.
async fn held(port: &Port, name: &str, data_type: &DataType, values: &[Cell]) -> CaseResult {
    let spec = spec(port.tables.kind(), name, data_type.clone());
    let checked = (port.check_table)(&spec);
    if (port.refuses)(data_type, None) {
        let Err(error) = checked else {
            return Err(Failure::Broken(format!("a column of type {data_type}, which the system can't hold, is refused by its check")));
        };
        let told = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput);
        check!(told && error.to_string().contains("column v"), "the refusal of {data_type} names the column: {error} ({:?})", error.kind());
        return Ok(());
    }
    checked.map_err(|e| e.context(format!("a column of type {data_type} is held")))?;
    let (refused, held): (Vec<Cell>, Vec<Cell>) = values.iter().cloned().partition(|v| (port.refuses)(data_type, Some(v)));
    let expected: Vec<Row> = (0..).zip(held.into_iter().chain([Cell::Null])).map(|(id, v)| vec![Cell::Int(id), v]).collect();
    let mut found = port.tables.round_trip(&spec, &expected).await.map_err(|e| e.context(format!("values of type {data_type}")))?;
    found.sort_by_key(|row| if let Some(Cell::Int(id)) = row.first() { *id } else { -1 });
    check_eq!(found.len(), expected.len(), "every row of type {data_type} comes back");
    for (found, expected) in found.iter().zip(&expected) {
        let exactly = same(&found[0], &expected[0]) && same(&found[1], &expected[1]);
        let (found, expected) = (crate::check::shortened(&found[1]), crate::check::shortened(&expected[1]));
        check!(exactly, "a value of type {data_type} comes back as it was: {expected} and not {found}");
    }
    for (n, value) in refused.into_iter().enumerate() {
        let spec = TableSpec { name: format!("{name}_r{n}"), ..spec.clone() };
        let shown = crate::check::shortened(&value);
        match port.tables.round_trip(&spec, &[vec![Cell::Int(1), value]]).await {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            other => {
                let other = crate::check::shortened(&other);
                return Err(Failure::Broken(format!("{shown} of type {data_type} is refused as invalid input, it was {other}")));
            }
        }
    }
    Ok(())
}

/// Both values.
pub async fn booleans(h: &dyn Harness<Port>) -> CaseResult {
    held(&h.open().await?, "t_boolean", &DataType::Boolean, &[true, false].map(Cell::Bool)).await
}

/// TINYINT to BIGINT: their bounds.
pub async fn integers(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let types = [
        ("t_tinyint", DataType::Int8, i64::from(i8::MIN), i64::from(i8::MAX)),
        ("t_smallint", DataType::Int16, i64::from(i16::MIN), i64::from(i16::MAX)),
        ("t_int", DataType::Int32, i64::from(i32::MIN), i64::from(i32::MAX)),
        ("t_bigint", DataType::Int64, i64::MIN, i64::MAX),
    ];
    for (name, data_type, least, most) in types {
        held(&port, name, &data_type, &[least, least + 1, -1, 0, 1, most - 1, most].map(Cell::Int)).await?;
    }
    Ok(())
}

/// NaN, infinities, the sign of zero, the least and the greatest, and what has no short decimal form.
pub async fn floating_point_numbers(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.0, -1.5];
    let doubles =
        [f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1), 0.1, 1.0 / 3.0, 9_007_199_254_740_993.0, 1e23, -123_456.789e-200];
    let floats = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), 0.1, 1.0 / 3.0, 16_777_217.0, 1e23];
    let doubles: Vec<Cell> = special.into_iter().chain(doubles).map(Cell::Float).collect();
    let floats: Vec<Cell> = special.into_iter().chain(floats.map(f64::from)).map(Cell::Float).collect();
    held(&port, "t_float", &DataType::Float32, &floats).await?;
    held(&port, "t_double", &DataType::Float64, &doubles).await
}

/// Every digit of 38, and scales from none to all.
pub async fn decimals(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    for (precision, scale) in [(1_u8, 0_i8), (4, 4), (9, 2), (18, 6), (19, 0), (38, 0), (38, 6), (38, 38)] {
        let most = 10_i128.pow(u32::from(precision)) - 1;
        let values = [most, -most, most - 1, 1, -1, 0, 10_i128.pow(u32::from(precision) - 1)].map(Cell::Decimal);
        held(&port, &format!("t_decimal_{precision}_{scale}"), &DataType::Decimal128(precision, scale), &values).await?;
    }
    Ok(())
}

fn texts() -> Vec<Cell> {
    let plain = ["", " ", " a ", "a\0b", "\0", "null", "NULL", "\\N", "\"quoted\", 'single'; -- \\ %_", "line\nfeed\r\n\ttab\u{7f}"];
    let wide = ["é", "e\u{301}", "日本", "😀👩‍👩‍👧‍👦", "\u{10ffff}", "\u{feff}bom", "\u{2028}", "ß", "İ"];
    plain.into_iter().chain(wide).map(Cell::from).chain([Cell::Str("x€".repeat(20_000))]).collect()
}

/// The empty string, NUL, quotes, line breaks, four-byte characters, 80,000 bytes.
pub async fn strings(h: &dyn Harness<Port>) -> CaseResult {
    held(&h.open().await?, "t_string", &DataType::Utf8, &texts()).await
}

/// No byte, every byte, 100,000 bytes.
pub async fn binaries(h: &dyn Harness<Port>) -> CaseResult {
    let every: Vec<u8> = (0..=255).collect();
    let values = [vec![], vec![0], vec![0, 0], vec![255, 254], b"text".to_vec(), every.clone(), every.repeat(400)].map(Cell::Bytes);
    held(&h.open().await?, "t_binary", &DataType::Binary, &values).await
}

/// Years 1 and 9999, before 1970, leap days, and the days around the calendar reform of 1582, which there is none of here.
pub async fn dates(h: &dyn Harness<Port>) -> CaseResult {
    let days = [-719_162, 2_932_896, 0, -1, 1, 11_016, -141_428, -141_427, -141_438, 19_782];
    held(&h.open().await?, "t_date", &DataType::Date32, &days.map(Cell::Date)).await
}

/// Microseconds of years 1 and 9999, and before 1970.
const INSTANTS: [i64; 10] = [
    -62_135_596_800_000_000,
    253_402_300_799_999_999,
    0,
    -1,
    1,
    -1_000_001,
    999_999,
    1_704_067_200_123_456,
    -12_219_292_800_000_001,
    -2_208_988_799_999_999,
];

/// To the microsecond, in UTC.
pub async fn timestamps(h: &dyn Harness<Port>) -> CaseResult {
    held(&h.open().await?, "t_timestamp", &timestamp_type(), &INSTANTS.map(Cell::Time)).await
}

/// To the microsecond, of no zone.
pub async fn timestamps_without_zone(h: &dyn Harness<Port>) -> CaseResult {
    held(&h.open().await?, "t_timestamp_ntz", &DataType::Timestamp(TimeUnit::Microsecond, None), &INSTANTS.map(Cell::Time)).await
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn map_of(key: DataType, value: DataType) -> DataType {
    let fields = Fields::from(vec![Field::new("keys", key, false), Field::new("values", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

fn struct_of(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect())
}

/// Empty ones are not null; items may be.
pub async fn arrays(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let ints = [vec![], vec![Cell::Null], vec![Cell::Int(i32::MAX.into()), Cell::Null, Cell::Int(i32::MIN.into())]].map(Cell::List);
    held(&port, "t_array_int", &list_of(DataType::Int32), &ints).await?;
    let strings = [vec![], vec![Cell::from("")], vec![Cell::from("a,\"b\""), Cell::Null, Cell::from("😀")]].map(Cell::List);
    held(&port, "t_array_string", &list_of(DataType::Utf8), &strings).await?;
    let times = [vec![Cell::Time(-1), Cell::Time(253_402_300_799_999_999)], vec![Cell::Null]].map(Cell::List);
    held(&port, "t_array_timestamp", &list_of(timestamp_type()), &times).await?;
    let most = 10_i128.pow(38) - 1;
    held(&port, "t_array_decimal", &list_of(DataType::Decimal128(38, 6)), &[Cell::List(vec![Cell::Decimal(most), Cell::Decimal(-1)])])
        .await?;
    held(&port, "t_array_binary", &list_of(DataType::Binary), &[Cell::List(vec![Cell::Bytes(vec![0, 255]), Cell::Bytes(vec![])])]).await
}

/// Empty ones are not null; values may be, keys not.
pub async fn maps(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let values = [
        vec![],
        vec![(Cell::from(""), Cell::Null)],
        vec![(Cell::from("a b"), Cell::Int(i64::MAX)), (Cell::from("é"), Cell::Int(i64::MIN)), (Cell::from("\""), Cell::Int(0))],
    ];
    held(&port, "t_map_string", &map_of(DataType::Utf8, DataType::Int64), &values.map(Cell::Map)).await?;
    let values = [vec![(Cell::Int(-1), Cell::from("x")), (Cell::Int(i32::MAX.into()), Cell::from(""))]];
    held(&port, "t_map_int", &map_of(DataType::Int32, DataType::Utf8), &values.map(Cell::Map)).await
}

/// One of nulls is not null.
pub async fn structs(h: &dyn Harness<Port>) -> CaseResult {
    let port = h.open().await?;
    let data_type = struct_of(&[
        ("a", DataType::Int64),
        ("b", DataType::Utf8),
        ("c", DataType::Date32),
        ("d", timestamp_type()),
        ("e", DataType::Boolean),
        ("f", DataType::Float64),
    ]);
    let values = [
        vec![Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null],
        vec![Cell::Int(i64::MAX), Cell::from(""), Cell::Date(-719_162), Cell::Time(-1), Cell::Bool(false), Cell::Float(0.1)],
        vec![Cell::Null, Cell::from("\u{1}\u{2028}"), Cell::Null, Cell::Null, Cell::Null, Cell::Float(f64::NAN)],
        vec![Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Float(f64::NEG_INFINITY)],
    ];
    held(&port, "t_struct", &data_type, &values.map(Cell::Struct)).await
}

/// An array of structs that hold maps of arrays.
pub async fn nested_in_each_other(h: &dyn Harness<Port>) -> CaseResult {
    let inner = struct_of(&[("name", DataType::Utf8), ("counts", map_of(DataType::Utf8, list_of(DataType::Int32)))]);
    let one = Cell::Struct(vec![
        Cell::from("x"),
        Cell::Map(vec![(Cell::from("a"), Cell::List(vec![Cell::Int(1), Cell::Null])), (Cell::from("b"), Cell::Null)]),
    ]);
    let values = [
        vec![],
        vec![Cell::Null, one, Cell::Struct(vec![Cell::Null, Cell::Null])],
        vec![Cell::Struct(vec![Cell::Null, Cell::Map(vec![])])],
    ];
    held(&h.open().await?, "t_nested", &list_of(inner), &values.map(Cell::List)).await
}

/// Commits `rows` as the first epoch of a flow.
async fn commit<S: EpochSink + ?Sized>(sink: &S, spec: &TableSpec, rows: &[Row]) -> Result<()> {
    let mut writer = Writer::begin(sink, spec, "types", 1).await?;
    let changes: Vec<_> = rows.iter().map(|row| insert(VERSION, row.clone())).collect();
    writer.commit(sink, &changes).await.map(drop)
}

/// The tables of an event store.
pub struct OfEventStore(pub Arc<dyn EventStore>);

#[async_trait]
impl TypedTables for OfEventStore {
    fn kind(&self) -> TableKind {
        TableKind::EventStore
    }

    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>> {
        self.0.ensure_table(spec).await?;
        commit(&*self.0, spec, rows).await?;
        let snapshot = self.0.snapshot().await?;
        collect(snapshot.scan(&spec.name, &Scan::default()).await?).await
    }
}

/// The tables of a store of critical events.
pub struct OfCriticalStore(pub Arc<dyn CriticalStore>);

#[async_trait]
impl TypedTables for OfCriticalStore {
    fn kind(&self) -> TableKind {
        TableKind::Critical
    }

    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>> {
        self.0.ensure_table(spec).await?;
        commit(&*self.0, spec, rows).await?;
        collect(self.0.scan(&spec.name, None).await?).await
    }
}

/// The tables of a lake.
pub struct OfLakeStore(pub Arc<dyn LakeStore>);

#[async_trait]
impl TypedTables for OfLakeStore {
    fn kind(&self) -> TableKind {
        TableKind::Lake
    }

    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>> {
        self.0.ensure_table(spec).await?;
        commit(&*self.0, spec, rows).await?;
        collect(self.0.scan(&spec.name, None).await?).await
    }
}

/// The reports of a report store.
pub struct OfReportStore(pub Arc<dyn ReportStore>);

#[async_trait]
impl TypedTables for OfReportStore {
    fn kind(&self) -> TableKind {
        TableKind::Report
    }

    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>> {
        self.0.ensure_report(spec).await?;
        let publication = Publication { report: spec.name.clone(), run: 1, rows: stream_of(&spec.schema, rows, 5)? };
        self.0.publish(publication).await?;
        collect(self.0.snapshot().await?.scan(&spec.name, None).await?).await
    }
}

type Trip = Box<dyn Fn(TableSpec, Vec<Row>) -> BoxFuture<'static, Result<Vec<Row>>> + Send + Sync>;

/// Any other way to write rows and read them back: a codec of values, a source of reference data.
pub struct OfFunction {
    kind: TableKind,
    trip: Trip,
}

impl OfFunction {
    /// Tables of `kind`, through `trip`: from the table and rows that are written to the rows that are read.
    pub fn new(
        kind: TableKind,
        trip: impl Fn(TableSpec, Vec<Row>) -> BoxFuture<'static, Result<Vec<Row>>> + Send + Sync + 'static,
    ) -> Self {
        Self { kind, trip: Box::new(trip) }
    }
}

#[async_trait]
impl TypedTables for OfFunction {
    fn kind(&self) -> TableKind {
        self.kind
    }

    async fn round_trip(&self, spec: &TableSpec, rows: &[Row]) -> Result<Vec<Row>> {
        (self.trip)(spec.clone(), rows.to_vec()).await
    }
}
