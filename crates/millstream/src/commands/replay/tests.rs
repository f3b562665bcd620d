#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::cli::RowFormat;
use crate::rows::RowWriter;

/// Dead letters with these values, as the SQL command prints them: the columns of `system.dead_letters` that matter here.
fn printed(values: &[&[u8]]) -> String {
    let texts: StringArray = values.iter().map(|value| std::str::from_utf8(value).ok()).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("flow", Arc::new(StringArray::from(vec!["f"; values.len()]))),
        ("partition", Arc::new(Int32Array::from(vec![1; values.len()]))),
        ("offset", Arc::new(Int64Array::from_iter_values((0..).take(values.len())))),
        ("reason", Arc::new(StringArray::from(vec!["malformed"; values.len()]))),
        ("value", Arc::new(BinaryArray::from_iter_values(values))),
        ("value_text", Arc::new(texts)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    RowWriter::new(RowFormat::Json, batch.schema()).write(&batch).unwrap()
}

#[test]
fn a_printed_row_is_taken_with_the_text_that_was_edited() {
    let rows = printed(&[b"{\"a\":".as_slice(), b"abcd"]);
    let edited = rows.replace(r#""{\"a\":""#, r#""{\"a\":1}""#);
    assert_ne!(edited, rows);
    let events = parse_repaired(&edited).unwrap();
    let values: Vec<_> = events.iter().map(|e| (e.flow.as_deref(), e.partition, e.offset, e.value.as_str())).collect();
    assert_eq!(values, [(Some("f"), 1, 0, "{\"a\":1}"), (Some("f"), 1, 1, "abcd")]);
    // As an object, which is easier to write.
    let edited = rows.replace(r#""{\"a\":""#, r#"{"a":2}"#);
    assert_eq!(parse_repaired(&edited).unwrap()[0].value, "{\"a\":2}");
}

#[test]
fn a_printed_row_whose_new_value_is_in_doubt_is_refused() {
    let rows = printed(&[b"\xff\x00".as_slice()]);
    let error = parse_repaired(&rows).unwrap_err().to_string();
    assert!(error.starts_with("line 1: ") && error.contains("write the new value into \"value_text\""), "{error}");
    let edited = rows.replace("\"ff00\"", "{\"a\":1}");
    assert_eq!(parse_repaired(&edited).unwrap()[0].value, "{\"a\":1}", "{edited}");
    let both = printed(&[b"x".as_slice()]).replace("\"78\"", "\"y\"");
    let error = parse_repaired(&both).unwrap_err().to_string();
    assert!(error.starts_with("line 1: ") && error.contains("differ"), "{error}");
}

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
