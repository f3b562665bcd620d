#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use super::*;

fn found() -> Vec<Found> {
    let column = |name: &str, sql_type: &str, data_type| Found { name: name.into(), sql_type: sql_type.into(), data_type };
    vec![column("Faa", "text", Some(DataType::Utf8)), column("alt", "bigint", Some(DataType::Int64)), column("place", "point", None)]
}

fn table(columns: Option<Vec<Field>>) -> ReferenceTable {
    ReferenceTable { dbtable: "airports".into(), filter: None, columns: columns.map(|c| Arc::new(Schema::new(c)) as SchemaRef) }
}

#[test]
fn declared_columns_are_found_by_name_and_checked_by_type() {
    let declared =
        vec![Field::new("alt", DataType::Int32, true), Field::new("faa", DataType::Utf8, false), Field::new("place", DataType::Utf8, true)];
    let (schema, indices) = choose(&table(Some(declared.clone())), &found()).unwrap();
    assert_eq!((schema.fields().len(), indices), (3, vec![1, 0, 2]));
    let refusal = |field: Field| choose(&table(Some(vec![field])), &found()).unwrap_err().to_string();
    let message = refusal(Field::new("nope", DataType::Utf8, true));
    assert!(message.contains("no column nope") && message.contains("Faa, alt, place"), "{message}");
    assert!(refusal(Field::new("alt", DataType::Date32, true)).contains("bigint"));
    assert!(refusal(Field::new("place", DataType::Float64, true)).contains("point"));
}

#[test]
fn without_declared_columns_a_type_without_counterpart_is_named() {
    let message = choose(&table(None), &found()).unwrap_err().to_string();
    assert!(message.contains("column place") && message.contains("point") && message.contains("STRING"), "{message}");
    let (schema, _) = choose(&table(None), &found()[..2]).unwrap();
    assert_eq!(schema.field(1), &Field::new("alt", DataType::Int64, true));
}
