#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;
use crate::check::tables::sql_type;

fn read(text: &str) -> Result<String, String> {
    parse_ddl(text).map(|data_type| sql_type(&data_type))
}

#[test]
fn types_are_read_as_spark_writes_them() {
    let cases = [
        ("INT", "INT"),
        ("decimal(10, 2)", "DECIMAL(10, 2)"),
        ("array<array<int>>", "ARRAY<ARRAY<INT>>"),
        ("ARRAY<ARRAY<ARRAY<STRING>>>", "ARRAY<ARRAY<ARRAY<STRING>>>"),
        ("map<string, array<int>>", "MAP<STRING, ARRAY<INT>>"),
        ("STRUCT<a: INT, b STRUCT<c: MAP<STRING, DOUBLE>>>", "STRUCT<a: INT, b: STRUCT<c: MAP<STRING, DOUBLE>>>"),
        ("eventId BIGINT NOT NULL, at TIMESTAMP COMMENT 'when'", "STRUCT<eventId: BIGINT NOT NULL, at: TIMESTAMP>"),
        ("`a b`: STRING", "STRUCT<a b: STRING>"),
        ("a array<int>, b int", "STRUCT<a: ARRAY<INT>, b: INT>"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_type_says_why() {
    for (text, why) in [
        ("", "empty"),
        ("ARRAY<INT", "expected `>`"),
        ("ARRAY<INT>>", "expected its end"),
        ("ARRAY", "expected `<`"),
        ("MAP<INT>", "expected `,`"),
        ("a INT,", "name of a field"),
        ("a INT, a INT", "twice"),
        ("a VARCHAR(20)", "not supported"),
        ("a BLOB", "not a type"),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.contains(why), "{text}: {found}");
    }
}
