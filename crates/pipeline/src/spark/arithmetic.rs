//! Spark's arithmetic in ANSI mode: overflow and division by zero are errors, `/` is never integral, `DIV` always is.
//!
//! Source: Spark 4.1, "ANSI Compliance" (`sql-ref-ansi-compliance`), sections Arithmetic Operations and Type Promotion.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::cast;
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::decimal;

/// An operator of Spark's arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: DOUBLE for integers
    Divide,
    /// `DIV`: BIGINT
    IntegralDivide,
    /// `%`
    Remainder,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Add, Self::Subtract, Self::Multiply, Self::Divide, Self::IntegralDivide, Self::Remainder];

    /// How it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::IntegralDivide => "DIV",
            Self::Remainder => "%",
        }
    }

    /// The operator that the function `name` stands for in a plan.
    #[must_use]
    pub fn of_function(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.function_name() == name)
    }

    fn function_name(self) -> &'static str {
        match self {
            Self::Add => "spark_add",
            Self::Subtract => "spark_subtract",
            Self::Multiply => "spark_multiply",
            Self::Divide => "spark_divide",
            Self::IntegralDivide => "spark_integral_divide",
            Self::Remainder => "spark_remainder",
        }
    }

    fn divides(self) -> bool {
        matches!(self, Self::Divide | Self::IntegralDivide | Self::Remainder)
    }
}

/// The scalar function that stands for an operator of numbers in a plan.
#[must_use]
pub fn function(operation: Operation) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Arithmetic { operation, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.function_name()
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("({left} {} {right})", self.operation.symbol())),
            _ => Ok(self.name().to_owned()),
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("({} {} {})", left.schema_name(), self.operation.symbol(), right.schema_name())),
            _ => Ok(self.name().to_owned()),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else {
            return plan_err!("{} takes two operands", self.operation.symbol());
        };
        let (left, right) = operand_types(self.operation, left, right)?;
        Ok(vec![left, right])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = types else {
            return plan_err!("{} takes two operands", self.operation.symbol());
        };
        // The types may not be coerced yet.
        let (left, _right) = match (left, right) {
            (DataType::Decimal128(..), DataType::Decimal128(..)) => (left.clone(), right.clone()),
            _ => operand_types(self.operation, left, right)?,
        };
        match (&left, &_right) {
            _ if self.operation == Operation::IntegralDivide => Ok(DataType::Int64),
            (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => {
                Ok(decimal::result_type(self.operation, (*p1, *s1), (*p2, *s2)))
            }
            _ => Ok(left),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            return exec_err!("{} takes two operands", self.operation.symbol());
        };
        let scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let result = match (left, right) {
            (ColumnarValue::Array(l), ColumnarValue::Scalar(r)) if !r.is_null() && !args.return_type().is_decimal() => {
                compute(self.operation, l, &r.to_scalar()?)?
            }
            (ColumnarValue::Scalar(l), ColumnarValue::Array(r)) if !l.is_null() && !args.return_type().is_decimal() => {
                compute(self.operation, &l.to_scalar()?, r)?
            }
            _ => {
                let rows = if scalar { 1 } else { args.number_rows };
                let (l, r) = (left.to_array(rows)?, right.to_array(rows)?);
                compute(self.operation, &l, &r)?
            }
        };
        let result = if result.data_type() == args.return_type() { result } else { cast(&result, args.return_type())? };
        if scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)) } else { Ok(ColumnarValue::Array(result)) }
    }
}

fn compute(operation: Operation, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef> {
    let decimals = left.get().0.data_type().is_decimal() && right.get().0.data_type().is_decimal();
    if decimals {
        // Scalars are expanded by the caller: `invoke_with_args` passes arrays for decimals.
        return Ok(decimal::compute(operation, left.get().0.as_primitive(), right.get().0.as_primitive())?);
    }
    if operation.divides() {
        refuse_zero_divisor(left, right)?;
    }
    let result = match operation {
        Operation::Add => numeric::add(left, right),
        Operation::Subtract => numeric::sub(left, right),
        Operation::Multiply => numeric::mul(left, right),
        Operation::Divide | Operation::IntegralDivide => numeric::div(left, right),
        Operation::Remainder => numeric::rem(left, right),
    };
    Ok(result?)
}

/// Arrow's kernels refuse a zero divisor for integers alone; Spark refuses it for floating point too, unless the dividend is null.
fn refuse_zero_divisor(left: &dyn Datum, right: &dyn Datum) -> Result<(), ArrowError> {
    let (dividend, _) = left.get();
    let (divisor, divisor_is_scalar) = right.get();
    let is_zero: Box<dyn Fn(usize) -> bool> = match divisor.data_type() {
        DataType::Float64 => {
            let values = divisor.as_primitive::<Float64Type>();
            Box::new(move |i| values.is_valid(i) && values.value(i) == 0.0)
        }
        DataType::Float32 => {
            let values = divisor.as_primitive::<Float32Type>();
            Box::new(move |i| values.is_valid(i) && values.value(i) == 0.0)
        }
        _ => return Ok(()),
    };
    let (_, dividend_is_scalar) = left.get();
    if divisor_is_scalar {
        return if is_zero(0) && dividend.null_count() < dividend.len() { Err(ArrowError::DivideByZero) } else { Ok(()) };
    }
    let zero = (0..divisor.len()).any(|i| is_zero(i) && dividend.is_valid(if dividend_is_scalar { 0 } else { i }));
    if zero { Err(ArrowError::DivideByZero) } else { Ok(()) }
}

/// The types to which Spark's ANSI type promotion brings both operands.
fn operand_types(operation: Operation, left: &DataType, right: &DataType) -> Result<(DataType, DataType)> {
    use DataType::{Decimal128, Float64, Int64, Null};
    let is_text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    if is_text(left) && is_text(right) {
        return plan_err!("{} needs numbers, but has two STRINGs: cast one of them", operation.symbol());
    }
    let (Some(l), Some(r)) = (numeric_type(left, right), numeric_type(right, left)) else {
        return plan_err!("{} needs numbers, but has {left} and {right}", operation.symbol());
    };
    Ok(match (&l, &r) {
        (Null, Null) if operation == Operation::IntegralDivide => (Int64, Int64),
        (Null, Null) => (Float64, Float64),
        (Decimal128(..), Decimal128(..)) => (l, r),
        (Decimal128(..), other) if other.is_integer() => {
            let other = decimal::of_integer(other);
            (l, other)
        }
        (other, Decimal128(..)) if other.is_integer() => (decimal::of_integer(other), r),
        (l, r) if l.is_integer() && r.is_integer() => match operation {
            Operation::Divide => (Float64, Float64),
            Operation::IntegralDivide => (Int64, Int64),
            _ => {
                let wider = wider_integer(l, r);
                (wider.clone(), wider)
            }
        },
        _ if operation == Operation::IntegralDivide => return plan_err!("DIV needs integers, but has {left} and {right}"),
        (DataType::Float32, DataType::Float32) if operation != Operation::Divide => (l, r),
        _ => (Float64, Float64),
    })
}

/// `of` as a number beside `other`: a string becomes what it is calculated with, a null takes the other's type.
fn numeric_type(of: &DataType, other: &DataType) -> Option<DataType> {
    match of {
        DataType::Null if other.is_numeric() => Some(other.clone()),
        DataType::Null => Some(DataType::Null),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 if other.is_integer() => Some(DataType::Int64),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Some(DataType::Float64),
        DataType::UInt8 => Some(DataType::Int16),
        DataType::UInt16 => Some(DataType::Int32),
        DataType::UInt32 | DataType::UInt64 => Some(DataType::Int64),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => Some(DataType::Decimal128(*p, *s)),
        DataType::Decimal256(..) => None,
        numeric if numeric.is_numeric() => Some(numeric.clone()),
        _ => None,
    }
}

fn wider_integer(left: &DataType, right: &DataType) -> DataType {
    let rank = |t: &DataType| match t {
        DataType::Int8 => 0,
        DataType::Int16 => 1,
        DataType::Int32 => 2,
        _ => 3,
    };
    if rank(left) >= rank(right) { left.clone() } else { right.clone() }
}
