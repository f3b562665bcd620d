#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::{list, nearest};

#[test]
fn the_nearest_name_is_suggested_if_one_is_near() {
    let tables = ["flights", "departures", "airlines"];
    assert_eq!(nearest("fligths", tables), Some("flights"));
    assert_eq!(nearest("Airline", tables), Some("airlines"));
    assert_eq!(nearest("departure", tables), Some("departures"));
    assert_eq!(nearest("weather", tables), None);
    assert_eq!(nearest("x", ["ts"]), None);
}

#[test]
fn lists_are_written_as_people_do() {
    assert_eq!(list([]), "none");
    assert_eq!(list(["a"]), "`a`");
    assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
}
