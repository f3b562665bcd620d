//! The metadata columns of a topic ([`TOPIC_METADATA`]): their fields, and their values for records that became rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder, StructBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use millstream_core::TopicPartition;
use millstream_core::ports::Record;
use millstream_core::table::timestamp_type;
use millstream_pipeline::graph::TOPIC_METADATA;

/// A topic's own columns, and then [`TOPIC_METADATA`]: the schema of its scan.
#[must_use]
pub fn with_metadata(columns: &SchemaRef) -> SchemaRef {
    let own = columns.fields().iter().cloned();
    Arc::new(Schema::new(own.chain(TOPIC_METADATA.into_iter().map(|name| Arc::new(metadata_field(name)))).collect::<Vec<_>>()))
}

/// The field of the metadata column `name`.
#[must_use]
pub fn metadata_field(name: &str) -> Field {
    match name {
        "_key" => Field::new(name, DataType::Binary, true),
        "_headers" => Field::new(name, DataType::List(Arc::new(header_field())), true),
        "_topic" => Field::new(name, DataType::Utf8, false),
        "_partition" => Field::new(name, DataType::Int32, false),
        "_offset" => Field::new(name, DataType::Int64, false),
        _ => Field::new(name, timestamp_type(), false),
    }
}

/// The values of the metadata column `name` for `records` of one partition.
pub fn metadata_column<'a>(name: &str, from: &TopicPartition, records: impl ExactSizeIterator<Item = &'a Record>) -> ArrayRef {
    let rows = records.len();
    match name {
        "_key" => {
            let mut keys = BinaryBuilder::with_capacity(rows, rows * 8);
            records.for_each(|r| keys.append_option(r.key.as_deref()));
            Arc::new(keys.finish())
        }
        "_headers" => headers(records),
        "_topic" => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(from.topic.as_str(), rows))),
        "_partition" => Arc::new(Int32Array::from_value(from.partition, rows)),
        "_offset" => Arc::new(Int64Array::from_iter_values(records.map(|r| r.offset.0))),
        _ => Arc::new(TimestampMicrosecondArray::from_iter_values(records.map(|r| r.timestamp.0)).with_data_type(timestamp_type())),
    }
}

fn header_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Binary, true)])
}

fn header_field() -> Field {
    Field::new("item", DataType::Struct(header_fields()), true)
}

fn headers<'a>(records: impl Iterator<Item = &'a Record>) -> ArrayRef {
    let entry = StructBuilder::new(header_fields(), vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())]);
    let mut lists = ListBuilder::new(entry).with_field(header_field());
    for record in records {
        for (key, value) in &record.headers {
            let entry = lists.values();
            if let Some(keys) = entry.field_builder::<StringBuilder>(0) {
                keys.append_value(key);
            }
            if let Some(values) = entry.field_builder::<BinaryBuilder>(1) {
                values.append_option(value.as_deref());
            }
            entry.append(true);
        }
        // As in Spark, a record without headers has null.
        lists.append(!record.headers.is_empty());
    }
    Arc::new(lists.finish())
}
