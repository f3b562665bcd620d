#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::config::ConfigOptions;

use super::*;

fn text(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Utf8(Some(text.to_owned())))
}

/// `f(...)` over three rows: the value with all texts behind it.
fn called(args: Vec<ColumnarValue>) -> Result<ColumnarValue> {
    let field = Arc::new(Field::new("f", DataType::Utf8, true));
    let args = ScalarFunctionArgs {
        args,
        arg_fields: Vec::new(),
        number_rows: 3,
        return_field: field,
        config_options: Arc::new(ConfigOptions::default()),
    };
    call("f", &args, |values, texts| {
        let all = values.as_string::<i32>().iter().map(|value| value.map(|value| format!("{value} {}", texts.join(" "))));
        Ok(Arc::new(all.collect::<StringArray>()))
    })
}

#[test]
fn a_scalar_gives_a_scalar_and_an_array_an_array() {
    let scalar = called(vec![text("a"), text("x"), text("y")]).unwrap();
    assert!(matches!(&scalar, ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) if text == "a x y"), "{scalar:?}");
    let array: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let ColumnarValue::Array(found) = called(vec![ColumnarValue::Array(array), text("x")]).unwrap() else { panic!("no array") };
    assert_eq!(found.as_string::<i32>(), &StringArray::from(vec![Some("a x"), None, Some("b x")]));
}

#[test]
fn what_is_no_constant_text_is_refused_by_the_name_of_the_function() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["x"; 3]));
    let wrong = |args| called(args).unwrap_err().to_string();
    assert!(wrong(vec![text("a"), ColumnarValue::Array(column)]).contains("f() needs constant texts behind its value"));
    assert!(wrong(Vec::new()).contains("f() needs a value"));
}
