use super::*;

#[test]
fn what_only_streams_have_is_left_out() {
    let statement = "CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (a) AS SELECT a, STREAM FROM \
                     (SELECT * FROM STREAM t WATERMARK ts DELAY OF INTERVAL 2 HOURS) GROUP BY a";
    let expected = "CREATE OR REPLACE TEMPORARY VIEW result AS SELECT a, STREAM FROM (SELECT * FROM t ) GROUP BY a";
    assert_eq!(view(statement).unwrap(), expected);
}

#[test]
fn a_table_is_its_columns_and_its_events() {
    let statements =
        statements("-- a topic\nCREATE TABLE t (a INT NOT NULL, -- one\n b DECIMAL(10, 2))\nUSING kafka OPTIONS (subscribe 't');");
    let (name, columns, file) = source(&statements[0]).unwrap();
    assert_eq!((name.as_str(), columns.as_str()), ("t", "a INT, b DECIMAL(10, 2)"));
    assert_eq!(file, Path::new("events/t.jsonl"));
}

#[test]
fn a_watermark_is_read_where_it_stands() {
    let found = watermark("AS SELECT a FROM (SELECT b FROM STREAM t WATERMARK ts DELAY OF INTERVAL 10 MINUTES) GROUP BY a");
    assert_eq!(found, Some(Watermark { column: "ts".to_owned(), delay: "10 MINUTES".to_owned() }));
    assert_eq!(watermark("SELECT a FROM t"), None);
}
