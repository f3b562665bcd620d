//! What other clients of the database see of a report.

use arrow::datatypes::DataType;
use futures::StreamExt;
use millstream_core::ports::{EpochSink, Publication, ReportStore};
use millstream_core::{ErrorKind, KeySpec, TableKind, TableSpec};
use millstream_testkit::changes::{Writer, delete, insert};
use millstream_testkit::rows::{Row, collect, date, stream_of};
use millstream_testkit::{row, tables};

use super::{Schemas, client, store};

fn publication(spec: &TableSpec, run: u64, rows: &[Row]) -> Publication {
    Publication { report: spec.name.clone(), run, rows: stream_of(&spec.schema, rows, 100).unwrap() }
}

fn line(carrier: &str, flights: i64) -> Row {
    row![carrier, date(0), flights, 0.5]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_touches_only_the_rows_that_differ() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let (store, spec) = (store(&settings), tables::report("daily"));
    store.ensure_report(&spec).await.unwrap();
    let mut rows: Vec<Row> = ["AA", "B6", "DL", "UA"].map(|c| line(c, 1)).to_vec();
    store.publish(publication(&spec, 1, &rows)).await.unwrap();
    let other = client(&settings).await;
    let written = async || {
        let text = format!("SELECT carrier, xmin::text, ctid::text FROM \"{}\".daily ORDER BY 1", settings.schema);
        let rows = other.query(&text, &[]).await.unwrap();
        rows.iter().map(|r| [0, 1, 2].map(|i| r.get::<_, String>(i))).collect::<Vec<_>>()
    };
    let before = written().await;
    rows[2] = line("DL", 2);
    store.publish(publication(&spec, 2, &rows)).await.unwrap();
    let after = written().await;
    assert_eq!((&after[..2], &after[3]), (&before[..2], &before[3]), "rows that are the same were left alone");
    assert_ne!(after[2], before[2], "the one that differs was written");
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_shape_is_shown_and_left_alone() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let (store, spec) = (store(&settings), tables::report("daily"));
    let other = client(&settings).await;
    let schema = &settings.schema;
    let make = format!(
        "CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\".daily (carrier text, day date, flights integer, primary key (carrier))"
    );
    other.batch_execute(&make).await.unwrap();
    let error = store.ensure_report(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    for part in ["flights integer", "flights bigint", "delay double precision", "PRIMARY KEY (carrier)", "PRIMARY KEY (carrier, day)"] {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
    // A table that an administrator made for the purpose is taken, but not one with rows that are not Millstream's.
    let make = format!(
        "DROP TABLE \"{schema}\".daily; CREATE TABLE \"{schema}\".daily (day date, delay float8, flights int8, carrier text, \
         primary key (carrier, day)); INSERT INTO \"{schema}\".daily VALUES ('2013-01-01', 1, 1, 'UA')"
    );
    other.batch_execute(&make).await.unwrap();
    let error = store.ensure_report(&spec).await.unwrap_err();
    assert!(error.to_string().contains("rows that Millstream did not write"), "{error}");
    other.batch_execute(&format!("TRUNCATE \"{schema}\".daily")).await.unwrap();
    store.ensure_report(&spec).await.unwrap();
    store.publish(publication(&spec, 1, &[line("é", 1), line("UA", 2)])).await.unwrap();
    assert_eq!(collect(store.snapshot().await.unwrap().scan("daily", None).await.unwrap()).await.unwrap(), [line("UA", 2), line("é", 1)]);
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_flow_writes_has_its_version_beside_it_and_a_delete_leaves_no_row() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let (store, spec) = (store(&settings), tables::report("live"));
    store.ensure_report(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    writer.commit(&*store, &[insert(7, line("UA", 1)), insert(8, line("AA", 1)), delete(9, line("AA", 1))]).await.unwrap();
    let other = client(&settings).await;
    let rows = other.query(&format!("SELECT carrier, _version FROM \"{}\".live", settings.schema), &[]).await.unwrap();
    assert_eq!(rows.iter().map(|r| (r.get(0), r.get(1))).collect::<Vec<(String, i64)>>(), [("UA".to_owned(), 7)]);
    let epochs = format!("SELECT report, flow, attempt, epoch FROM \"{}\".millstream_epochs", settings.schema);
    let row = other.query_one(&epochs, &[]).await.unwrap();
    let found: (String, String, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!(found, ("live".into(), "f".into(), 1, 1));
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_values_are_kept_as_json() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let store = store(&settings);
    let lists = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let ids = arrow::array::Int64Array::from(vec![1, 2]);
    let schema = tables::schema(&[("id", DataType::Int64, false), ("stops", lists.value_type(), true)]);
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
        schema.field(0).clone(),
        arrow::datatypes::Field::new("stops", arrow::array::Array::data_type(&lists).clone(), true),
    ]));
    let spec =
        TableSpec { name: "nested".into(), kind: TableKind::Report, schema: schema.clone(), key: KeySpec::single(["id"]), ttl: None };
    store.ensure_report(&spec).await.unwrap();
    let batch = arrow::array::RecordBatch::try_new(schema, vec![std::sync::Arc::new(ids), std::sync::Arc::new(lists)]).unwrap();
    let rows = futures::stream::iter([Ok(batch.clone())]).boxed();
    store.publish(Publication { report: "nested".into(), run: 1, rows }).await.unwrap();
    let found: Vec<_> = store.snapshot().await.unwrap().scan("nested", None).await.unwrap().collect().await;
    assert_eq!(found.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [batch]);
    let other = client(&settings).await;
    let text = format!("SELECT stops->>0 FROM \"{}\".nested WHERE id = 1", settings.schema);
    assert_eq!(other.query_one(&text, &[]).await.unwrap().get::<_, String>(0), "1");
    schemas.drop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_whose_table_was_dropped_by_others_is_told_so() {
    let Some(schemas) = Schemas::direct() else { return };
    let settings = schemas.next();
    let (store, spec) = (store(&settings), tables::report("live"));
    store.ensure_report(&spec).await.unwrap();
    let mut writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    writer.commit(&*store, &[insert(7, line("UA", 1))]).await.unwrap();
    client(&settings).await.batch_execute(&format!("DROP TABLE \"{}\".live", settings.schema)).await.unwrap();
    let write = writer.write(writer.epoch.next(), &[insert(8, line("UA", 2))], 1).unwrap();
    assert_eq!(store.commit(write).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.ensure_report(&spec).await.unwrap_err().kind(), ErrorKind::Corrupt);
    store.drop_report("live").await.unwrap();
    store.ensure_report(&spec).await.unwrap();
    schemas.drop_all().await;
}
