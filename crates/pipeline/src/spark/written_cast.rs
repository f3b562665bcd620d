//! Casts that stand in the names of what they are in. A name of DataFusion's leaves casts out, so that `sum(a)` and
//! `sum(CAST(a AS DOUBLE))` would be two columns of one name, which no aggregation can have.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::expr::{ScalarFunction, schema_name_from_exprs};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Writes the casts within the arguments of aggregates into their names.
#[derive(Debug, Default)]
pub struct NamesWithCasts;

impl ExprPlanner for NamesWithCasts {
    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        raw.args = raw.args.into_iter().map(named).collect::<Result<_>>()?;
        raw.filter = raw.filter.map(|filter| named(*filter).map(Box::new)).transpose()?;
        Ok(PlannerResult::Original(raw))
    }
}

/// `expr` with a mark around each cast of what is no constant.
fn named(expr: Expr) -> Result<Expr> {
    let marked = expr.transform_up(|e| {
        let target = match &e {
            Expr::Cast(cast) if !matches!(*cast.expr, Expr::Literal(..)) => cast.field.data_type().clone(),
            Expr::TryCast(cast) if !matches!(*cast.expr, Expr::Literal(..)) => cast.field.data_type().clone(),
            _ => return Ok(Transformed::no(e)),
        };
        let mark = ScalarUDF::from(WrittenCast { target, signature: Signature::any(1, Volatility::Immutable) });
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(mark), vec![e]))))
    })?;
    Ok(marked.data)
}

/// The value of the cast in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WrittenCast {
    target: DataType,
    signature: Signature,
}

impl WrittenCast {
    fn text(&self, argument: &str) -> String {
        format!("CAST({argument} AS {})", self.target)
    }
}

impl ScalarUDFImpl for WrittenCast {
    fn name(&self) -> &str {
        "spark_written_cast"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.text(&schema_name_from_exprs(args)?))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [data_type] => Ok(data_type.clone()),
            _ => plan_err!("a cast takes one argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::clone(field)),
            _ => plan_err!("a cast takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match <[ColumnarValue; 1]>::try_from(args.args) {
            Ok([value]) => Ok(value),
            Err(_) => exec_err!("a cast takes one argument"),
        }
    }
}
