//! The API's description of itself: `/openapi.json` (OpenAPI 3.1) with a path for every table, and `/v1/tables`.
//!
//! The tables are known only when a pipeline is started, so the document is put together as JSON at that time; a derive, which
//! describes types of the program, has nothing to derive from.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use axum::Json;
use axum::extract::State;
use millstream_core::{TableKind, TableSpec};
use serde_json::{Map, Value, json};

use super::HttpSettings;
use super::read::Gateway;
use super::request::{example, path};

/// The handler of `/openapi.json`.
pub(crate) async fn openapi(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    Json(document(
        &gateway.parts.about.pipeline,
        &gateway.parts.about.version,
        gateway.tables.values().map(AsRef::as_ref),
        &gateway.settings,
    ))
}

/// The handler of `/v1/tables`: every table with its kind, key and an example of a URL that reads it.
pub(crate) async fn tables(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let tables: Vec<Value> = gateway
        .tables
        .values()
        .map(|table| {
            let columns: Vec<Value> = table
                .schema
                .fields()
                .iter()
                .map(|f| json!({ "name": f.name(), "type": spark_type(f.data_type()), "nullable": f.is_nullable() }))
                .collect();
            json!({
                "name": table.name,
                "kind": table.kind.as_str(),
                "partition_key": table.key.partition,
                "clustering_key": table.key.clustering,
                "ttl_s": table.ttl.map(|t| t.as_secs()),
                "columns": columns,
                "example": if by_key(table) { Some(example(table)) } else { None },
            })
        })
        .collect();
    Json(json!({ "tables": tables }))
}

/// Whether the API reads this kind of table.
pub(crate) fn by_key(table: &TableSpec) -> bool {
    !matches!(table.kind, TableKind::Topic | TableKind::Lake | TableKind::System)
}

/// The document.
fn document<'a>(pipeline: &str, version: &str, tables: impl Iterator<Item = &'a TableSpec>, settings: &HttpSettings) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Problem".into(), problem_schema());
    for table in tables.filter(|t| by_key(t)) {
        paths.insert(path(&table.name), json!({ "get": operation(table, settings) }));
        schemas.insert(format!("{}_row", table.name), row_schema(table));
    }
    for (path, summary, kind) in [
        ("/healthz", "Whether the process lives", "application/json"),
        ("/readyz", "Whether the pipeline is ready for traffic, else why not", "application/json"),
        ("/metrics", "Metrics in the Prometheus text format", "text/plain"),
        ("/v1/status", "Every flow, job, reference table and engine", "application/json"),
        ("/v1/tables", "Every table", "application/json"),
    ] {
        let mut responses = json!({ "200": { "description": "OK", "content": { kind: {} } } });
        if path == "/readyz" {
            responses["503"] =
                json!({ "description": "The reasons, and the state of every system", "content": { "application/json": {} } });
        }
        paths.insert(path.into(), json!({ "get": { "summary": summary, "tags": ["operations"], "responses": responses } }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("{pipeline} on Millstream"),
            "version": version,
            "description": "Reads of the pipeline's tables by key: cache first, the store on a miss. `Cache-Status` (RFC 9211) says which it was.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(table: &TableSpec, settings: &HttpSettings) -> Value {
    let mut responses = json!({
        "200": {
            "description": "The rows, in the table's order",
            "headers": {
                "Cache-Status": { "description": "Where the answer came from (RFC 9211)", "schema": { "type": "string" } },
                "Age": { "description": "Seconds since the answer was read from its store; of a hit in the store of critical events, since the row's version", "schema": { "type": "integer" } },
                "ETag": { "schema": { "type": "string" } },
            },
            "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["table", "rows", "next_page"],
                "properties": {
                    "table": { "const": table.name },
                    "rows": { "type": "array", "items": { "$ref": format!("#/components/schemas/{}_row", pointer(&table.name)) } },
                    "next_page": { "type": ["string", "null"], "description": "The `page` to ask for next" },
                },
            } } },
        },
        "304": { "description": "Unchanged (`If-None-Match`)" },
        "400": problem("What is missing, unknown or wrong"),
        "501": problem("The store can't answer such a read"),
        "503": problem("The store does not answer; see `Retry-After`"),
        "504": problem("The answer took longer than `http.request_timeout_s`; see `Retry-After`"),
    });
    if matches!(table.kind, TableKind::Critical | TableKind::Report) {
        responses["404"] = problem("There is no row with this key");
    }
    json!({
        "operationId": format!("read_{}", table.name),
        "summary": format!("Read {} ({})", table.name, table.kind.as_str()),
        "tags": ["tables"],
        "parameters": parameters(table, settings),
        "responses": responses,
    })
}

fn parameters(table: &TableSpec, settings: &HttpSettings) -> Vec<Value> {
    let column = |name: &str, required: bool| parameter(table, name, name, required);
    let limit = json!({ "name": "limit", "in": "query", "description": "The most rows of a page",
        "schema": { "type": "integer", "minimum": 1, "maximum": settings.page_rows_max, "default": settings.page_rows_default } });
    let page = json!({ "name": "page", "in": "query", "description": "The next_page of an earlier answer to the same request", "schema": { "type": "string" } });
    match table.kind {
        TableKind::EventStore => {
            let mut all: Vec<Value> = table.key.partition.iter().map(|c| column(c, true)).collect();
            for clustering in &table.key.clustering {
                all.push(column(&clustering.name, false));
                all.extend(
                    ["gt", "gte", "lt", "lte"].map(|op| parameter(table, &clustering.name, &format!("{}.{op}", clustering.name), false)),
                );
            }
            all.extend([limit, page]);
            all.push(
                json!({ "name": "order", "in": "query", "description": "Walk the partition backwards", "schema": { "enum": ["reverse"] } }),
            );
            all
        }
        TableKind::Reference => {
            let keyable = table.schema.fields().iter().filter(|f| millstream_core::key::can_be_key(f.data_type()));
            keyable.map(|f| column(f.name(), false)).chain([limit, page]).collect()
        }
        _ => table.key.columns().map(|c| column(c, true)).collect(),
    }
}

fn parameter(table: &TableSpec, column: &str, name: &str, required: bool) -> Value {
    let schema = table.schema.field_with_name(column).map_or_else(|_| json!({}), |f| value_schema(f.data_type()));
    let name = if ["limit", "page", "order"].contains(&name) { format!("{name}.eq") } else { name.to_owned() };
    json!({ "name": name, "in": "query", "required": required, "schema": schema })
}

fn row_schema(table: &TableSpec) -> Value {
    let fields = table.schema.fields();
    let properties: Map<String, Value> = fields.iter().map(|f| (f.name().clone(), field_schema(f))).collect();
    let required: Vec<&String> = fields.iter().map(|f| f.name()).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn field_schema(field: &Field) -> Value {
    let schema = value_schema(field.data_type());
    if field.is_nullable() { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
}

fn value_schema(data_type: &DataType) -> Value {
    match data_type {
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int8 => json!({ "type": "integer", "minimum": i8::MIN, "maximum": i8::MAX }),
        DataType::Int16 => json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX }),
        DataType::Int32 => json!({ "type": "integer", "format": "int32" }),
        DataType::Int64 => json!({ "type": "integer", "format": "int64" }),
        DataType::Float32 | DataType::Float64 => {
            json!({ "anyOf": [{ "type": "number", "format": "double" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
        }
        DataType::Decimal128(precision, scale) => {
            json!({ "type": "number", "description": format!("DECIMAL({precision}, {scale}), all digits") })
        }
        DataType::Date32 => json!({ "type": "string", "format": "date" }),
        DataType::Timestamp(_, Some(_)) => json!({ "type": "string", "format": "date-time" }),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => json!({ "type": "string", "contentEncoding": "base64" }),
        DataType::List(item) | DataType::LargeList(item) => json!({ "type": "array", "items": field_schema(item) }),
        DataType::Struct(fields) => {
            let properties: Map<String, Value> = fields.iter().map(|f| (f.name().clone(), field_schema(f))).collect();
            json!({ "type": "object", "properties": properties })
        }
        DataType::Map(..) => json!({ "type": "object" }),
        _ => json!({ "type": "string" }),
    }
}

/// The type in Spark's words.
fn spark_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BINARY".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".into(),
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ".into(),
        DataType::List(item) | DataType::LargeList(item) => format!("ARRAY<{}>", spark_type(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.name(), spark_type(f.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn problem(description: &str) -> Value {
    json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "missing": { "type": "array", "items": { "type": "string" } },
            "unknown": { "type": "array", "items": { "type": "string" } },
            "example": { "type": "string" },
        },
    })
}

/// A name inside of a JSON pointer in a URI fragment (RFC 6901, 3 and 6).
fn pointer(name: &str) -> String {
    super::request::encode(&name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
