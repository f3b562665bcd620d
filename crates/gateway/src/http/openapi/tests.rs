#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use millstream_core::TableKind;

use super::super::toys::spec;
use super::*;

fn described() -> Value {
    let tables = [
        spec(TableKind::EventStore, "events", None),
        spec(TableKind::Report, "a report", None),
        spec(TableKind::Reference, "airlines", None),
        spec(TableKind::Topic, "flights", None),
    ];
    document("toys", "0.0.0", tables.iter(), &HttpSettings::default())
}

#[test]
fn there_is_a_path_for_every_table_that_is_read_by_key() {
    let document = described();
    let mut paths: Vec<&String> = document["paths"].as_object().unwrap().keys().filter(|p| p.starts_with("/v1/tables/")).collect();
    paths.sort();
    assert_eq!(paths, ["/v1/tables/a%20report", "/v1/tables/airlines", "/v1/tables/events"]);
}

#[test]
fn the_key_is_required_and_paging_is_not() {
    let document = described();
    let parameters = document["paths"]["/v1/tables/events"]["get"]["parameters"].as_array().unwrap();
    let all: Vec<(&str, bool)> =
        parameters.iter().map(|p| (p["name"].as_str().unwrap(), p["required"].as_bool().unwrap_or_default())).collect();
    assert_eq!(all, [("k", true), ("limit", false), ("page", false), ("order", false)]);
}

#[test]
fn an_operation_names_the_statuses_that_a_client_has_to_expect() {
    let document = described();
    let statuses = |path: &str| {
        let responses = document["paths"][path]["get"]["responses"].as_object().unwrap();
        responses.keys().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(statuses("/v1/tables/events"), ["200", "304", "400", "501", "503", "504"]);
    assert_eq!(statuses("/v1/tables/a%20report"), ["200", "304", "400", "404", "501", "503", "504"]);
}

#[test]
fn every_reference_points_to_a_schema() {
    let document = described();
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").map(|r| r.as_str().unwrap().to_owned()));
                members.values().for_each(|v| references(v, found));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 5);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap().replace("%20", " ");
        assert!(document.pointer(&pointer).is_some(), "{reference}");
    }
}

#[test]
fn columns_have_their_json_types() {
    assert_eq!(value_schema(&DataType::Date32)["format"], "date");
    assert_eq!(value_schema(&millstream_core::table::timestamp_type())["format"], "date-time");
    assert_eq!(value_schema(&DataType::Decimal128(10, 2))["type"], "number");
    assert_eq!(value_schema(&DataType::Binary)["contentEncoding"], "base64");
    let row = &described()["components"]["schemas"]["events_row"];
    assert_eq!(row["properties"]["k"], json!({ "type": "string" }));
    assert_eq!(row["properties"]["v"]["anyOf"][1], json!({ "type": "null" }));
}
