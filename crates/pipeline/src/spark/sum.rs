//! Spark's `sum` with ANSI mode on: a sum of whole numbers that outgrows BIGINT is an error, where DataFusion's wraps around. All other sums
//! are DataFusion's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};

/// The function, to be registered over DataFusion's.
pub fn function() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Sum { plain: sum_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    plain: Arc<AggregateUDF>,
}

fn is_checked(args: &AccumulatorArgs) -> bool {
    *args.return_field.data_type() == DataType::Int64 && !args.is_distinct
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.plain.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.plain.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_checked(&args) { Ok(Box::new(CheckedSum::default())) } else { self.plain.accumulator(args) }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.plain.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if is_checked(&args) { Ok(Box::new(CheckedSums::default())) } else { self.plain.create_groups_accumulator(args) }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.plain.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// `sum + value`, or Spark's error.
fn add(sum: i64, value: i64) -> Result<i64> {
    sum.checked_add(value).ok_or_else(|| exec_datafusion_err!("sum() overflows BIGINT: cast its argument to DECIMAL(38, 0)"))
}

fn whole_numbers(values: &[ArrayRef]) -> Result<&Int64Array> {
    match values.first().and_then(|v| v.as_primitive_opt::<Int64Type>()) {
        Some(values) => Ok(values),
        None => exec_err!("sum() was given no BIGINT"),
    }
}

/// One sum; `None` until a value was seen.
#[derive(Debug, Default)]
struct CheckedSum(Option<i64>);

impl Accumulator for CheckedSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in whole_numbers(values)?.iter().flatten() {
            self.0 = Some(add(self.0.unwrap_or(0), value)?);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.0))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(self.0)])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

/// A sum for each group, and whether the group has seen a value.
#[derive(Debug, Default)]
struct CheckedSums {
    sums: Vec<i64>,
    seen: Vec<bool>,
}

impl GroupsAccumulator for CheckedSums {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        let values = whole_numbers(values)?;
        self.sums.resize(total, 0);
        self.seen.resize(total, false);
        for (row, (group, value)) in groups.iter().zip(values.values()).enumerate() {
            let counts = values.is_valid(row) && filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            if counts {
                self.sums[*group] = add(self.sums[*group], *value)?;
                self.seen[*group] = true;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(states, groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        Ok(Arc::new(Int64Array::new(sums.into(), Some(NullBuffer::from(seen)))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = whole_numbers(values)?;
        let counted = |row: usize| values.is_valid(row) && filter.is_none_or(|f| f.is_valid(row) && f.value(row));
        let states: Int64Array = (0..values.len()).map(|row| counted(row).then(|| values.value(row))).collect();
        Ok(vec![Arc::new(states)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i64>() + self.seen.capacity()
    }
}
