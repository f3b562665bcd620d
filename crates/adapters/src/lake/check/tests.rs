#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use millstream_testkit::tables;

use super::*;

#[test]
fn what_parquet_or_spark_does_not_have_is_named() {
    check_table(&tables::lake("t")).unwrap();
    let with = |data_type| TableSpec { schema: Arc::new(Schema::new(vec![Field::new("c", data_type, true)])), ..tables::lake("t") };
    for data_type in [DataType::UInt64, DataType::Duration(TimeUnit::Second), DataType::Null, DataType::Struct(Vec::<Field>::new().into())]
    {
        let error = check_table(&with(data_type)).unwrap_err().to_string();
        assert!(error.contains("column c of lake table t is a"), "{error}");
    }
    let nested = DataType::List(Arc::new(Field::new("item", DataType::Decimal128(38, 38), true)));
    check_table(&with(nested)).unwrap();
}

#[test]
fn a_ttl_is_refused() {
    let error = check_table(&tables::with_ttl(tables::lake("t"), Duration::from_secs(1))).unwrap_err().to_string();
    assert!(error.contains("take ttl out"), "{error}");
}
