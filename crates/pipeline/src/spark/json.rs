//! `from_json`, `to_json` and `get_json_object`.
//!
//! The schema of `from_json` is a text (`'id BIGINT, place STRUCT<x: DOUBLE>'`), for a query's types have to be known before it runs. Options are
//! a map of texts (`map('mode', 'FAILFAST')`), which `rewrite` takes apart: here they follow the other arguments, key and value by turns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::decode::{JsonPath, JsonValues, ParseMode};
use millstream_core::encode;
use millstream_core::pattern::TimePattern;
use millstream_core::style::TimeFormats;

use super::constant_texts;
use crate::plan::column_type;
use crate::syntax::type_names;

/// Functions whose last argument is a map of options.
pub(crate) const WITH_OPTIONS: [&str; 5] = ["from_json", "to_json", "from_avro", "from_csv", "to_csv"];

/// All functions of this module.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::FromJson, Kind::ToJson, Kind::GetJsonObject]
        .map(|kind| Arc::new(ScalarUDF::from(JsonFunction { kind, signature: Signature::user_defined(Volatility::Immutable) })))
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    FromJson,
    ToJson,
    GetJsonObject,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonFunction {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::FromJson => "from_json",
            Kind::ToJson => "to_json",
            Kind::GetJsonObject => "get_json_object",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null);
        let texts = |types: &[DataType]| types.iter().all(is_text);
        match (self.kind, types) {
            (Kind::FromJson, [json, _, ..]) if is_text(json) && texts(&types[1..]) => Ok(vec![DataType::Utf8; types.len()]),
            (Kind::FromJson, _) => plan_err!("from_json() takes a STRING, a schema such as 'id BIGINT, name STRING', and a map of options"),
            (Kind::GetJsonObject, [json, path]) if is_text(json) && is_text(path) => Ok(vec![DataType::Utf8; 2]),
            (Kind::GetJsonObject, _) => plan_err!("get_json_object() takes a STRING and a path such as '$.id'"),
            (Kind::ToJson, [value, rest @ ..]) if value.is_nested() && texts(rest) => {
                let value = column_type(value).filter(encode::has_json);
                let value =
                    value.ok_or_else(|| plan_datafusion_err!("to_json() takes a struct, an array or a map of the language's types"))?;
                Ok(std::iter::once(value).chain(rest.iter().map(|_| DataType::Utf8)).collect())
            }
            (Kind::ToJson, _) => plan_err!("to_json() takes a struct, an array or a map, and a map of options"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        match self.kind {
            Kind::FromJson => plan_err!("from_json() needs a constant schema"),
            Kind::ToJson | Kind::GetJsonObject => Ok(DataType::Utf8),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let constant = |at: usize| match args.scalar_arguments.get(at) {
            Some(Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)))) => {
                Some(text.as_str())
            }
            _ => None,
        };
        let options = |from: usize| {
            let texts: Option<Vec<&str>> = (from..args.arg_fields.len()).map(constant).collect();
            let texts = texts.ok_or_else(|| plan_datafusion_err!("the options of {}() must be constant texts", self.name()))?;
            Options::of(self.kind, &texts)
        };
        let nullable = args.arg_fields.first().is_none_or(|f| f.is_nullable());
        let field = |data_type, nullable| Ok(Arc::new(Field::new(self.name(), data_type, nullable)));
        match self.kind {
            Kind::FromJson => {
                options(2)?;
                let Some(schema) = constant(1) else {
                    return plan_err!("from_json() needs a constant schema, such as 'id BIGINT, name STRING'");
                };
                field(schema_type(schema)?, true)
            }
            Kind::ToJson => {
                options(1)?;
                field(DataType::Utf8, nullable)
            }
            Kind::GetJsonObject => {
                let Some(path) = constant(1) else { return plan_err!("get_json_object() needs a constant path, such as '$.id'") };
                json_path(path)?;
                field(DataType::Utf8, true)
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type();
        constant_texts::call(self.name(), &args, |values, texts| self.evaluate(values, texts, data_type))
    }
}

impl JsonFunction {
    fn evaluate(&self, values: &ArrayRef, texts: &[&str], data_type: &DataType) -> Result<ArrayRef> {
        let failed = |error: millstream_core::Error| exec_datafusion_err!("{}", error.message());
        match (self.kind, texts) {
            (Kind::FromJson, [_, options @ ..]) => {
                let options = Options::of(self.kind, options)?;
                let reader = JsonValues::try_new(data_type, &options.times, options.mode, &options.corrupt_record).map_err(failed)?;
                reader.read(values.as_string::<i32>().iter()).map_err(failed)
            }
            (Kind::ToJson, options) => {
                let options = Options::of(self.kind, options)?;
                Ok(Arc::new(encode::to_json(values.as_ref(), &options.times).map_err(failed)?))
            }
            (Kind::GetJsonObject, [path]) => {
                let path = json_path(path)?;
                let found: StringArray = values.as_string::<i32>().iter().map(|text| path.find(text?)).collect();
                Ok(Arc::new(found))
            }
            _ => exec_err!("{}() needs other arguments", self.name()),
        }
    }
}

fn json_path(path: &str) -> Result<JsonPath> {
    JsonPath::try_new(path).map_err(|why| plan_datafusion_err!("get_json_object() can't follow the path {path}: {why}"))
}

/// The type that a schema's text says; as in Spark, everything in it may be null.
fn schema_type(schema: &str) -> Result<DataType> {
    let data_type = type_names::parse_ddl(schema).map_err(|why| plan_datafusion_err!("from_json() can't read its schema: {why}"))?;
    if !data_type.is_nested() {
        return plan_err!("from_json() gives a struct, an array or a map: write its schema as 'name TYPE, ...'");
    }
    if has_other_keys(&data_type) {
        return plan_err!("the keys of maps in JSON are strings: write MAP<STRING, ...> in the schema of from_json()");
    }
    Ok(all_nullable(&data_type))
}

fn has_other_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => has_other_keys(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_other_keys(f.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                pair.iter().any(|f| f.name() == "key" && f.data_type() != &DataType::Utf8)
                    || pair.iter().any(|f| has_other_keys(f.data_type()))
            }
            _ => false,
        },
        _ => false,
    }
}

/// The same type with everything in it nullable.
pub(super) fn all_nullable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) => DataType::List(type_names::item_field(all_nullable(item.data_type()))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| Field::new(f.name(), all_nullable(f.data_type()), true)).collect())
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                type_names::map_type(pair[0].data_type().clone(), all_nullable(pair[1].data_type()))
            }
            _ => data_type.clone(),
        },
        other => other.clone(),
    }
}

/// The options of a call.
struct Options {
    times: TimeFormats,
    mode: ParseMode,
    corrupt_record: String,
}

impl Options {
    /// `texts` are keys and values by turns.
    fn of(kind: Kind, texts: &[&str]) -> Result<Self> {
        let mut options = Self { times: TimeFormats::default(), mode: ParseMode::Permissive, corrupt_record: "_corrupt_record".to_owned() };
        for pair in texts.chunks(2) {
            let [key, value] = pair else { return plan_err!("an option of {kind:?} has no value") };
            let pattern = || {
                let pattern =
                    TimePattern::try_new(value).map_err(|why| plan_datafusion_err!("'{value}' is not a value of '{key}': {why}"))?;
                if kind == Kind::FromJson && !pattern.can_read() {
                    return plan_err!("'{value}' is not a value of '{key}': the name of a day can't be read");
                }
                Ok(Some(pattern))
            };
            match key.to_ascii_lowercase().as_str() {
                "dateformat" => options.times.date = pattern()?,
                "timestampformat" => options.times.timestamp = pattern()?,
                "timestampntzformat" => options.times.timestamp_ntz = pattern()?,
                "mode" if kind == Kind::FromJson => {
                    options.mode = match value.to_ascii_lowercase().as_str() {
                        "permissive" => ParseMode::Permissive,
                        "failfast" => ParseMode::DeadLetter,
                        _ => return plan_err!("'{value}' is not a value of 'mode': it is 'PERMISSIVE' or 'FAILFAST'"),
                    }
                }
                "columnnameofcorruptrecord" if kind == Kind::FromJson => options.corrupt_record = (*value).to_owned(),
                _ => return plan_err!("there is no option '{key}' of {}()", if kind == Kind::FromJson { "from_json" } else { "to_json" }),
            }
        }
        Ok(options)
    }
}
