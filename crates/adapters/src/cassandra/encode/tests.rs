#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::{Array, Int32Builder, ListBuilder, MapBuilder, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::table::timestamp_type;
use millstream_core::{ErrorKind, Value};

use super::super::decode::RowDecoder;
use super::super::settings::TimestampColumns;
use super::*;

fn column(data_type: &DataType, cql: CqlType) -> Column {
    Column { name: "c".into(), data_type: data_type.clone(), cql }
}

fn bytes(array: ArrayRef, cql: CqlType) -> Vec<Option<Vec<u8>>> {
    let column = column(array.data_type(), cql);
    let cells = Cells::new(&array, &column).unwrap();
    (0..array.len()).map(|row| cells.value(row, &mut Scratch::default()).map(<[u8]>::to_vec)).collect()
}

/// What the bytes of `array` are read as, as `data_type`.
fn read_back(cells: &[Option<Vec<u8>>], data_type: &DataType, cql: CqlType) -> Result<ArrayRef> {
    let schema = Arc::new(Schema::new(vec![Field::new("c", data_type.clone(), true)]));
    let mut decoder = RowDecoder::new([column(data_type, cql)], &schema, false)?;
    for cell in cells {
        decoder.push(&[cell.as_deref()], 0)?;
    }
    Ok(decoder.finish()?.column(0).clone())
}

#[test]
fn values_are_those_of_the_protocol() {
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(-2), None]));
    assert_eq!(bytes(ints, CqlType::Int), [Some(vec![0xFF, 0xFF, 0xFF, 0xFE]), None]);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, -1]));
    assert_eq!(bytes(dates, CqlType::Date), [Some(vec![0x80, 0, 0, 0]), Some(vec![0x7F, 0xFF, 0xFF, 0xFF])]);
    let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![0, 127, 128, -128, -129]).with_precision_and_scale(10, 2).unwrap());
    let digits: Vec<Vec<u8>> = bytes(decimals, CqlType::Decimal).into_iter().map(|v| v.unwrap()[4..].to_vec()).collect();
    assert_eq!(digits, [vec![0], vec![127], vec![0, 128], vec![0x80], vec![0xFF, 0x7F]]);
}

#[test]
fn decimals_keep_every_digit() {
    let most = 10_i128.pow(38) - 1;
    let array: ArrayRef =
        Arc::new(Decimal128Array::from(vec![Some(most), Some(-most), Some(0), None]).with_precision_and_scale(38, 6).unwrap());
    let data_type = array.data_type().clone();
    assert_eq!(&read_back(&bytes(array.clone(), CqlType::Decimal), &data_type, CqlType::Decimal).unwrap(), &array);
}

#[test]
fn decimals_of_another_scale_are_read_only_without_a_loss() {
    let cell = |scale: i32, unscaled: i64| Some([scale.to_be_bytes().as_slice(), shortest(&unscaled.to_be_bytes())].concat());
    let read = |cell: Option<Vec<u8>>| read_back(&[cell], &DataType::Decimal128(5, 2), CqlType::Decimal);
    let value = |array: ArrayRef| array.as_primitive::<arrow::datatypes::Decimal128Type>().value(0);
    assert_eq!(value(read(cell(0, 7)).unwrap()), 700);
    assert_eq!(value(read(cell(4, 71_500)).unwrap()), 715);
    assert_eq!(value(read(cell(-1, 7)).unwrap()), 7_000);
    assert_eq!(value(read(cell(1_000_000, 0)).unwrap()), 0);
    for (scale, unscaled) in [(3, 1_234), (0, 1_000), (-30, 1)] {
        assert_eq!(read(cell(scale, unscaled)).unwrap_err().kind(), ErrorKind::InvalidInput, "{unscaled} at scale {scale}");
    }
}

#[test]
fn a_timestamp_of_milliseconds_refuses_what_is_finer() {
    let micros = |values: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC")) };
    let column = column(&timestamp_type(), CqlType::Timestamp);
    let whole = bytes(micros(vec![-5_000, 1_704_067_200_000_000]), CqlType::Timestamp);
    assert_eq!(whole[0].as_deref(), Some((-5_i64).to_be_bytes().as_slice()));
    assert_eq!(&read_back(&whole, &timestamp_type(), CqlType::Timestamp).unwrap(), &micros(vec![-5_000, 1_704_067_200_000_000]));
    let error = Cells::new(&micros(vec![1_000, 1_001]), &column).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("date_trunc"), "{error}");
}

#[test]
fn integers_are_read_from_narrower_columns() {
    let read = |cell: &[u8], data_type: DataType, cql| read_back(&[Some(cell.to_vec())], &data_type, cql).unwrap();
    assert_eq!(read(&[0xFE], DataType::Int64, CqlType::TinyInt).as_primitive::<arrow::datatypes::Int64Type>().value(0), -2);
    assert_eq!(read(&[0, 200], DataType::Int16, CqlType::Varint).as_primitive::<arrow::datatypes::Int16Type>().value(0), 200);
    assert!(read_back(&[Some(vec![0, 200])], &DataType::Int8, CqlType::Varint).is_err(), "200 is no TINYINT");
    assert!(read_back(&[Some(Vec::new())], &DataType::Int32, CqlType::Int).unwrap().is_null(0), "an empty value is null");
}

#[test]
fn uuids_are_strings_in_the_canonical_form() {
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    let array: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None]));
    let cells = bytes(array.clone(), CqlType::Uuid);
    assert_eq!(cells[0].as_deref().map(<[u8]>::len), Some(16));
    assert_eq!(&read_back(&cells, &DataType::Utf8, CqlType::Uuid).unwrap(), &array);
    for bad in ["", "00112233445566778899aabbccddeeff", "0011223x-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddee é"] {
        let array: ArrayRef = Arc::new(StringArray::from(vec![bad]));
        assert!(Cells::new(&array, &column(&DataType::Utf8, CqlType::Uuid)).is_err(), "{bad:?}");
    }
}

#[test]
fn nested_values_come_back_with_their_nulls() {
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None, Some(-3)]);
    lists.append_null();
    lists.append_value([]);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    maps.keys().append_value("}\"\n{");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    maps.append(true).unwrap();
    for array in [Arc::new(lists.finish()) as ArrayRef, Arc::new(maps.finish())] {
        let created = Column::created("c", array.data_type(), TimestampColumns::Bigint).unwrap();
        assert_eq!(created.cql, CqlType::Text);
        let cells = bytes(array.clone(), CqlType::Text);
        assert_eq!(cells[1], None);
        assert_eq!(&read_back(&cells, array.data_type(), CqlType::Text).unwrap(), &array);
    }
}

#[test]
fn a_key_value_that_does_not_fit_is_refused() {
    let day = column(&DataType::Date32, CqlType::Date);
    assert_eq!(key_value(&Value::Date(1), &day).unwrap(), Some(vec![0x80, 0, 0, 1]));
    assert_eq!(key_value(&Value::Int(1), &day).unwrap_err().kind(), ErrorKind::InvalidInput);
    let narrow = column(&DataType::Int64, CqlType::Int);
    assert!(key_value(&Value::Int(i64::MAX), &narrow).is_err(), "an int column can't hold it");
}
