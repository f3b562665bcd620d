#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::prelude::SessionContext;

use super::*;

async fn failure(sql: &str) -> ErrorInfo {
    let session = SessionContext::new();
    let rows = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![0])) as _)]).unwrap();
    session.register_batch("t", rows).unwrap();
    let error = match session.sql(sql).await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    };
    classified(&error)
}

#[tokio::test]
async fn each_error_has_postgresqls_sqlstate() {
    for (sql, code) in [
        ("SELEC 1", "42601"),
        ("SELECT 'open", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT b FROM t", "42703"),
        ("SELECT x.a FROM t", "42703"),
        ("SELECT a FROM t AS x, t AS y", "42702"),
        ("SELECT nofunction(a) FROM t", "42883"),
        ("SELECT 1 / a FROM t", "22012"),
        ("SELECT CAST('x' AS INT)", "22P02"),
    ] {
        let info = failure(sql).await;
        assert_eq!(info.code, code, "{sql}: {}", info.message);
    }
}

#[tokio::test]
async fn messages_are_postgresqls_where_clients_read_them() {
    assert_eq!(failure("SELECT * FROM nowhere").await.message, "relation \"nowhere\" does not exist");
    let column = failure("SELECT b FROM t").await;
    assert_eq!((column.message.as_str(), column.hint.as_deref()), ("column \"b\" does not exist", Some("There are: t.a.")));
}

#[test]
fn an_error_of_a_port_keeps_its_kind() {
    let state =
        |error: Error| classified(&DataFusionError::Context("scan".into(), Box::new(DataFusionError::External(Box::new(error))))).code;
    assert_eq!(state(Error::unavailable("no answer")), "57P03");
    assert_eq!(state(Error::corrupt("bits")), "XX001");
    assert_eq!(state(Error::unsupported("no")), "0A000");
}
