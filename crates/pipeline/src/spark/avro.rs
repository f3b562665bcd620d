//! `from_avro(bytes, schema)`: bytes as a value of the type that an Avro schema (its JSON, a constant) says. The third argument is a map of options:
//! `mode`, `FAILFAST` (as in Spark the default: bytes that aren't such a value are an error) or `PERMISSIVE` (they are null).

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::decode::avro::{AvroSchema, AvroValues};

/// The function.
#[must_use]
pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(FromAvro { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FromAvro {
    signature: Signature,
}

impl ScalarUDFImpl for FromAvro {
    fn name(&self) -> &str {
        "from_avro"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Binary | DataType::Null, texts @ ..] if texts.len() == 1 || texts.len() == 3 => {
                Ok(std::iter::once(DataType::Binary).chain(texts.iter().map(|_| DataType::Utf8)).collect())
            }
            _ => plan_err!("from_avro() takes BINARY, the JSON of an Avro schema, and a map of options"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        plan_err!("from_avro() needs a constant schema")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let texts = args.scalar_arguments.iter().skip(1).map(|argument| match argument {
            Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text))) => {
                Some(text.as_str())
            }
            _ => None,
        });
        let Some(texts) = texts.collect::<Option<Vec<_>>>() else { return plan_err!("from_avro() needs a constant schema and options") };
        let values = values(&texts)?;
        Ok(Arc::new(Field::new(self.name(), values.data_type().clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args.args.iter().skip(1).map(|arg| match arg {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) => Ok(text.as_str()),
            _ => exec_err!("from_avro() needs a constant schema and options"),
        });
        let values = values(&texts.collect::<Result<Vec<_>>>()?)?;
        let Some(bytes) = args.args.first() else { return exec_err!("from_avro() needs bytes") };
        let array = bytes.to_array(if matches!(bytes, ColumnarValue::Scalar(_)) { 1 } else { args.number_rows })?;
        let read = values.read(array.as_binary::<i32>().iter()).map_err(|e| exec_datafusion_err!("{}", e.message()))?;
        match bytes {
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(read)),
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?)),
        }
    }
}

/// The reader that the schema and the options say.
fn values(texts: &[&str]) -> Result<AvroValues> {
    let (schema, lenient) = match texts {
        [schema] => (schema, false),
        [schema, key, mode] if key.eq_ignore_ascii_case("mode") => match mode.to_ascii_lowercase().as_str() {
            "failfast" => (schema, false),
            "permissive" => (schema, true),
            _ => return plan_err!("'{mode}' is not a value of 'mode': it is 'FAILFAST' or 'PERMISSIVE'"),
        },
        _ => return plan_err!("from_avro() takes a schema and the option 'mode'"),
    };
    let schema = AvroSchema::try_new(schema).map_err(|why| plan_datafusion_err!("from_avro() can't read its schema: {why}"))?;
    AvroValues::try_new(&schema, lenient).map_err(|e| plan_datafusion_err!("from_avro(): {}", e.message()))
}
