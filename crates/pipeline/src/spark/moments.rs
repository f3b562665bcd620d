//! Spark's `skewness` and `kurtosis`, from a group's central moments.
//!
//! Source: Spark 4.1, `CentralMomentAgg`; the moments of two parts together are those of P. Pébay, "Formulas for robust, one-pass parallel
//! computation of covariances and arbitrary-order statistical moments" (2008).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// Both functions.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    [Statistic::Skewness, Statistic::Kurtosis]
        .into_iter()
        .map(|statistic| {
            let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
            Arc::new(AggregateUDF::new_from_impl(MomentStatistic { statistic, signature }))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Statistic {
    Skewness,
    Kurtosis,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MomentStatistic {
    statistic: Statistic,
    signature: Signature,
}

/// The parts of the state.
const PARTS: [&str; 5] = ["count", "mean", "m2", "m3", "m4"];

impl AggregateUDFImpl for MomentStatistic {
    fn name(&self) -> &str {
        match self.statistic {
            Statistic::Skewness => "skewness",
            Statistic::Kurtosis => "kurtosis",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(PARTS.iter().map(|part| Arc::new(Field::new(format_state_name(args.name, part), DataType::Float64, true))).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let distinct = args.is_distinct;
        if distinct {
            exec_err!("{}(DISTINCT ...) is not supported", self.name())
        } else {
            Ok(Box::new(Group { statistic: self.statistic, moments: Moments::default() }))
        }
    }
}

/// How many values there are, their mean, and the sums of the powers of their distances from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn of(value: f64) -> Self {
        Self { count: 1.0, mean: value, ..Self::default() }
    }

    /// Of the values of both.
    fn with(self, other: Self) -> Self {
        if other.count == 0.0 {
            return self;
        }
        if self.count == 0.0 {
            return other;
        }
        let (n, m) = (self.count, other.count);
        let count = n + m;
        let delta = other.mean - self.mean;
        let part = delta / count;
        Self {
            count,
            mean: self.mean + part * m,
            m2: self.m2 + other.m2 + delta * part * n * m,
            m3: self.m3 + other.m3 + part * part * delta * n * m * (n - m) + 3.0 * part * (n * other.m2 - m * self.m2),
            m4: self.m4
                + other.m4
                + part * part * part * delta * n * m * (n * n - n * m + m * m)
                + 6.0 * part * part * (n * n * other.m2 + m * m * self.m2)
                + 4.0 * part * (n * other.m3 - m * self.m3),
        }
    }

    /// Null of no values, and of values that are all equal.
    fn statistic(self, statistic: Statistic) -> Option<f64> {
        let differs = self.count > 0.0 && self.m2 != 0.0;
        differs.then(|| match statistic {
            Statistic::Skewness => self.count.sqrt() * self.m3 / (self.m2 * self.m2 * self.m2).sqrt(),
            Statistic::Kurtosis => self.count * self.m4 / (self.m2 * self.m2) - 3.0,
        })
    }
}

#[derive(Debug)]
struct Group {
    statistic: Statistic,
    moments: Moments,
}

impl Accumulator for Group {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(values) = columns.first().and_then(|c| c.as_primitive_opt::<Float64Type>()) else {
            return exec_err!("a statistic was given no DOUBLE");
        };
        self.moments = values.iter().flatten().fold(self.moments, |moments, value| moments.with(Moments::of(value)));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let parts: Option<Vec<_>> = states.iter().map(|s| s.as_primitive_opt::<Float64Type>()).collect();
        let Some([count, mean, m2, m3, m4]) = parts.as_deref() else { return exec_err!("a statistic was given no moments") };
        for row in 0..count.len() {
            let [count, mean, m2, m3, m4] = [count, mean, m2, m3, m4].map(|part| part.value(row));
            self.moments = self.moments.with(Moments { count, mean, m2, m3, m4 });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.moments.statistic(self.statistic)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Moments { count, mean, m2, m3, m4 } = self.moments;
        Ok([count, mean, m2, m3, m4].map(|part| ScalarValue::Float64(Some(part))).to_vec())
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
