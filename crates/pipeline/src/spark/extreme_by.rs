//! Spark's `max_by(value, key)` and `min_by(value, key)`: the value at the greatest or least key. Rows without a key don't count; of equal keys
//! the last row wins.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, make_comparator, new_null_array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// Both functions.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    [Extreme::Greatest, Extreme::Least].into_iter().map(|extreme| Arc::new(AggregateUDF::new_from_impl(ExtremeBy::new(extreme)))).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Extreme {
    Greatest,
    Least,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExtremeBy {
    extreme: Extreme,
    signature: Signature,
}

impl ExtremeBy {
    fn new(extreme: Extreme) -> Self {
        Self { extreme, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for ExtremeBy {
    fn name(&self) -> &str {
        match self.extreme {
            Extreme::Greatest => "max_by",
            Extreme::Least => "min_by",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, _] => Ok(value.clone()),
            _ => exec_err!("{}() takes a value and a key", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = args.input_fields.iter().zip(["value", "key"]);
        Ok(fields.map(|(f, part)| Arc::new(Field::new(format_state_name(args.name, part), f.data_type().clone(), true))).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let [value, key] = args.expr_fields else { return exec_err!("{}() takes a value and a key", self.name()) };
        Ok(Box::new(Best { extreme: self.extreme, value: value.data_type().clone(), key: key.data_type().clone(), row: None }))
    }
}

/// The best row so far.
#[derive(Debug)]
struct Best {
    extreme: Extreme,
    value: DataType,
    key: DataType,
    /// Its value and key, each an array of one.
    row: Option<[ArrayRef; 2]>,
}

impl Best {
    /// Whether a key that compares to the best one so far as `ordering` takes its place.
    fn takes(&self, ordering: Ordering) -> bool {
        match self.extreme {
            Extreme::Greatest => ordering != Ordering::Less,
            Extreme::Least => ordering != Ordering::Greater,
        }
    }

    /// The row of the best of `keys`, of which equal ones differ in nothing; `None`: all are null.
    fn best_by(&self, keys: &ArrayRef, among: impl Fn(usize, usize) -> Ordering) -> Option<usize> {
        let rows = (0..keys.len()).filter(|row| keys.is_valid(*row));
        rows.reduce(|best, row| if self.takes(among(row, best)) { row } else { best })
    }

    /// The same by the values themselves.
    fn best_of<T: ArrowPrimitiveType<Native: Ord>>(&self, keys: &ArrayRef) -> Option<usize> {
        let values = keys.as_primitive::<T>().values();
        self.best_by(keys, |row, best| values[row].cmp(&values[best]))
    }

    fn parts(&self) -> Result<[ScalarValue; 2]> {
        let of = |at: usize, data_type: &DataType| match &self.row {
            Some(row) => ScalarValue::try_from_array(&row[at], 0),
            None => ScalarValue::try_from_array(&new_null_array(data_type, 1), 0),
        };
        Ok([of(0, &self.value)?, of(1, &self.key)?])
    }
}

impl Accumulator for Best {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values, keys] = columns else { return exec_err!("a value and a key were expected") };
        let best = match keys.data_type() {
            DataType::Int32 => self.best_of::<Int32Type>(keys),
            DataType::Int64 => self.best_of::<Int64Type>(keys),
            DataType::Timestamp(TimeUnit::Microsecond, _) => self.best_of::<TimestampMicrosecondType>(keys),
            _ => {
                let among = make_comparator(keys, keys, SortOptions::default())?;
                self.best_by(keys, among)
            }
        };
        let Some(best) = best else { return Ok(()) };
        let takes = match &self.row {
            Some(row) => self.takes(make_comparator(keys, &row[1], SortOptions::default())?(best, 0)),
            None => true,
        };
        if takes {
            self.row = Some([values.slice(best, 1), keys.slice(best, 1)]);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let [value, _] = self.parts()?;
        Ok(value)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.parts()?.to_vec())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + 2 * size_of::<ScalarValue>()
    }
}

#[cfg(test)]
mod tests;
