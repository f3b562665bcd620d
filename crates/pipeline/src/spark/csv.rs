//! `from_csv` and `to_csv`. As those of [`json`](super::json), a schema is a constant text, and options follow the other arguments, key and value by
//! turns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::decode::{CsvValues, ParseMode};
use millstream_core::encode;
use millstream_core::pattern::TimePattern;
use millstream_core::style::TextStyle;

use super::constant_texts;
use super::json::all_nullable;
use crate::plan::column_type;
use crate::syntax::type_names;

/// Both functions.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::FromCsv, Kind::ToCsv]
        .map(|kind| Arc::new(ScalarUDF::from(CsvFunction { kind, signature: Signature::user_defined(Volatility::Immutable) })))
        .into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    FromCsv,
    ToCsv,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CsvFunction {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for CsvFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::FromCsv => "from_csv",
            Kind::ToCsv => "to_csv",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null);
        match (self.kind, types) {
            (Kind::FromCsv, [_, _, ..]) if types.iter().all(is_text) => Ok(vec![DataType::Utf8; types.len()]),
            (Kind::FromCsv, _) => plan_err!("from_csv() takes a STRING, a schema such as 'id BIGINT, name STRING', and a map of options"),
            (Kind::ToCsv, [value @ DataType::Struct(_), rest @ ..]) if rest.iter().all(is_text) => {
                let value = column_type(value).filter(encode::has_csv);
                let value = value.ok_or_else(|| plan_datafusion_err!("to_csv() takes a struct of plain values, with nothing nested"))?;
                Ok(std::iter::once(value).chain(rest.iter().map(|_| DataType::Utf8)).collect())
            }
            (Kind::ToCsv, _) => plan_err!("to_csv() takes a struct, and a map of options"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        match self.kind {
            Kind::FromCsv => plan_err!("from_csv() needs a constant schema"),
            Kind::ToCsv => Ok(DataType::Utf8),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let texts = args.scalar_arguments.iter().skip(1).map(|argument| match argument {
            Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text))) => {
                Some(text.as_str())
            }
            _ => None,
        });
        let Some(texts) = texts.collect::<Option<Vec<_>>>() else {
            return plan_err!("{}() needs constant texts behind its value", self.name());
        };
        // Of a single field nothing may be written, which is null.
        let may_be_null = |f: &FieldRef| f.is_nullable() || !matches!(f.data_type(), DataType::Struct(fields) if fields.len() > 1);
        let nullable = args.arg_fields.first().is_none_or(may_be_null);
        match (self.kind, texts.as_slice()) {
            (Kind::FromCsv, [schema, options @ ..]) => {
                let data_type = schema_type(schema)?;
                reader(&data_type, options)?;
                Ok(Arc::new(Field::new(self.name(), data_type, true)))
            }
            (Kind::FromCsv, []) => plan_err!("from_csv() needs a constant schema, such as 'id BIGINT, name STRING'"),
            (Kind::ToCsv, options) => {
                Options::of(self.kind, options)?;
                Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_field.data_type();
        constant_texts::call(self.name(), &args, |values, texts| self.evaluate(values, texts, data_type))
    }
}

impl CsvFunction {
    fn evaluate(&self, values: &ArrayRef, texts: &[&str], data_type: &DataType) -> Result<ArrayRef> {
        let failed = |error: millstream_core::Error| exec_datafusion_err!("{}", error.message());
        match (self.kind, texts) {
            (Kind::FromCsv, [_, options @ ..]) => reader(data_type, options)?.read(values.as_string::<i32>().iter()).map_err(failed),
            (Kind::ToCsv, options) => {
                let options = Options::of(self.kind, options)?;
                Ok(Arc::new(encode::to_csv(values.as_struct(), &options.style).map_err(failed)?))
            }
            (Kind::FromCsv, []) => exec_err!("from_csv() needs a schema"),
        }
    }
}

/// The struct that a schema's text says; as in Spark, everything in it may be null.
fn schema_type(schema: &str) -> Result<DataType> {
    match type_names::parse_ddl(schema) {
        Ok(data_type @ DataType::Struct(_)) => Ok(all_nullable(&data_type)),
        Ok(_) => plan_err!("from_csv() gives a struct: write its schema as 'name TYPE, ...'"),
        Err(why) => plan_err!("from_csv() can't read its schema: {why}"),
    }
}

fn reader(data_type: &DataType, options: &[&str]) -> Result<CsvValues> {
    let DataType::Struct(fields) = data_type else { return plan_err!("from_csv() gives a struct") };
    let Options { style, mode, corrupt_record } = Options::of(Kind::FromCsv, options)?;
    let values = CsvValues::try_new(fields, style.csv, style.times, mode, &corrupt_record);
    values.map_err(|e| plan_datafusion_err!("from_csv(): {}", e.message()))
}

/// The options of a call.
struct Options {
    style: TextStyle,
    mode: ParseMode,
    corrupt_record: String,
}

impl Options {
    /// `texts` are keys and values by turns.
    fn of(kind: Kind, texts: &[&str]) -> Result<Self> {
        let mut options = Self { style: TextStyle::default(), mode: ParseMode::Permissive, corrupt_record: "_corrupt_record".to_owned() };
        options.style.csv.of_function = true;
        let (reads, name) = match kind {
            Kind::FromCsv => (true, "from_csv"),
            Kind::ToCsv => (false, "to_csv"),
        };
        for pair in texts.chunks(2) {
            let [key, value] = pair else { return plan_err!("an option of {name}() has no value") };
            let wrong = |why: &str| plan_datafusion_err!("'{value}' is not a value of '{key}': {why}");
            let pattern = || {
                let pattern = TimePattern::try_new(value).map_err(|why| wrong(&why))?;
                if reads && !pattern.can_read() {
                    return Err(wrong("the name of a day can't be read"));
                }
                Ok(Some(pattern))
            };
            let character = || match value.as_bytes() {
                [] if reads => Ok(None),
                [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r') => Ok(Some(*byte)),
                _ => Err(wrong("it is one character of ASCII, no letter or digit")),
            };
            let flag = || match value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(wrong("it is 'true' or 'false'")),
            };
            let text = || (*value).to_owned();
            let csv = &mut options.style.csv;
            match key.to_ascii_lowercase().as_str() {
                "dateformat" => options.style.times.date = pattern()?,
                "timestampformat" => options.style.times.timestamp = pattern()?,
                "timestampntzformat" => options.style.times.timestamp_ntz = pattern()?,
                "sep" | "delimiter" if value.is_empty() || value.contains(['\n', '\r']) => {
                    return Err(wrong("something on the line has to stand between two values"));
                }
                "sep" | "delimiter" => csv.separator = text(),
                "quote" => csv.quote = character()?,
                "escape" => csv.escape = character()?,
                "nullvalue" => csv.null_value = text(),
                "emptyvalue" => csv.empty_value = Some(text()),
                "quoteall" if !reads => csv.quotes_all = flag()?,
                "nanvalue" if reads => csv.nan = text(),
                "positiveinf" if reads => csv.positive_infinity = text(),
                "negativeinf" if reads => csv.negative_infinity = text(),
                "ignoreleadingwhitespace" if reads => csv.ignores_leading_space = flag()?,
                "ignoretrailingwhitespace" if reads => csv.ignores_trailing_space = flag()?,
                "columnnameofcorruptrecord" if reads => options.corrupt_record = text(),
                "mode" if reads => {
                    options.mode = match value.to_ascii_lowercase().as_str() {
                        "permissive" => ParseMode::Permissive,
                        "failfast" => ParseMode::DeadLetter,
                        _ => return Err(wrong("it is 'PERMISSIVE' or 'FAILFAST'")),
                    }
                }
                _ => return plan_err!("there is no option '{key}' of {name}()"),
            }
        }
        Ok(options)
    }
}
