#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_suite_is_a_row_and_a_system_a_column() {
    let log = "event_log\tembedded\tpassed\t9/9\nevent_log\ttoy\tpassed\t9/9\nevent_store\tembedded\tfailed\t7/8\n";
    let expected = "suite        embedded    toy\nevent_log    9/9         9/9\nevent_store  FAILED 7/8  -";
    assert_eq!(table(log).unwrap(), expected);
}

#[test]
fn the_last_run_of_a_suite_on_a_system_counts() {
    let log = "event_log\ttoy\tfailed\t8/9\nevent_log\ttoy\tpassed\t9/9\n";
    assert_eq!(table(log).unwrap(), "suite      toy\nevent_log  9/9");
}

#[test]
fn a_torn_line_is_an_error_and_not_a_missing_suite() {
    assert!(table("event_log\ttoy\tpas").is_err());
}

#[test]
fn a_remark_is_no_suite() {
    assert_eq!(table("compared with Apache Spark: 3 queries\nevent_log\ttoy\tpassed\t9/9\n").unwrap(), "suite      toy\nevent_log  9/9");
}
