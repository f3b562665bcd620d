//! Which functions the language has: those that do what Spark's function of the same name does.
//!
//! DataFusion has many more; a query that used one would not run on Spark, so the language doesn't know it.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::arithmetic::{self, Operation};
use super::{datetime, window};

/// The scalar functions of this crate, to be registered over DataFusion's.
#[must_use]
pub fn own_scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions: Vec<_> = Operation::ALL.into_iter().map(arithmetic::function).collect();
    functions.push(window::function());
    functions.extend(datetime::functions());
    functions
}
