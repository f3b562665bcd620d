#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_value_may_be_an_object_or_text() {
    let events = parse_repaired(
        "{\"partition\":1,\"offset\":2,\"value\":{\"a\":1}}\n\n{\"flow\":\"f\",\"partition\":1,\"offset\":3,\"value\":\"x\"}\n",
    )
    .unwrap();
    assert_eq!(events[0].value, "{\"a\":1}");
    assert_eq!((events[1].flow.as_deref(), events[1].value.as_str()), (Some("f"), "x"));
}

#[test]
fn a_line_that_is_no_event_is_named() {
    let error = parse_repaired("{\"partition\":1,\"offset\":2,\"value\":\"x\"}\n{\"offset\":2}\n").unwrap_err().to_string();
    assert!(error.starts_with("line 2: not a repaired event"), "{error}");
}
