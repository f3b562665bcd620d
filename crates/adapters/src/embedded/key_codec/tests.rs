#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema};
use millstream_core::table::timestamp_type;
use millstream_core::{ClusteringColumn, ErrorKind, KeySpec, TableKind};

use super::super::seeded::Seeded;
use super::*;

fn types() -> Vec<DataType> {
    vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        timestamp_type(),
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ]
}

/// A table whose partition key is the first column and whose clustering columns are the others, every second one descending.
fn table(types: &[DataType]) -> TableSpec {
    let name = |i: usize| format!("c{i}");
    TableSpec {
        name: "t".into(),
        kind: TableKind::EventStore,
        schema: Arc::new(Schema::new(types.iter().enumerate().map(|(i, t)| Field::new(name(i), t.clone(), false)).collect::<Vec<_>>())),
        key: KeySpec {
            partition: vec![name(0)],
            clustering: (1..types.len())
                .map(|i| ClusteringColumn { name: name(i), order: if i % 2 == 0 { SortOrder::Desc } else { SortOrder::Asc } })
                .collect(),
        },
        ttl: None,
    }
}

fn value(random: &mut Seeded, data_type: &DataType) -> Value {
    let n = random.integer();
    match data_type {
        DataType::Boolean => Value::Bool(n & 1 == 0),
        DataType::Int8 => Value::Int((n as i8).into()),
        DataType::Int16 => Value::Int((n as i16).into()),
        DataType::Int32 => Value::Int((n as i32).into()),
        DataType::Int64 => Value::Int(n),
        DataType::Utf8 => Value::Str(random.text()),
        DataType::Binary => Value::Bytes(random.bytes()),
        DataType::Date32 => Value::Date(n as i32),
        _ => Value::Timestamp(n),
    }
}

fn batch(spec: &TableSpec, rows: &[Vec<Value>]) -> RecordBatch {
    let column = |i: usize| -> ArrayRef {
        let cells: Vec<_> = rows.iter().map(|r| r[i].to_array(spec.schema.field(i).data_type()).unwrap()).collect();
        concat(&cells.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
    };
    RecordBatch::try_new(spec.schema.clone(), (0..spec.schema.fields().len()).map(column).collect()).unwrap()
}

fn keys(codec: &KeyCodec, rows: &RecordBatch) -> Vec<Vec<u8>> {
    let cells = codec.cells(rows).unwrap();
    let encode = |row| {
        let mut key = Vec::new();
        cells.put(row, &mut key).unwrap();
        key
    };
    (0..rows.num_rows()).map(encode).collect()
}

/// By value, ascending or descending, column by column: what the bytes have to agree with.
fn by_value(spec: &TableSpec, a: &[Value], b: &[Value]) -> std::cmp::Ordering {
    let directions = std::iter::once(SortOrder::Asc).chain(spec.key.clustering.iter().map(|c| c.order));
    a.iter()
        .zip(b)
        .zip(directions)
        .map(|((a, b), order)| if order == SortOrder::Desc { b.cmp(a) } else { a.cmp(b) })
        .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

#[test]
fn bytes_order_as_values_do_for_all_types_and_directions() {
    let mut random = Seeded(1);
    for first in types() {
        for second in types() {
            let spec = table(&[DataType::Utf8, first.clone(), second.clone(), DataType::Utf8]);
            let codec = KeyCodec::new(7, &spec).unwrap();
            let rows: Vec<Vec<Value>> =
                (0..40).map(|_| spec.schema.fields().iter().map(|f| value(&mut random, f.data_type())).collect()).collect();
            let encoded = keys(&codec, &batch(&spec, &rows));
            for (a, key_a) in rows.iter().zip(&encoded) {
                for (b, key_b) in rows.iter().zip(&encoded) {
                    assert_eq!(key_a.cmp(key_b), by_value(&spec, a, b), "{a:?} and {b:?}");
                }
            }
        }
    }
}

#[test]
fn values_and_columns_give_the_same_bytes_and_no_cell_begins_another() {
    let mut random = Seeded(2);
    for data_type in types() {
        let spec = table(&[data_type.clone(), data_type.clone(), data_type.clone()]);
        let codec = KeyCodec::new(1, &spec).unwrap();
        let rows: Vec<Vec<Value>> = (0..100).map(|_| (0..3).map(|_| value(&mut random, &data_type)).collect()).collect();
        let encoded = keys(&codec, &batch(&spec, &rows));
        for (row, key) in rows.iter().zip(&encoded) {
            let mut same = Vec::new();
            codec.put_key(row, &mut same).unwrap();
            assert_eq!(same, *key, "{row:?}");
            for (other, other_key) in rows.iter().zip(&encoded) {
                for length in 1..=3 {
                    let mut prefix = Vec::new();
                    codec.put_partition(&row[..1], &mut prefix).unwrap();
                    codec.put_values(codec.clustering(), &row[1..length], &mut prefix).unwrap();
                    assert_eq!(other_key.starts_with(&prefix), other[..length] == row[..length], "{row:?} and {other:?}");
                }
            }
        }
    }
}

#[test]
fn the_head_is_the_table_and_the_partition_columns() {
    let spec = table(&[DataType::Utf8, DataType::Int32]);
    let codec = KeyCodec::new(9, &spec).unwrap();
    let rows = batch(&spec, &[vec![Value::Str("EWR".into()), Value::Int(5)]]);
    let (mut key, mut partition) = (Vec::new(), Vec::new());
    let head = codec.cells(&rows).unwrap().put(0, &mut key).unwrap();
    codec.put_partition(&[Value::Str("EWR".into())], &mut partition).unwrap();
    assert_eq!(key[..head], partition);
}

/// Format 1, for ever: a store that was written with it must be readable.
#[test]
fn golden_format_1() {
    let all = types();
    let spec = table(&all);
    let row = vec![
        Value::Bool(true),
        Value::Int(-1),
        Value::Int(300),
        Value::Int(-70_000),
        Value::Int(1),
        Value::Str("a\0é".into()),
        Value::Bytes(vec![0, 255, 7]),
        Value::Date(15_908),
        Value::Timestamp(1_374_519_600_000_000),
        Value::Timestamp(-1),
    ];
    let mut key = Vec::new();
    KeyCodec::new(0x0102_0304, &spec).unwrap().put_key(&row, &mut key).unwrap();
    let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        concat!(
            "01020304",
            "01",
            "7f",
            "7ed3",
            "7ffeee90",
            "7ffffffffffffffe",
            "6100ffc3a90000",
            "ff00 00f8 ffff",
            "80003e24",
            "7ffb1de1b78153ff",
            "7fffffffffffffff"
        )
        .replace(' ', "")
    );
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let spec = table(&[DataType::Int8, DataType::Utf8]);
    let codec = KeyCodec::new(1, &spec).unwrap();
    let refuse = |values: &[Value], says: &str| {
        let error = codec.put_key(values, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains(says), "{error}");
    };
    refuse(&[Value::Int(1)], "1 values for the 2 columns of its key (c0, c1)");
    refuse(&[Value::Int(128), Value::Str(String::new())], "128 is no value of key column c0 (Int8)");
    refuse(&[Value::Str("1".into()), Value::Str(String::new())], "key column c0");
    refuse(&[Value::Int(1), Value::Str("x".repeat(KEY_BYTES_MAX))], "the store takes up to 60000");
    let nullable = Arc::new(Schema::new(vec![Field::new("c0", DataType::Int8, true), Field::new("c1", DataType::Utf8, true)]));
    let rows = RecordBatch::new_empty(nullable.clone());
    assert!(codec.cells(&rows).is_ok());
    let null =
        RecordBatch::try_new(nullable, vec![Arc::new(arrow::array::Int8Array::from(vec![None])), Arc::new(StringArray::from(vec!["a"]))])
            .unwrap();
    assert!(codec.cells(&null).err().unwrap().message().contains("key column c0 holds a null"));
}

#[test]
fn names_survive_escaping_and_cut_ones_are_known() {
    let mut random = Seeded(3);
    for _ in 0..500 {
        let (name, rest) = (random.bytes(), random.bytes());
        let mut encoded = Vec::new();
        put_bytes(&name, &mut encoded);
        let cut = encoded[..encoded.len() - 1].to_vec();
        encoded.extend_from_slice(&rest);
        assert_eq!(take_bytes(&encoded), Some((name, rest.as_slice())));
        assert_eq!(take_bytes(&cut), None);
    }
}

#[test]
fn after_a_prefix_comes_the_next_key_that_does_not_begin_with_it() {
    assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
    assert_eq!(after_prefix(&[1, 0xFF, 0xFF]), Some(vec![2]));
    assert_eq!(after_prefix(&[0xFF]), None);
    assert_eq!(after_prefix(&[]), None);
}
