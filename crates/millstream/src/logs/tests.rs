#![allow(clippy::unwrap_used, reason = "tests")]

use super::check;

#[test]
fn levels_and_filters_are_taken() {
    for filter in ["info", "WARN", "off", "3", "info,millstream_engine=debug", "millstream_engine::flow=trace, warn", ""] {
        assert!(check(filter).is_ok(), "{filter}");
    }
}

#[test]
fn a_mistyped_level_is_refused() {
    for filter in ["wran", "info,debgu", "verbose", "6"] {
        let error = check(filter).unwrap_err();
        assert!(error.message().contains("is no level: write one of off, error, warn"), "{error}");
    }
}
