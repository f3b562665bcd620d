use super::*;

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[test]
fn text_array_and_value_are_the_same_for_every_key_type() {
    let cases = [
        ("true", DataType::Boolean),
        ("-128", DataType::Int8),
        ("32767", DataType::Int16),
        ("-2147483648", DataType::Int32),
        ("9223372036854775807", DataType::Int64),
        ("Zürich", DataType::Utf8),
        ("00ff", DataType::Binary),
        ("2013-07-22", DataType::Date32),
        ("1969-12-31T23:59:59.000001Z", timestamp()),
    ];
    for (text, data_type) in cases {
        let value = Value::parse(text, &data_type).unwrap();
        let array = value.to_array(&data_type).unwrap();
        assert_eq!(array.data_type(), &data_type);
        assert_eq!(Value::at(&array, 0).unwrap(), Some(value.clone()), "{text}");
        assert_eq!(Value::parse(&value.to_string(), &data_type).unwrap(), value, "{text}");
    }
}

#[test]
fn values_that_do_not_fit_are_named() {
    let error = Value::parse("300", &DataType::Int8).unwrap_err();
    assert_eq!(error.to_string(), "\"300\" is not a TINYINT");
    assert!(Value::Int(300).to_array(&DataType::Int8).is_err());
    assert!(Value::parse("abc", &DataType::Binary).is_err());
    assert!(Value::parse("2013-02-30", &DataType::Date32).is_err());
    assert!(Value::parse("1.0", &DataType::Float64).is_err());
}

#[test]
fn numbers_without_digits_have_the_words_that_spark_has() {
    assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(not_finite), ["NaN", "Infinity", "-Infinity"]);
}
