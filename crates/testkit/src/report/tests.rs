#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn a_report_names_the_case_that_failed_and_what_was_expected() {
    let mut report = SuiteReport::new("event log", "toy");
    report.record("order", Ok(()));
    report.record("wait", Err(Failure::skipped("no clock")));
    report.record("bounds", Err(Failure::Broken("the end is 3".into())));
    assert_eq!(report.failures(), [("bounds", "the end is 3")]);
    assert!(report.failed("bounds") && !report.failed("wait"));
    assert_eq!(report.summary(), "event log on toy: wait: skipped: no clock\nevent log on toy: bounds: the end is 3\n");
}

#[test]
fn a_system_is_required_when_the_list_names_it() {
    assert!(is_required("redis", "kafka, redis"));
    assert!(!is_required("redis", "kafka"));
    assert!(!is_required("redis", ""));
}
