#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::datatypes::Field;

use super::*;

fn created(data_type: DataType) -> Column {
    Column::created("c", &data_type, TimestampColumns::Bigint).unwrap()
}

#[test]
fn what_is_created_is_read_again_and_written() {
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let list = DataType::List(Field::new("item", DataType::Int32, true).into());
    let types = [
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(38, 6),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        micros(Some("UTC")),
        micros(None),
        list,
    ];
    for data_type in types {
        for timestamps in [TimestampColumns::Bigint, TimestampColumns::Timestamp] {
            let column = Column::created("c", &data_type, timestamps).unwrap();
            assert_eq!(Column::existing("c", &data_type, column.cql.name()), Some(column.clone()));
            assert!(column.is_writable(), "{data_type}");
        }
    }
}

#[test]
fn a_type_that_cassandra_has_not_is_refused() {
    assert!(Column::created("c", &DataType::Decimal128(10, -2), TimestampColumns::Bigint).is_err());
    assert!(Column::created("c", &DataType::Duration(TimeUnit::Second), TimestampColumns::Bigint).is_err());
}

#[test]
fn narrower_columns_are_read_and_not_written() {
    let narrow = Column::existing("c", &DataType::Int64, "int").unwrap();
    assert!(!narrow.is_writable());
    assert!(!Column::existing("c", &DataType::Int64, "counter").unwrap().is_writable());
    assert!(Column::existing("c", &DataType::Utf8, "uuid").unwrap().is_writable());
    assert_eq!(Column::existing("c", &DataType::Int32, "bigint"), None, "it may hold what an INT can't");
    assert_eq!(Column::existing("c", &DataType::Utf8, "list<text>"), None);
    assert_eq!(created(DataType::Utf8).cql.name(), "text");
}
