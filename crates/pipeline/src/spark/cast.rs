//! Casts where Spark's ANSI mode differs from Arrow's: between times and numbers, times and text, floating point and text.
//!
//! Source: Spark 4.1, "ANSI Compliance", section Cast. A cast that fails is an error, with `try_cast` null.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::logical_expr::{cast as cast_expr, lit, try_cast};
use millstream_core::table::timestamp_type;

use super::arithmetic::Operation;
use super::castable::Class;
use super::{calls, datetime, decimal, planner};
use crate::plan::expressions;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Puts Spark's casts and negation in the place of Arrow's, in a plan whose types are coerced.
pub(crate) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    expressions::rewrite(plan, &|expr, schema| expr.transform_up(|e| rewrite_expr(e, schema)))
}

fn rewrite_expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(function) = &expr
        && let Some(cast) = calls::with_casts(function, schema)
    {
        return Ok(Transformed::yes(cast));
    }
    let (inner, target, safe) = match &expr {
        Expr::Cast(c) => (&c.expr, c.field.data_type(), false),
        Expr::TryCast(c) => (&c.expr, c.field.data_type(), true),
        // Arrow's negation wraps around.
        Expr::Negative(inner) if inner.get_type(schema).is_ok_and(|t| t.is_signed_integer()) => {
            let zero = cast_expr(lit(0_i32), inner.get_type(schema)?);
            return Ok(Transformed::yes(planner::call(Operation::Subtract, zero, inner.as_ref().clone())));
        }
        _ => return Ok(Transformed::no(expr)),
    };
    let Ok(from) = inner.get_type(schema) else { return Ok(Transformed::no(expr)) };
    if let (Some(from), Some(to)) = (Class::of(&from), Class::of(target))
        && !from.becomes(to)
    {
        return plan_err!("a {} can't be cast to {}", from.noun(), to.noun());
    }
    match (&from, target) {
        // Arrow has no casts between these.
        (DataType::Boolean, DataType::Decimal128(..)) => {
            let number = cast_expr(inner.as_ref().clone(), DataType::Int32);
            return Ok(Transformed::yes(cast_expr(number, target.clone())));
        }
        (DataType::Decimal128(precision, scale), DataType::Boolean) => {
            let zero = Expr::Literal(ScalarValue::Decimal128(Some(0), *precision, *scale), None);
            return Ok(Transformed::yes(inner.as_ref().clone().not_eq(zero)));
        }
        _ => {}
    }
    if from == DataType::Utf8 && target.is_numeric() && !target.is_decimal() {
        if matches!(inner.as_ref(), Expr::ScalarFunction(f) if f.func.name() == "btrim") {
            return Ok(Transformed::no(expr));
        }
        let trimmed = Expr::ScalarFunction(ScalarFunction::new_udf(datafusion::functions::string::btrim(), vec![inner.as_ref().clone()]));
        let rewritten = if safe { try_cast(trimmed, target.clone()) } else { cast_expr(trimmed, target.clone()) };
        return Ok(Transformed::yes(rewritten));
    }
    let Some(kind) = Kind::of(&from, target) else { return Ok(Transformed::no(expr)) };
    let argument = if from.is_integer() && from != DataType::Int64 {
        cast_expr(inner.as_ref().clone(), DataType::Int64)
    } else {
        inner.as_ref().clone()
    };
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function(kind, safe), vec![argument]));
    let call = if *target == kind.result() {
        call
    } else if safe {
        try_cast(call, target.clone())
    } else {
        cast_expr(call, target.clone())
    };
    Ok(Transformed::yes(call))
}

/// A cast that Arrow does otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    ToTimestamp,
    ToDate,
    TimestampToString,
    FloatToString,
    TimestampToSeconds,
    TimestampToDouble,
    TimestampToDecimal,
    SecondsToTimestamp,
    FractionToTimestamp,
    ToDecimal(u8, i8),
    ToBoolean,
    BinaryToString,
}

impl Kind {
    fn of(from: &DataType, to: &DataType) -> Option<Self> {
        let timestamp = |t: &DataType| matches!(t, DataType::Timestamp(TimeUnit::Microsecond, Some(_)));
        match (from, to) {
            (DataType::Utf8, to) if timestamp(to) => Some(Self::ToTimestamp),
            (DataType::Utf8, DataType::Date32) => Some(Self::ToDate),
            (from, DataType::Date32) if timestamp(from) => Some(Self::ToDate),
            (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Utf8) => Some(Self::TimestampToString),
            (DataType::Utf8 | DataType::Float32 | DataType::Float64, DataType::Decimal128(precision, scale)) => {
                Some(Self::ToDecimal(*precision, *scale))
            }
            (DataType::Utf8, DataType::Boolean) => Some(Self::ToBoolean),
            (DataType::Binary, DataType::Utf8) => Some(Self::BinaryToString),
            (DataType::Float32 | DataType::Float64 | DataType::Decimal128(..), to) if timestamp(to) => Some(Self::FractionToTimestamp),
            (from, DataType::Decimal128(..)) if timestamp(from) => Some(Self::TimestampToDecimal),
            (DataType::Float32 | DataType::Float64, DataType::Utf8) => Some(Self::FloatToString),
            (from, to) if timestamp(from) && to.is_integer() => Some(Self::TimestampToSeconds),
            (from, to) if timestamp(from) && to.is_floating() => Some(Self::TimestampToDouble),
            (from, to) if from.is_integer() && timestamp(to) => Some(Self::SecondsToTimestamp),
            _ => None,
        }
    }

    fn result(self) -> DataType {
        match self {
            Self::ToTimestamp | Self::SecondsToTimestamp | Self::FractionToTimestamp => timestamp_type(),
            Self::ToDate => DataType::Date32,
            Self::TimestampToString | Self::FloatToString | Self::BinaryToString => DataType::Utf8,
            Self::TimestampToDecimal => DataType::Decimal128(20, 6),
            Self::ToDecimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::ToBoolean => DataType::Boolean,
            Self::TimestampToSeconds => DataType::Int64,
            Self::TimestampToDouble => DataType::Float64,
        }
    }

    fn sql_type(self) -> &'static str {
        match self {
            Self::ToTimestamp | Self::SecondsToTimestamp | Self::FractionToTimestamp => "TIMESTAMP",
            Self::ToDate => "DATE",
            Self::TimestampToString | Self::FloatToString | Self::BinaryToString => "STRING",
            Self::TimestampToDecimal | Self::ToDecimal(..) => "DECIMAL",
            Self::ToBoolean => "BOOLEAN",
            Self::TimestampToSeconds => "BIGINT",
            Self::TimestampToDouble => "DOUBLE",
        }
    }
}

/// What `call` casts its argument to, and by which word, if it is a cast of Spark's that no cast of DataFusion's does.
pub(crate) fn written(call: &ScalarFunction) -> Option<(&'static str, DataType)> {
    let cast = (call.func.inner().as_ref() as &dyn Any).downcast_ref::<SparkCast>()?;
    Some((if cast.safe { "TRY_CAST" } else { "CAST" }, cast.kind.result()))
}

fn function(kind: Kind, safe: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(SparkCast { kind, safe, signature: Signature::any(1, Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SparkCast {
    kind: Kind,
    /// Whether a failure is null.
    safe: bool,
    signature: Signature,
}

impl ScalarUDFImpl for SparkCast {
    fn name(&self) -> &str {
        if self.safe { "spark_try_cast" } else { "spark_cast" }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let word = if self.safe { "TRY_CAST" } else { "CAST" };
        match args {
            [argument] => Ok(format!("{word}({argument} AS {})", self.kind.sql_type())),
            _ => plan_err!("a cast takes one argument"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.kind.result())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // NaN and the infinities are no decimals, and become null.
        let nullable = self.safe || args.arg_fields.iter().any(|f| f.is_nullable() || f.data_type().is_floating());
        Ok(Arc::new(Field::new(self.name(), self.kind.result(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return exec_err!("a cast takes one argument");
        };
        let (array, scalar) = match argument {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let result = if self.safe { self.convert_each(&array)? } else { convert(self.kind, &array)? };
        if scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)) } else { Ok(ColumnarValue::Array(result)) }
    }
}

impl SparkCast {
    /// Row by row where the batch as a whole can't be converted, so that only the rows at fault are null.
    fn convert_each(&self, array: &ArrayRef) -> Result<ArrayRef> {
        if let Ok(all) = convert(self.kind, array) {
            return Ok(all);
        }
        let null = ScalarValue::try_from(self.kind.result())?;
        let rows = (0..array.len()).map(|row| {
            let converted = convert(self.kind, &array.slice(row, 1)).ok();
            converted.and_then(|one| ScalarValue::try_from_array(&one, 0).ok()).unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(rows)
    }
}

fn convert(kind: Kind, array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match kind {
        Kind::ToTimestamp => datetime::to_timestamp(array)?,
        Kind::ToDate => datetime::to_date(array)?,
        Kind::TimestampToString => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            let texts: Result<StringArray> = times.iter().map(|t| t.map(timestamp_text).transpose()).collect();
            Arc::new(texts?)
        }
        Kind::FloatToString => Arc::new(float_texts(array)),
        Kind::TimestampToSeconds => {
            let seconds: Int64Array = array.as_primitive::<TimestampMicrosecondType>().unary(|t| t.div_euclid(MICROS_PER_SECOND));
            Arc::new(seconds)
        }
        Kind::TimestampToDouble => {
            let micros = cast(array, &DataType::Int64)?;
            let micros = cast(&micros, &DataType::Float64)?;
            let seconds: Float64Array = micros.as_primitive::<Float64Type>().unary(|t| t / 1e6);
            Arc::new(seconds)
        }
        Kind::SecondsToTimestamp => {
            // What is beyond the last microsecond is the last microsecond.
            let times: TimestampMicrosecondArray = array.as_primitive::<Int64Type>().unary(|s| s.saturating_mul(MICROS_PER_SECOND));
            Arc::new(times.with_timezone("UTC"))
        }
        Kind::FractionToTimestamp => Arc::new(times_of_fractions(array)?.with_timezone("UTC")),
        Kind::TimestampToDecimal => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            Arc::new(times.unary::<_, Decimal128Type>(i128::from).with_precision_and_scale(20, 6)?)
        }
        Kind::ToDecimal(precision, scale) => Arc::new(decimals(array, precision, scale)?),
        Kind::ToBoolean => {
            let texts = array.as_string::<i32>().iter().map(|text| text.map(truth).transpose());
            Arc::new(texts.collect::<Result<BooleanArray>>()?)
        }
        Kind::BinaryToString => {
            // Text is UTF-8: other bytes are shown as U+FFFD.
            let texts = array.as_binary::<i32>().iter().map(|bytes| bytes.map(String::from_utf8_lossy));
            Arc::new(texts.collect::<StringArray>())
        }
    })
}

/// Seconds with a fraction as times; digits after the sixth are cut off.
fn times_of_fractions(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    if let DataType::Decimal128(_, scale) = array.data_type() {
        let micros = |unscaled: i128| {
            let power = |exponent: i32| u32::try_from(exponent).map_or(1, |exponent| 10_i128.pow(exponent));
            let (up, down) = (power(6 - i32::from(*scale)), power(i32::from(*scale) - 6));
            unscaled.checked_mul(up).and_then(|v| i64::try_from(v / down).ok())
        };
        let times = array.as_primitive::<Decimal128Type>();
        return times.try_unary(|v| micros(v).ok_or_else(|| exec_datafusion_err!("the DECIMAL is no TIMESTAMP: it overflows")));
    }
    let seconds = cast(array, &DataType::Float64)?;
    let micros = |seconds: f64| {
        let micros = seconds * 1e6;
        // The bounds of BIGINT as floating-point numbers; NaN is outside of them.
        let fits = (-9.223_372_036_854_776e18..9.223_372_036_854_776e18).contains(&micros);
        #[expect(clippy::cast_possible_truncation, reason = "it fits, and what is cut off is below a microsecond")]
        let whole = micros as i64;
        fits.then_some(whole).ok_or_else(|| exec_datafusion_err!("{seconds} seconds are no TIMESTAMP"))
    };
    seconds.as_primitive::<Float64Type>().try_unary(micros)
}

/// Texts and floating-point numbers as decimals, by their digits.
fn decimals(array: &ArrayRef, precision: u8, scale: i8) -> Result<Decimal128Array> {
    let parsed = |text: &str| {
        let value = decimal::parse(text, precision, scale);
        value.ok_or_else(|| exec_datafusion_err!("'{text}' can't be cast to DECIMAL({precision}, {scale})"))
    };
    let values: Result<Decimal128Array> = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(|text| text.map(parsed).transpose()).collect(),
        _ => {
            let numbers = cast(array, &DataType::Float64)?;
            let finite = |v: Option<f64>| v.filter(|v| v.is_finite()).map(|v| parsed(&format!("{v:e}"))).transpose();
            numbers.as_primitive::<Float64Type>().iter().map(finite).collect()
        }
    };
    Ok(values?.with_precision_and_scale(precision, scale)?)
}

fn truth(text: &str) -> Result<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "0" => Ok(false),
        _ => exec_err!("'{text}' can't be cast to BOOLEAN"),
    }
}

/// `2013-01-01 05:15:00`, with as many digits of the fraction as it has.
fn timestamp_text(micros: i64) -> Result<String> {
    let time = chrono::DateTime::from_timestamp_micros(micros).ok_or_else(|| exec_datafusion_err!("the time {micros} µs has no text"))?;
    let seconds = time.format("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = micros.rem_euclid(MICROS_PER_SECOND);
    if fraction == 0 {
        return Ok(seconds);
    }
    Ok(format!("{seconds}.{}", format!("{fraction:06}").trim_end_matches('0')))
}

fn float_texts(array: &ArrayRef) -> StringArray {
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().map(|v| v.map(|v| java_text(v.to_string(), v.into()))).collect(),
        _ => array.as_primitive_opt::<Float64Type>().map_or_else(
            || StringArray::new_null(array.len()),
            |values| values.iter().map(|v| v.map(|v| java_text(v.to_string(), v))).collect(),
        ),
    }
}

/// As Java writes a number: plain from 10^-3 up to 10^7, else with an exponent; `shortest` is Rust's plain shortest text of it.
fn java_text(shortest: String, value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return if shortest.contains('.') { shortest } else { shortest + ".0" };
    }
    let (sign, digits) = shortest.strip_prefix('-').map_or(("", shortest.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    let exponent = i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(leading).unwrap_or(0) - 1;
    let (first, rest) = significant.split_at(1.min(significant.len()));
    format!("{sign}{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest })
}
