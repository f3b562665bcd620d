//! Reference tables: the contract suite, the types, and what is asked of the server.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use futures::executor::block_on;
use millstream_adapters::postgresql::{PostgresPool, PostgresReferenceSource, PostgresSettings};
use millstream_adapters::relational::ReferenceTable;
use millstream_core::ErrorKind;
use millstream_core::ports::ReferenceSource;
use millstream_testkit::rows::{Cell, Row, rows_of};
use millstream_testkit::{OnData, row, suite};
use tokio_postgres::Client;

use super::{Schemas, client};

fn source(settings: &PostgresSettings, table: ReferenceTable) -> PostgresReferenceSource {
    PostgresReferenceSource::new(PostgresPool::new(settings.clone()).unwrap(), table)
}

fn table(settings: &PostgresSettings, name: &str) -> ReferenceTable {
    ReferenceTable { dbtable: format!("\"{}\".{name}", settings.schema), filter: None, columns: None }
}

async fn load(source: &PostgresReferenceSource) -> Vec<Row> {
    source.load().await.unwrap().iter().flat_map(|b| rows_of(b).unwrap()).collect()
}

/// A schema with a table of the suite's columns, and a connection that changes it.
async fn with_table(settings: &PostgresSettings) -> Client {
    let owner = client(settings).await;
    let schema = &settings.schema;
    let make =
        format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"; CREATE TABLE IF NOT EXISTS \"{schema}\".reference (id bigint, name text)");
    owner.batch_execute(&make).await.unwrap();
    owner
}

async fn reference_source_suite(system: &str, schemas: Option<Schemas>, direct: Option<Schemas>) {
    let (Some(schemas), Some(direct)) = (schemas, direct) else { return };
    let direct = direct.next();
    let harness = || {
        let owner = direct.clone();
        OnData::new(schemas.next(), move |settings: Arc<PostgresSettings>, _| {
            let owner = PostgresSettings { schema: settings.schema.clone(), ..owner.clone() };
            async move {
                let owner = Arc::new(with_table(&owner).await);
                let name = format!("\"{}\".reference", settings.schema);
                let replace: suite::reference_source::Replace = Arc::new(move |rows: &[Row]| {
                    let (owner, rows, name) = (owner.clone(), rows.to_vec(), name.clone());
                    let values: Vec<String> = rows
                        .iter()
                        .map(|r| match (&r[0], &r[1]) {
                            (Cell::Int(id), Cell::Str(text)) => format!("({id}, '{text}')"),
                            (Cell::Int(id), _) => format!("({id}, NULL)"),
                            other => panic!("{other:?}"),
                        })
                        .collect();
                    let text = format!("BEGIN; DELETE FROM {name}; INSERT INTO {name} VALUES {}; COMMIT", values.join(", "));
                    std::thread::scope(|scope| scope.spawn(|| block_on(owner.batch_execute(&text)).unwrap()).join().unwrap());
                    Ok(())
                });
                let source = Arc::new(source(&settings, table(&settings, "reference")));
                Ok(suite::reference_source::Port { source, replace })
            }
        })
    };
    let report = suite::reference_source::run(system, harness).await;
    schemas.drop_all().await;
    report.assert_passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_source() {
    reference_source_suite("postgresql", Schemas::direct(), Schemas::direct()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_source_through_pgbouncer() {
    reference_source_suite("postgresql (pgbouncer)", Schemas::pgbouncer(), Schemas::direct()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_read_in_ranges_of_one_snapshot() {
    for schemas in [Schemas::direct(), Schemas::pgbouncer()] {
        let Some(schemas) = schemas else { return };
        let settings = schemas.next();
        let owner = with_table(&settings).await;
        let name = format!("\"{}\".reference", settings.schema);
        // More than 1,024 pages: two ranges at least, with holes where rows were deleted.
        let fill =
            format!("INSERT INTO {name} SELECT n, repeat('x', 90) FROM generate_series(1, 120000) n; DELETE FROM {name} WHERE id % 3 = 0");
        owner.batch_execute(&fill).await.unwrap();
        let source = source(&settings, ReferenceTable { filter: Some("id % 2 = 0 -- even".into()), ..table(&settings, "reference") });
        let mut ids: Vec<i64> = load(&source).await.iter().map(|r| if let Cell::Int(id) = r[0] { id } else { 0 }).collect();
        ids.sort_unstable();
        let expected: Vec<i64> = (1..=120_000).filter(|n| n % 3 != 0 && n % 2 == 0).collect();
        assert_eq!(ids.len(), expected.len());
        assert_eq!(ids, expected);
        schemas.drop_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_exactly_or_refused() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let owner = with_table(&settings).await;
    let schema = &settings.schema;
    let make = format!(
        "SET search_path = \"{schema}\"; CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN amount AS numeric(10, 2);
         CREATE TABLE every (b bool, s smallint, i integer, l bigint, r real, d double precision, n numeric(38, 6), a amount, u numeric,
           t text, v varchar(10), c char(3), y bytea, day date, z timestamptz, w timestamp, id uuid, j jsonb, e mood);
         INSERT INTO every VALUES (true, -32768, 2147483647, -9223372036854775808, 'NaN', '-Infinity',
           -99999999999999999999999999999999.999999, 1.5, 0.000000000000000001, 'é', 'v', 'c', '\\x00ff', '4713-01-01 BC',
           '294246-12-31 23:59:59.999999+00', '0001-01-01 00:00:00.000001', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{{\"a\": 1}}', 'ok');
         INSERT INTO every DEFAULT VALUES"
    );
    owner.batch_execute(&make).await.unwrap();
    let loaded = load(&source(&settings, table(&settings, "every"))).await;
    let least = 10_i128.pow(38) - 1;
    let expected = [
        Cell::Bool(true),
        Cell::Int(-32_768),
        Cell::Int(2_147_483_647),
        Cell::Int(i64::MIN),
        Cell::Float(f64::NEG_INFINITY),
        Cell::Decimal(-least),
        Cell::Decimal(150),
        Cell::Decimal(1),
        "é".into(),
        "v".into(),
        "c  ".into(),
        Cell::Bytes(vec![0, 255]),
        Cell::Date(-2_440_550),
        Cell::Time(9_223_371_244_799_999_999),
        Cell::Time(-62_135_596_799_999_999),
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into(),
        "{\"a\": 1}".into(),
        "ok".into(),
    ];
    // A NaN equals nothing, itself included.
    assert!(matches!(loaded[0][4], Cell::Float(v) if v.is_nan()));
    assert_eq!([&loaded[0][..4], &loaded[0][5..]].concat(), expected);
    assert_eq!(loaded[1], vec![Cell::Null; 19]);
    // What an INT can't hold, a fraction that a declared scale can't, an infinite date: named, not rounded.
    let declared = |name: &str, data_type: DataType| {
        let columns = Arc::new(Schema::new(vec![Field::new(name, data_type, true)]));
        source(&settings, ReferenceTable { columns: Some(columns), ..table(&settings, "every") })
    };
    for (name, data_type) in [("l", DataType::Int32), ("a", DataType::Decimal128(10, 0)), ("u", DataType::Decimal128(38, 17))] {
        let error = declared(name, data_type).load().await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(&format!("column {name}")), "{error}");
    }
    assert_eq!(load(&declared("n", DataType::Utf8)).await[0], row!["-99999999999999999999999999999999.999999"]);
    owner.batch_execute(&format!("UPDATE \"{schema}\".every SET day = 'infinity'")).await.unwrap();
    let error = declared("day", DataType::Date32).load().await.unwrap_err();
    assert!(error.to_string().contains("infinity"), "{error}");
    let error = declared("nope", DataType::Utf8).schema().await.unwrap_err();
    assert!(error.to_string().contains("no column nope"), "{error}");
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_read_and_its_revision_follows_what_it_shows() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let owner = with_table(&settings).await;
    let schema = &settings.schema;
    let make = format!(
        "INSERT INTO \"{schema}\".reference VALUES (1, 'a'), (2, 'b');
         CREATE VIEW \"{schema}\".seen AS SELECT name FROM \"{schema}\".reference WHERE id = 1"
    );
    owner.batch_execute(&make).await.unwrap();
    let source = source(&settings, ReferenceTable { dbtable: "seen".into(), ..table(&settings, "seen") });
    assert_eq!(load(&source).await, [row!["a"]], "a name without a schema is looked up in that of the settings too");
    let first = source.revision().await.unwrap();
    owner.batch_execute(&format!("UPDATE \"{schema}\".reference SET name = 'c' WHERE id = 2")).await.unwrap();
    assert_eq!(source.revision().await.unwrap(), first, "what the view does not show changes nothing");
    owner.batch_execute(&format!("UPDATE \"{schema}\".reference SET name = 'c' WHERE id = 1")).await.unwrap();
    assert_ne!(source.revision().await.unwrap(), first);
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_absent_is_not_found() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let missing = source(&settings, ReferenceTable { dbtable: "nowhere".into(), ..table(&settings, "nowhere") });
    assert_eq!(missing.schema().await.unwrap_err().kind(), ErrorKind::NotFound);
    let query = source(&settings, ReferenceTable { dbtable: "(SELECT 1) q".into(), ..table(&settings, "q") });
    assert!(query.schema().await.unwrap_err().to_string().contains("make a view"));
}
