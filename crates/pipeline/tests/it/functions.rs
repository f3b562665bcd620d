//! `CREATE FUNCTION`.

use millstream_pipeline::session::spark_session;

use crate::{check, checked};

/// The value of `expression` in a pipeline with `functions`.
async fn value(functions: &str, expression: &str) -> String {
    let text = format!(
        "{functions}\nCREATE MATERIALIZED VIEW r USING postgresql TBLPROPERTIES ('primary_key' = 'id')
         AS SELECT 1 AS id, {expression} AS value FROM (VALUES (1)) AS t(one)"
    );
    let frame = spark_session().execute_logical_plan(checked(&text).jobs[0].plan.clone()).await.unwrap();
    let batches = frame.collect().await.unwrap();
    arrow::util::display::array_value_to_string(batches[0].column(1), 0).unwrap()
}

#[tokio::test]
async fn a_function_is_its_expression() {
    let functions = "CREATE FUNCTION half(x DOUBLE) RETURNS DOUBLE RETURN x / 2;
                     CREATE TEMPORARY FUNCTION quarter(x DOUBLE) RETURNS DECIMAL(4, 2) COMMENT 'twice halved' LANGUAGE SQL RETURN half(half(x));
                     CREATE OR REPLACE FUNCTION named(first STRING, last STRING) RETURNS STRING RETURN concat(named.first, ' ', last);
                     CREATE FUNCTION answer() RETURNS INT RETURN 42;";
    assert_eq!(value(functions, "half(5)").await, "2.5");
    assert_eq!(value(functions, "quarter(one + 4)").await, "1.25");
    assert_eq!(value(functions, "NAMED('Ada', upper('l'))").await, "Ada L");
    assert_eq!(value(functions, "answer() + half(one)").await, "42.5");
}

#[test]
fn a_function_changes_the_flows_that_call_it() {
    let text = |body: &str| {
        format!(
            "CREATE FUNCTION f(x INT) RETURNS INT RETURN {body};
             CREATE TABLE t (id BIGINT NOT NULL, n INT) USING kafka OPTIONS (subscribe 't', value.format 'json');
             CREATE STREAMING TABLE d USING cassandra PARTITIONED BY (id) AS SELECT id, f(n) AS n FROM STREAM t;"
        )
    };
    let fingerprint = |body: &str| checked(&text(body)).flows[0].fingerprint.clone();
    assert_eq!(fingerprint("x + 1"), fingerprint("x + 1"));
    assert_ne!(fingerprint("x + 1"), fingerprint("x + 2"));
    let volatile = check(&text("CAST(rand() AS INT) + x")).unwrap_err();
    assert!(volatile.iter().any(|e| e.code() == "millstream::volatile_function"), "{}", volatile.render(false));
}
