#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::{column_list, looks_like_connection};

#[test]
fn connections_are_known_by_their_looks() {
    for value in ["broker:9092", "a.b.c:9093,d:9093", "https://lake", "Endpoint=sb://x", "user=a;Password=b", "10.0.0.4:9042"] {
        assert!(looks_like_connection(value), "{value}");
    }
    for value in ["flights", "400 days", "*/5 * * * *", "ts DESC, event_id ASC", "append", "a:b", "12:30:00 uhr"] {
        assert!(!looks_like_connection(value), "{value}");
    }
}

#[test]
fn lists_of_columns_keep_quoted_names_and_orders() {
    let column = |name: &str, order: Option<&str>| (name.to_owned(), order.map(str::to_owned));
    assert_eq!(column_list("TS desc, `Event Id`"), Some(vec![column("ts", Some("DESC")), column("Event Id", None)]));
    for wrong in ["", "a,", "a b c", "a; b", "'a'", "a,,b"] {
        assert_eq!(column_list(wrong), None, "{wrong}");
    }
}
