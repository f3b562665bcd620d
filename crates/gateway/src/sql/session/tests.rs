#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;

use super::*;

fn wired() -> SessionContext {
    let session = SessionContext::new();
    session.register_batch("departures", batch()).unwrap();
    session
}

fn batch() -> RecordBatch {
    RecordBatch::try_from_iter([("event_id", Arc::new(Int64Array::from(vec![1])) as _)]).unwrap()
}

async fn answer(session: &SessionContext, sql: &str) -> String {
    let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&rows).unwrap().to_string()
}

#[tokio::test]
async fn the_pipelines_tables_are_seen_in_both_catalogs_and_those_registered_later_too() {
    let wired = wired();
    let base = base_session(&wired).unwrap();
    wired.register_batch("later", batch()).unwrap();
    for sql in [
        "SELECT relname FROM pg_catalog.pg_class WHERE relname IN ('departures', 'later') ORDER BY 1",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    ] {
        let names = answer(&base, sql).await;
        assert!(names.contains("departures") && names.contains("later"), "{names}");
    }
    assert!(answer(&base, "SELECT event_id FROM later").await.contains('1'));
}

#[tokio::test]
async fn the_wirings_own_session_is_left_as_it_is() {
    let wired = wired();
    let before = (wired.catalog_names(), wired.catalog("datafusion").unwrap().schema_names());
    base_session(&wired).unwrap();
    assert_eq!((wired.catalog_names(), wired.catalog("datafusion").unwrap().schema_names()), before);
}

#[tokio::test]
async fn a_connections_settings_are_its_own() {
    let base = base_session(&wired()).unwrap();
    let [one, other] = [(); 2].map(|()| {
        let variables = Arc::new(Variables::new("0.1.0", None));
        (connection_session(&base, &variables), variables)
    });
    one.1.put("application_name", "psql");
    let sql = "SELECT current_setting('application_name')";
    assert!(answer(&one.0, sql).await.contains("psql"));
    assert!(!answer(&other.0, sql).await.contains("psql"));
    one.0.sql("SET datafusion.execution.batch_size = 7").await.unwrap().collect().await.unwrap();
    assert_eq!((one.0.copied_config().batch_size(), other.0.copied_config().batch_size()), (7, base.copied_config().batch_size()));
}

#[tokio::test]
async fn what_clients_ask_at_first_is_answered() {
    let base = base_session(&wired()).unwrap();
    let session = connection_session(&base, &Arc::new(Variables::new("0.1.0", None)));
    for (sql, says) in [
        ("SELECT version()", "PostgreSQL 16"),
        ("SELECT current_database()", "millstream"),
        ("SELECT current_setting('nothing.such', true)", ""),
        ("SELECT obj_description(1, 'pg_class')", ""),
        ("SELECT pg_is_in_recovery()", "false"),
    ] {
        assert!(answer(&session, sql).await.contains(says), "{sql}");
    }
}
