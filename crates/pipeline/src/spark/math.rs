//! Functions of a DOUBLE whose formula or whose edges are others in Spark than in DataFusion.
//!
//! Source: the formulas that Spark's function reference gives for `asinh`, `acosh` and `atanh`; `log2` is a quotient of logarithms; a
//! logarithm of what isn't positive is null, the root of a negative number NaN.

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Name, other names, formula.
type Definition = (&'static str, &'static [&'static str], fn(f64) -> Option<f64>);

const FUNCTIONS: [Definition; 8] = [
    ("sqrt", &[], |x| Some(x.sqrt())),
    ("signum", &["sign"], |x| Some(signum(x))),
    ("ln", &[], |x| logarithm(x, f64::ln)),
    ("log10", &[], |x| logarithm(x, f64::log10)),
    ("log2", &[], |x| logarithm(x, |x| x.ln() / std::f64::consts::LN_2)),
    ("asinh", &[], |x| Some(if x == f64::NEG_INFINITY { x } else { (x + (x * x + 1.0).sqrt()).ln() })),
    ("acosh", &[], |x| Some((x + (x * x - 1.0).sqrt()).ln())),
    ("atanh", &[], |x| Some(0.5 * (x.ln_1p() - (-x).ln_1p()))),
];

fn logarithm(x: f64, formula: fn(f64) -> f64) -> Option<f64> {
    if x <= 0.0 { None } else { Some(formula(x)) }
}

/// Zero keeps its sign, as in Java.
fn signum(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

/// All functions of this module.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    let function = |at: usize| Arc::new(ScalarUDF::from(OfDouble { at, aliases: aliases(at), signature: signature() }));
    (0..FUNCTIONS.len()).map(function).collect()
}

fn aliases(at: usize) -> Vec<String> {
    FUNCTIONS[at].1.iter().map(|alias| (*alias).to_owned()).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfDouble {
    /// Its place in [`FUNCTIONS`].
    at: usize,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for OfDouble {
    fn name(&self) -> &str {
        FUNCTIONS[self.at].0
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [argument] if argument.is_numeric() || matches!(argument, DataType::Utf8 | DataType::Null) => Ok(vec![DataType::Float64]),
            [other] => plan_err!("{}() takes a number, not {other}", self.name()),
            _ => plan_err!("{}() takes one argument", self.name()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let formula = FUNCTIONS[self.at].2;
        match args.args.as_slice() {
            [ColumnarValue::Scalar(ScalarValue::Float64(value))] => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float64(value.and_then(formula))))
            }
            [ColumnarValue::Array(array)] => {
                let values: Float64Array = array.as_primitive::<Float64Type>().unary_opt(formula);
                Ok(ColumnarValue::Array(Arc::new(values)))
            }
            _ => exec_err!("{}() takes one DOUBLE", self.name()),
        }
    }
}
