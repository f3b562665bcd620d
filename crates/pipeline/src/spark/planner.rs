//! How operators and types of the SQL text become expressions: Spark's arithmetic for numbers, DataFusion's for dates and intervals.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, cast};
use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType as SqlType, ExactNumberInfo, TimezoneInfo};
use millstream_core::table::timestamp_type;

use super::arithmetic::{self, Operation};
use super::collections;

/// Plans `+ - * / % DIV` as Spark does.
#[derive(Debug, Default)]
pub struct SparkOperators;

impl ExprPlanner for SparkOperators {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let operation = match raw.op {
            BinaryOperator::Plus => Operation::Add,
            BinaryOperator::Minus => Operation::Subtract,
            BinaryOperator::Multiply => Operation::Multiply,
            BinaryOperator::Divide => Operation::Divide,
            BinaryOperator::Modulo => Operation::Remainder,
            BinaryOperator::MyIntegerDivide => Operation::IntegralDivide,
            _ => return Ok(PlannerResult::Original(raw)),
        };
        let (left, right) = (raw.left.get_type(schema)?, raw.right.get_type(schema)?);
        if !is_temporal(&left) && !is_temporal(&right) {
            let (left_expr, right_expr) = (beside(raw.left, &right), beside(raw.right, &left));
            return Ok(PlannerResult::Planned(call(operation, left_expr, right_expr)));
        }
        let date = matches!(left, DataType::Date32);
        match operation {
            // DATE plus or minus a number counts days.
            Operation::Add | Operation::Subtract if date && right.is_integer() => {
                let days = cast(raw.right, DataType::Int32);
                let function = if operation == Operation::Add {
                    datafusion_spark::function::datetime::date_add()
                } else {
                    datafusion_spark::function::datetime::date_sub()
                };
                Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![raw.left, days]))))
            }
            Operation::Subtract if is_moment(&left) && is_moment(&right) => {
                let instead = if date { "datediff(a, b)" } else { "unix_micros(a) - unix_micros(b)" };
                plan_err!("the difference of two times is an INTERVAL, which isn't supported: write {instead}")
            }
            // A DATE becomes a TIMESTAMP when less than days are added.
            Operation::Add | Operation::Subtract if date && has_time(&raw.right) => {
                Ok(PlannerResult::Original(RawBinaryExpr { left: cast(raw.left, timestamp_type()), ..raw }))
            }
            Operation::Add if matches!(right, DataType::Date32) && has_time(&raw.left) => {
                Ok(PlannerResult::Original(RawBinaryExpr { right: cast(raw.right, timestamp_type()), ..raw }))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }

    /// `array[place]` counts from 0, and fails beyond the array; `map[key]` is null for a key that isn't there.
    fn plan_field_access(&self, raw: RawFieldAccessExpr, schema: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let collection = raw.expr.get_type(schema)?;
        match (&collection, raw.field_access) {
            (DataType::List(_) | DataType::Map(..), GetFieldAccess::ListIndex { key }) => {
                Ok(PlannerResult::Planned(collections::item(raw.expr, *key)))
            }
            (DataType::Map(..), GetFieldAccess::NamedStructField { name }) => {
                Ok(PlannerResult::Planned(collections::item(raw.expr, Expr::Literal(name, None))))
            }
            (_, field_access) => Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr: raw.expr })),
        }
    }
}

/// Whether it is a date or a time, and no interval.
fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
}

/// Whether it is an interval with a part below days.
fn has_time(interval: &Expr) -> bool {
    matches!(interval, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.nanoseconds != 0)
}

/// An integer literal beside a decimal is a decimal of just its digits, so that the result has no more than it needs.
fn beside(literal: Expr, other: &DataType) -> Expr {
    match &literal {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) if matches!(other, DataType::Decimal128(..)) => {
            let digits = value.unsigned_abs().checked_ilog10().map_or(1, |power| power + 1);
            let precision = u8::try_from(digits).unwrap_or(19);
            Expr::Literal(ScalarValue::Decimal128(Some(i128::from(*value)), precision, 0), metadata.clone())
        }
        _ => literal,
    }
}

/// `left operation right` as the function that stands for it.
#[must_use]
pub fn call(operation: Operation, left: Expr, right: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(arithmetic::function(operation), vec![left, right]))
}

fn is_temporal(data_type: &DataType) -> bool {
    data_type.is_temporal() || matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// Plans the names of types as Spark means them, where DataFusion means something else by them or doesn't know them.
#[derive(Debug, Default)]
pub struct SparkTypes;

impl TypePlanner for SparkTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Timestamp(None, TimezoneInfo::None) => timestamp_type(),
            SqlType::TimestampNtz(None) => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlType::Binary(None) => DataType::Binary,
            SqlType::Decimal(ExactNumberInfo::None) | SqlType::Dec(ExactNumberInfo::None) | SqlType::Numeric(ExactNumberInfo::None) => {
                DataType::Decimal128(10, 0)
            }
            SqlType::Custom(name, modifiers) if modifiers.is_empty() => match name.to_string().to_lowercase().as_str() {
                "timestamp_ltz" => timestamp_type(),
                "byte" => DataType::Int8,
                "short" => DataType::Int16,
                "long" => DataType::Int64,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}
