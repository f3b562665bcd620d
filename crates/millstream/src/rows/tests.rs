#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use millstream_core::table::timestamp_type;

use super::*;

fn batch() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("carrier", DataType::Utf8, true),
        Field::new("n", DataType::Int64, false),
        Field::new("avg", DataType::Float64, true),
        Field::new("at", timestamp_type(), true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(StringArray::from(vec![Some("F9"), None, Some(""), Some("a \"b\",\nc")])),
            Arc::new(Int64Array::from(vec![1, 20, 300, 4])),
            Arc::new(Float64Array::from(vec![Some(20.25), None, Some(0.5), Some(1.0)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1), None]).with_timezone("UTC")),
        ],
    )
    .unwrap()
}

fn written(format: RowFormat) -> String {
    let batch = batch();
    let mut writer = RowWriter::new(format, batch.schema());
    let head = writer.head();
    let body = writer.write(&batch).unwrap() + &writer.write(&batch.slice(0, 1)).unwrap();
    head + &body + &writer.finish()
}

#[test]
fn a_table_is_aligned_and_counted() {
    let expected = r#" carrier        | n   | avg   | at
----------------+-----+-------+-----------------------------
 F9             |   1 | 20.25 | 1970-01-01T00:00:00Z
                |  20 |       |
                | 300 |   0.5 | 1970-01-01T00:00:00.000001Z
 a \"b\",\nc    |   4 |   1.0 |
 F9             |   1 | 20.25 | 1970-01-01T00:00:00Z
(5 rows)
"#;
    let text = written(RowFormat::Table);
    let squeeze = |t: &str| t.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    assert_eq!(squeeze(&text)[2..], squeeze(expected)[2..]);
    let bars: Vec<Vec<usize>> =
        text.lines().take(6).map(|l| l.char_indices().filter(|(_, c)| "|+".contains(*c)).map(|(i, _)| i).collect()).collect();
    assert!(bars.iter().all(|b| *b == bars[0]), "{text}");
}

#[test]
fn csv_tells_null_from_empty_and_quotes() {
    let text = written(RowFormat::Csv);
    assert!(text.starts_with("carrier,n,avg,at\nF9,1,20.25,1970-01-01T00:00:00Z\n,20,,\n\"\",300,0.5,"), "{text}");
    assert!(text.contains("\"a \"\"b\"\",\nc\",4,1.0,\n"), "{text}");
}

#[test]
fn json_has_every_column_in_every_line() {
    let text = written(RowFormat::Json);
    let rows: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[1]["carrier"], serde_json::Value::Null);
    assert_eq!(rows[0]["at"], "1970-01-01T00:00:00Z");
}

#[test]
fn no_rows_still_have_a_head() {
    let mut writer = RowWriter::new(RowFormat::Table, batch().schema());
    let text = writer.finish();
    assert!(text.contains(" carrier | n | avg | at") && text.contains("(0 rows)"), "{text}");
}
