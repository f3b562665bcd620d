//! Spark's semantics, table-driven: each expression is checked as part of a batch job and run in the Spark session.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream_pipeline::session::spark_session;

use crate::check;

/// The value and type of `expression`, or how it fails.
async fn evaluate(expression: &str) -> Result<(String, String), String> {
    let text = format!(
        "CREATE MATERIALIZED VIEW r USING postgresql TBLPROPERTIES ('primary_key' = 'id')\n\
         AS SELECT 1 AS id, {expression} AS value FROM (VALUES (1)) AS t(one)"
    );
    let pipeline = check(&text).map_err(|e| format!("refused: {e}"))?;
    let context = spark_session();
    let frame = context.execute_logical_plan(pipeline.jobs[0].plan.clone()).await.map_err(|e| format!("failed: {e}"))?;
    let batches = frame.collect().await.map_err(|e| format!("failed: {e}"))?;
    let batch = batches.iter().find(|b| b.num_rows() == 1).ok_or("failed: no row")?;
    let options = FormatOptions::default().with_null("NULL");
    let column = batch.column(1);
    let value = ArrayFormatter::try_new(column, &options).unwrap().value(0).to_string();
    let explained = millstream_pipeline::explain::json(&pipeline, &crate::built_in);
    let column_type = explained["tables"][0]["columns"][1]["type"].as_str().unwrap().to_owned();
    Ok((value, column_type))
}

async fn assert_values(cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, value, data_type) in cases {
        match evaluate(expression).await {
            Ok((found, found_type)) if found == *value && found_type == *data_type => {}
            other => wrong.push(format!("{expression}: expected {value} {data_type}, found {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn assert_fails(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, reason) in cases {
        match evaluate(expression).await {
            Err(found) if found.to_lowercase().contains(reason) => {}
            other => wrong.push(format!("{expression}: expected a failure with '{reason}', found {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn arithmetic_is_sparks() {
    assert_values(&[
        ("7 / 2", "3.5", "DOUBLE"),
        ("7 DIV 2", "3", "BIGINT"),
        ("-7 DIV 2", "-3", "BIGINT"),
        ("7 DIV 2 + 1", "4", "BIGINT"),
        ("7 % 3", "1", "INT"),
        ("-7 % 3", "-1", "INT"),
        ("1 + 2 * 3", "7", "INT"),
        ("2147483648 + 1", "2147483649", "BIGINT"),
        ("CAST(1 AS TINYINT) + CAST(1 AS SMALLINT)", "2", "SMALLINT"),
        ("1 + 1.5", "2.5", "DECIMAL(3, 1)"),
        ("1.5 + 1.25", "2.75", "DECIMAL(4, 2)"),
        ("1.5 * 1.5", "2.25", "DECIMAL(5, 2)"),
        ("1.0 / 3.0", "0.333333", "DECIMAL(8, 6)"),
        ("2.0 / 3.0", "0.666667", "DECIMAL(8, 6)"),
        ("5.5 % 2.0", "1.5", "DECIMAL(2, 1)"),
        ("1e1 / 4", "2.5", "DOUBLE"),
        ("1 + CAST(1 AS DOUBLE)", "2.0", "DOUBLE"),
        ("CAST(1 AS FLOAT) + CAST(1 AS FLOAT)", "2.0", "FLOAT"),
        ("CAST(1 AS FLOAT) + 1", "2.0", "DOUBLE"),
        ("'3' + 4", "7", "BIGINT"),
        ("NULL + 1", "NULL", "INT"),
        ("CAST(NULL AS INT) / 0", "NULL", "DOUBLE"),
        ("- CAST(5 AS INT)", "-5", "INT"),
        ("pmod(-7, 3)", "2", "INT"),
        ("abs(-5)", "5", "INT"),
    ])
    .await;
}

#[tokio::test]
async fn overflow_and_division_by_zero_are_errors() {
    assert_fails(&[
        ("2147483647 + 1", "overflow"),
        ("CAST(-2147483647 AS INT) - 2", "overflow"),
        ("2147483647 * 2", "overflow"),
        ("9223372036854775807 + 1", "overflow"),
        ("(SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS v(x))", "overflow"),
        (
            "(SELECT max(s) FROM (SELECT k, sum(x) AS s FROM (VALUES (1, 9223372036854775807), (1, 1), (2, 1)) AS v(k, x) GROUP BY k))",
            "overflow",
        ),
        ("CAST(127 AS TINYINT) + CAST(1 AS TINYINT)", "overflow"),
        ("- CAST(-2147483648 AS INT)", "overflow"),
        ("1 / 0", "divide by zero"),
        ("1 DIV 0", "divide by zero"),
        ("1 % 0", "divide by zero"),
        ("1.5 / 0.0", "divide by zero"),
        ("CAST(1 AS DOUBLE) / 0", "divide by zero"),
        ("99999999999999999999999999999999999999 + 1", "overflow"),
    ])
    .await;
}

#[tokio::test]
async fn casts_are_ansi() {
    assert_values(&[
        ("CAST('12' AS INT)", "12", "INT"),
        ("CAST(' 12 ' AS INT)", "12", "INT"),
        ("CAST(1.9 AS INT)", "1", "INT"),
        ("CAST(-1.9 AS INT)", "-1", "INT"),
        ("CAST(1e0 AS STRING)", "1.0", "STRING"),
        ("CAST(CAST(12345678 AS DOUBLE) AS STRING)", "1.2345678E7", "STRING"),
        ("CAST(1.5e-5 AS STRING)", "1.5E-5", "STRING"),
        ("CAST(true AS STRING)", "true", "STRING"),
        ("CAST('2013-07-22' AS DATE)", "2013-07-22", "DATE"),
        ("CAST('2013-7-2' AS DATE)", "2013-07-02", "DATE"),
        ("CAST(TIMESTAMP '2013-07-22 19:30:00' AS DATE)", "2013-07-22", "DATE"),
        ("CAST(TIMESTAMP '1969-12-31 23:00:00' AS DATE)", "1969-12-31", "DATE"),
        ("CAST(TIMESTAMP '2013-07-22 19:30:00.250' AS STRING)", "2013-07-22 19:30:00.25", "STRING"),
        ("CAST(TIMESTAMP '2013-07-22 19:30:00+02:00' AS STRING)", "2013-07-22 17:30:00", "STRING"),
        ("CAST(TIMESTAMP '1970-01-01 00:01:00' AS BIGINT)", "60", "BIGINT"),
        ("CAST(CAST(60 AS TIMESTAMP) AS STRING)", "1970-01-01 00:01:00", "STRING"),
        ("CAST('x' AS STRING)", "x", "STRING"),
        ("try_cast('x' AS INT)", "NULL", "INT"),
        ("try_cast('x' AS DATE)", "NULL", "DATE"),
        ("CAST(1 AS BOOLEAN)", "true", "BOOLEAN"),
        ("CAST(1.255 AS DECIMAL(3, 2))", "1.26", "DECIMAL(3, 2)"),
        ("CAST(1 AS LONG)", "1", "BIGINT"),
    ])
    .await;
    assert_fails(&[
        ("CAST('x' AS INT)", "cast"),
        ("CAST('' AS INT)", "cast"),
        ("CAST(300 AS TINYINT)", "cast"),
        ("CAST(1e20 AS BIGINT)", "cast"),
        ("CAST('2013-02-30' AS DATE)", "not a date"),
        ("CAST('noon' AS TIMESTAMP)", "not a timestamp"),
        ("CAST(123456 AS DECIMAL(3, 0))", "decimal"),
    ])
    .await;
}

#[tokio::test]
async fn predicates_and_conditions_are_sparks() {
    assert_values(&[
        ("NULL <=> NULL", "true", "BOOLEAN"),
        ("1 <=> NULL", "false", "BOOLEAN"),
        ("1 IS DISTINCT FROM NULL", "true", "BOOLEAN"),
        ("1 IS NOT DISTINCT FROM 1", "true", "BOOLEAN"),
        ("1 = NULL", "NULL", "BOOLEAN"),
        ("2 BETWEEN 1 AND 3", "true", "BOOLEAN"),
        ("2 IN (1, 2)", "true", "BOOLEAN"),
        ("3 IN (1, NULL)", "NULL", "BOOLEAN"),
        ("CAST(1e300 AS DOUBLE) > 0.9", "true", "BOOLEAN"),
        ("CAST(0.1 AS DOUBLE) = 0.1", "true", "BOOLEAN"),
        ("CAST(1e300 AS DOUBLE) BETWEEN 0.1 AND 0.9", "false", "BOOLEAN"),
        ("CAST(1e300 AS DOUBLE) IN (0.1, 0.9)", "false", "BOOLEAN"),
        ("coalesce(CAST(NULL AS DOUBLE), 0.5)", "0.5", "DOUBLE"),
        ("if(1 > 2, 0.5, CAST(1e300 AS DOUBLE))", "1e300", "DOUBLE"),
        ("CASE WHEN 1 > 2 THEN 0.5 ELSE 1e300 END", "1e300", "DOUBLE"),
        ("'abc' LIKE 'a%'", "true", "BOOLEAN"),
        ("\"abc\" LIKE '_b_'", "true", "BOOLEAN"),
        ("CASE WHEN 1 > 2 THEN 1 ELSE 0 END", "0", "INT"),
        ("if(1 > 2, 'a', 'b')", "b", "STRING"),
        ("coalesce(NULL, 5)", "5", "INT"),
        ("nvl(NULL, 'x')", "x", "STRING"),
        ("nullif(1, 1)", "NULL", "INT"),
        ("greatest(1, 5, NULL)", "5", "INT"),
        ("!(1 = 1)", "false", "BOOLEAN"),
        ("1 == 1", "true", "BOOLEAN"),
        ("1 <> 2 AND NOT false", "true", "BOOLEAN"),
    ])
    .await;
}

#[tokio::test]
async fn text_functions_are_sparks() {
    assert_values(&[
        ("concat('a', 'b', 'c')", "abc", "STRING"),
        ("concat('a', NULL)", "NULL", "STRING"),
        ("'a' || 'b'", "ab", "STRING"),
        ("concat_ws('-', 'a', NULL, 'b')", "a-b", "STRING"),
        ("upper('abc')", "ABC", "STRING"),
        ("ucase('abc')", "ABC", "STRING"),
        ("length('añb')", "3", "INT"),
        ("substring('Spark SQL', 5)", "k SQL", "STRING"),
        ("substring('Spark SQL', -3)", "SQL", "STRING"),
        ("substr('Spark SQL', 5, 1)", "k", "STRING"),
        ("trim('  x ')", "x", "STRING"),
        ("lpad('7', 3, '0')", "007", "STRING"),
        ("replace('abcabc', 'b', 'x')", "axcaxc", "STRING"),
        ("regexp_replace('100-200', '(\\\\d+)', 'num')", "num-num", "STRING"),
        ("startswith('Spark', 'Sp')", "true", "BOOLEAN"),
        ("instr('SparkSQL', 'SQL')", "6", "INT"),
        ("split_part('11.12.13', '.', 3)", "13", "STRING"),
        ("reverse('abc')", "cba", "STRING"),
        ("left('Spark', 2)", "Sp", "STRING"),
        ("md5('Spark')", "8cde774d6f7333752ed72cacddb05126", "STRING"),
        ("hex(17)", "11", "STRING"),
        ("'it''s'", "it's", "STRING"),
        ("'tab\\t'", "tab\t", "STRING"),
    ])
    .await;
}

#[tokio::test]
async fn date_functions_are_sparks() {
    let ts = "TIMESTAMP '2013-07-22 19:35:10.5'";
    let cases: Vec<(String, &str, &str)> = vec![
        (format!("to_date({ts})"), "2013-07-22", "DATE"),
        ("to_date('2013-07-22')".to_owned(), "2013-07-22", "DATE"),
        (format!("hour({ts})"), "19", "INT"),
        (format!("minute({ts})"), "35", "INT"),
        (format!("year({ts})"), "2013", "INT"),
        (format!("month({ts})"), "7", "INT"),
        (format!("day({ts})"), "22", "INT"),
        (format!("dayofweek({ts})"), "2", "INT"),
        (format!("weekday({ts})"), "0", "INT"),
        (format!("quarter({ts})"), "3", "INT"),
        (format!("extract(HOUR FROM {ts})"), "19", "INT"),
        (format!("CAST(date_trunc('HOUR', {ts}) AS STRING)"), "2013-07-22 19:00:00", "STRING"),
        (format!("CAST(date_trunc('DAY', {ts}) AS STRING)"), "2013-07-22 00:00:00", "STRING"),
        (format!("date_format({ts}, 'yyyy-MM-dd HH:mm')"), "2013-07-22 19:35", "STRING"),
        (format!("date_format({ts}, \"d MMM yy 'at' h a\")"), "22 Jul 13 at 7 PM", "STRING"),
        (format!("CAST({ts} + INTERVAL 2 HOURS AS STRING)"), "2013-07-22 21:35:10.5", "STRING"),
        (format!("CAST({ts} - INTERVAL '1' DAY AS STRING)"), "2013-07-21 19:35:10.5", "STRING"),
        ("DATE '2013-07-22' + 10".to_owned(), "2013-08-01", "DATE"),
        ("DATE '2013-07-22' - 22".to_owned(), "2013-06-30", "DATE"),
        ("date_add(DATE '2013-07-22', 1)".to_owned(), "2013-07-23", "DATE"),
        ("datediff(DATE '2013-07-22', DATE '2013-07-20')".to_owned(), "2", "INT"),
        ("last_day(DATE '2013-02-03')".to_owned(), "2013-02-28", "DATE"),
        ("add_months(DATE '2013-01-31', 1)".to_owned(), "2013-02-28", "DATE"),
        ("CAST(window(TIMESTAMP '1969-12-31 23:59:59', '1 hour').start AS STRING)".to_owned(), "1969-12-31 23:00:00", "STRING"),
        (format!("CAST(window({ts}, '15 minutes').end AS STRING)"), "2013-07-22 19:45:00", "STRING"),
        (format!("{ts} > '2013-07-22 19:00:00'"), "true", "BOOLEAN"),
        (format!("unix_seconds({ts})"), "1374521710", "BIGINT"),
    ];
    let cases: Vec<_> = cases.iter().map(|(e, v, t)| (e.as_str(), *v, *t)).collect();
    assert_values(&cases).await;
}

#[tokio::test]
async fn aggregates_have_sparks_types() {
    assert_values(&[
        ("(SELECT count(*) FROM (VALUES (1), (NULL)) AS v(x))", "2", "BIGINT"),
        ("(SELECT count(x) FROM (VALUES (1), (NULL)) AS v(x))", "1", "BIGINT"),
        ("(SELECT sum(CAST(x AS INT)) FROM (VALUES (1), (2)) AS v(x))", "3", "BIGINT"),
        ("(SELECT avg(CAST(x AS INT)) FROM (VALUES (1), (2)) AS v(x))", "1.5", "DOUBLE"),
        ("(SELECT max(CAST(x AS INT)) FROM (VALUES (1), (2)) AS v(x))", "2", "INT"),
        ("(SELECT avg(CAST(x AS DECIMAL(10, 2))) FROM (VALUES (1), (2)) AS v(x))", "1.500000", "DECIMAL(14, 6)"),
        ("(SELECT sum(CAST(x AS BIGINT)) FROM (VALUES (CAST(NULL AS INT))) AS v(x))", "NULL", "BIGINT"),
        (
            "(SELECT sum(s) FROM (SELECT k, sum(x) AS s FROM (VALUES (1, 5), (1, 7), (2, NULL), (3, -2)) AS v(k, x) GROUP BY k))",
            "10",
            "BIGINT",
        ),
        ("(SELECT sum(CAST(x AS DECIMAL(10, 2))) FROM (VALUES (1), (2)) AS v(x))", "3.00", "DECIMAL(20, 2)"),
        ("(SELECT avg(x) FROM (VALUES (CAST(NULL AS INT))) AS v(x))", "NULL", "DOUBLE"),
    ])
    .await;
}

#[tokio::test]
async fn nulls_come_first_ascending_and_last_descending() {
    let first = |order: &str| {
        format!(
            "(SELECT n FROM (SELECT x, row_number() OVER (ORDER BY x {order}) AS n FROM (VALUES (1), (NULL), (2)) AS v(x)) WHERE x IS NULL)"
        )
    };
    let (ascending, descending, last) = (first("ASC"), first("DESC"), first("ASC NULLS LAST"));
    assert_values(&[(ascending.as_str(), "1", "INT"), (descending.as_str(), "3", "INT"), (last.as_str(), "3", "INT")]).await;
}

#[tokio::test]
async fn json_functions_are_sparks() {
    assert_values(&[
        ("from_json('{\"a\":1,\"b\":[1,2]}', 'a INT, b ARRAY<INT>')", "{a: 1, b: [1, 2]}", "STRUCT<a: INT, b: ARRAY<INT>>"),
        ("from_json('{\"a\":\"x\"}', 'a INT')", "{a: NULL}", "STRUCT<a: INT>"),
        ("from_json('nonsense', 'STRUCT<a: INT>')", "{a: NULL}", "STRUCT<a: INT>"),
        ("from_json('[1,null]', 'ARRAY<INT>')", "[1, NULL]", "ARRAY<INT>"),
        ("from_json('{\"k\":1.5}', 'MAP<STRING, DOUBLE>')", "{k: 1.5}", "MAP<STRING, DOUBLE>"),
        ("from_json(CAST(NULL AS STRING), 'a INT')", "NULL", "STRUCT<a: INT>"),
        ("from_json('{\"t\":\"04/07/2013\"}', 't DATE', map('dateFormat', 'dd/MM/yyyy'))", "{t: 2013-07-04}", "STRUCT<t: DATE>"),
        ("from_json('{\"eventId\":7}', 'eventId BIGINT').`eventId`", "7", "BIGINT"),
        ("to_json(named_struct('a', 1, 'b', CAST(NULL AS INT), 'c', array('x')))", "{\"a\":1,\"c\":[\"x\"]}", "STRING"),
        ("to_json(struct(one, one + 1, 'z' AS last))", "{\"one\":1,\"col2\":2,\"last\":\"z\"}", "STRING"),
        ("to_json(array(1, 2))", "[1,2]", "STRING"),
        ("get_json_object('{\"a\":{\"b\":[1,{\"c\":\"x\"}]}}', '$.a.b[1].c')", "x", "STRING"),
        ("get_json_object('{\"a\": [1, 2]}', '$.a')", "[1,2]", "STRING"),
        ("get_json_object('nonsense', '$.a')", "NULL", "STRING"),
        (
            "from_avro(CAST(NULL AS BINARY), '{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}')",
            "NULL",
            "STRUCT<a: INT NOT NULL>",
        ),
        ("from_avro(X'02', '\"int\"')", "1", "INT"),
    ])
    .await;
    assert_fails(&[
        ("from_json('{\"a\":\"x\"}', 'a INT', map('mode', 'FAILFAST'))", "does not fit int"),
        ("from_json('{}', 'a BLOB')", "not a type"),
        ("from_json('{}', 'a INT', map('nope', 'x'))", "no option 'nope'"),
        ("from_json('{}', 'MAP<INT, INT>')", "keys of maps in json are strings"),
        ("get_json_object('{}', 'a')", "begin with $"),
        ("get_json_object('{}', '$.*')", "finds nothing"),
        ("to_json(1)", "to_json() takes"),
    ])
    .await;
}

#[tokio::test]
async fn places_and_keys_are_sparks() {
    assert_values(&[
        ("array(1, 2, 3)[0]", "1", "INT"),
        ("element_at(array(1, 2, 3), -1)", "3", "INT"),
        ("element_at(array(1, 2, 3), 2)", "2", "INT"),
        ("get(array(1, 2, 3), 3)", "NULL", "INT"),
        ("from_json('{\"a\":1}', 'MAP<STRING, INT>')['a']", "1", "INT"),
        ("from_json('{\"a\":1}', 'MAP<STRING, INT>')['b']", "NULL", "INT"),
        ("element_at(from_json('{\"a\":1}', 'MAP<STRING, INT>'), 'a')", "1", "INT"),
        ("size(array(1, 2, 3))", "3", "INT"),
        ("cardinality(from_json('{\"a\":1}', 'MAP<STRING, INT>'))", "1", "INT"),
        ("size(from_json(CAST(NULL AS STRING), 'ARRAY<INT>'))", "NULL", "INT"),
        ("array_contains(array(1, 2), 2)", "true", "BOOLEAN"),
        ("named_struct('a', 1, 'b', 'x').b", "x", "STRING"),
    ])
    .await;
    assert_fails(&[
        ("array(1, 2)[2]", "beyond an array of 2 items"),
        ("array(1, 2)[-1]", "beyond an array"),
        ("element_at(array(1, 2), 0)", "beyond an array"),
        ("size(1)", "size() takes"),
    ])
    .await;
}

#[tokio::test]
async fn arrays_have_one_zero_and_one_nan() {
    assert_values(&[
        ("array_position(array(1e0, 0e0), CAST('-0.0' AS DOUBLE))", "2", "BIGINT"),
        ("array_position(array(CAST('NaN' AS DOUBLE)), - CAST('NaN' AS DOUBLE))", "1", "BIGINT"),
        ("array_contains(array(1e0, CAST('-0.0' AS DOUBLE)), 0e0)", "true", "BOOLEAN"),
        ("array_contains(array(CAST('NaN' AS FLOAT)), - CAST('NaN' AS FLOAT))", "true", "BOOLEAN"),
        ("size(array_remove(array(0e0, 1e0), CAST('-0.0' AS DOUBLE)))", "1", "INT"),
        ("size(array_distinct(array(0e0, CAST('-0.0' AS DOUBLE))))", "1", "INT"),
        ("size(array_except(array(0e0, 1e0), array(CAST('-0.0' AS DOUBLE))))", "1", "INT"),
        ("array_contains(array(1, 2), 2)", "true", "BOOLEAN"),
        ("array_contains(array(1, 2), 1.5)", "false", "BOOLEAN"),
        ("array_contains(array(1, NULL), 1)", "true", "BOOLEAN"),
        ("array_contains(array(1, NULL), 2)", "NULL", "BOOLEAN"),
        ("array_contains(array('a', 'b'), 'c')", "false", "BOOLEAN"),
    ])
    .await;
}

/// `one` is a column that is 1, so that these are no constants.
#[tokio::test]
async fn patterns_and_units_may_differ_by_row() {
    let pattern = "CASE one WHEN 1 THEN 'dd/MM/yyyy' ELSE 'yyyy' END";
    let text = "concat('09/02/', repeat('2024', one))";
    let null = "CASE WHEN one = 2 THEN 'yyyy' END";
    let cases = [
        (format!("to_date({text}, {pattern})"), "2024-02-09", "DATE"),
        (format!("to_date('09/02/2024', {pattern})"), "2024-02-09", "DATE"),
        (format!("unix_timestamp({text}, {pattern})"), "1707436800", "BIGINT"),
        (format!("date_format(DATE '2024-02-09', {pattern})"), "09/02/2024", "STRING"),
        (format!("from_unixtime(one, {pattern})"), "01/01/1970", "STRING"),
        (format!("to_date({text}, {null})"), "NULL", "DATE"),
        (format!("date_format(TIMESTAMP '2024-02-09 10:11:12', {null})"), "NULL", "STRING"),
        (format!("try_to_date({text}, repeat('y', one))"), "NULL", "DATE"),
        ("trunc(DATE '2024-02-09', repeat('MM', one))".to_owned(), "2024-02-01", "DATE"),
        ("CAST(date_trunc(repeat('hour', one), TIMESTAMP '2024-02-09 10:11:12') AS STRING)".to_owned(), "2024-02-09 10:00:00", "STRING"),
        (format!("trunc(DATE '2024-02-09', {null})"), "NULL", "DATE"),
        ("date_format(DATE '2024-02-09', NULL)".to_owned(), "NULL", "STRING"),
    ];
    assert_values(&cases.iter().map(|(e, v, t)| (e.as_str(), *v, *t)).collect::<Vec<_>>()).await;
    assert_fails(&[
        ("date_format(DATE '2024-02-09', repeat('b!!', one))", "can't be used"),
        ("to_date('2024', repeat('EEE', one))", "can only write"),
        ("to_date('x', repeat('yyyy', one))", "is not a time like"),
    ])
    .await;
}

#[tokio::test]
async fn csv_functions_are_sparks() {
    assert_values(&[
        ("from_csv('2024-2-9', 'd DATE').d", "2024-02-09", "DATE"),
        ("from_csv(' 1d', 'x DOUBLE').x", "1.0", "DOUBLE"),
        ("CAST(from_csv('AP8=', 'b BINARY').b AS STRING)", "AP8=", "STRING"),
        (r#"from_csv('1,"b"x', 'i INT, s STRING').s"#, r#""b"x"#, "STRING"),
        (r#"from_csv('1,"b', 'i INT, s STRING').s"#, "b", "STRING"),
        ("to_csv(named_struct('a', CAST(NULL AS INT)))", "NULL", "STRING"),
        ("to_csv(named_struct('a', CAST(NULL AS INT), 'b', CAST(NULL AS INT)))", ",", "STRING"),
        ("to_csv(struct('#c', 'y'))", "\"#c\",y", "STRING"),
        ("to_csv(struct(X'20FF', 'b'))", "[20 FF],b", "STRING"),
    ])
    .await;
}
