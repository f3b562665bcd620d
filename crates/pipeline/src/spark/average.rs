//! Spark's `avg`. A mean of decimals is rounded half up at four more digits, where DataFusion cuts them off; datafusion-spark's passes
//! over FILTER and DISTINCT and knows no decimals. All other means are DataFusion's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, i256};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};

/// The function, to be registered over DataFusion's.
#[must_use]
pub fn function() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Average { plain: avg_udaf() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    plain: Arc<AggregateUDF>,
}

/// The digits of a mean: of the values, and of the result with its precision.
#[derive(Clone, Copy, Debug)]
struct Scales {
    values: i8,
    precision: u8,
    result: i8,
}

impl Scales {
    /// Of a mean of decimals; `None` for other means.
    fn of(args: &AccumulatorArgs) -> Option<Self> {
        match (args.expr_fields.first()?.data_type(), args.return_field.data_type()) {
            (DataType::Decimal128(_, values), DataType::Decimal128(precision, result)) if !args.is_distinct => {
                Some(Self { values: *values, precision: *precision, result: *result })
            }
            _ => None,
        }
    }

    /// `sum / count`, rounded half away from zero.
    fn mean(self, sum: i128, count: i64) -> Result<i128> {
        let digits = u32::try_from(self.result - self.values).unwrap_or(0);
        let scaled = i256::from_i128(sum).wrapping_mul(i256::from_i128(10_i128.pow(digits)));
        let (twice, count) = (scaled.wrapping_abs().wrapping_mul(i256::from_i128(2)), i256::from_i128(i128::from(count)));
        let rounded = twice.wrapping_add(count).wrapping_div(count.wrapping_mul(i256::from_i128(2)));
        let mean = rounded.to_i128().ok_or_else(|| exec_datafusion_err!("the mean of decimals overflows"))?;
        Ok(if sum < 0 { -mean } else { mean })
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn aliases(&self) -> &[String] {
        self.plain.aliases()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.plain.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match args.input_fields.first().map(|f| f.data_type()) {
            Some(DataType::Decimal128(_, scale)) if !args.is_distinct => Ok(vec![
                Arc::new(Field::new(format_state_name(args.name, "count"), DataType::Int64, true)),
                Arc::new(Field::new(format_state_name(args.name, "sum"), DataType::Decimal128(38, *scale), true)),
            ]),
            _ => self.plain.state_fields(args),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Scales::of(&args) {
            Some(scales) => Ok(Box::new(Mean { means: Means::new(scales) })),
            None => self.plain.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        Scales::of(&args).is_some() || self.plain.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match Scales::of(&args) {
            Some(scales) => Ok(Box::new(Means::new(scales))),
            None => self.plain.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.plain.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn decimals(values: &[ArrayRef], at: usize) -> Result<&Decimal128Array> {
    match values.get(at).and_then(|v| v.as_primitive_opt::<Decimal128Type>()) {
        Some(values) => Ok(values),
        None => exec_err!("avg() was given no DECIMAL"),
    }
}

/// Count and sum of each group.
#[derive(Debug)]
struct Means {
    scales: Scales,
    counts: Vec<i64>,
    sums: Vec<i128>,
}

impl Means {
    fn new(scales: Scales) -> Self {
        Self { scales, counts: Vec::new(), sums: Vec::new() }
    }

    fn add(&mut self, group: usize, count: i64, sum: i128) -> Result<()> {
        self.counts[group] += count;
        let whole = self.sums[group].checked_add(sum).ok_or_else(|| exec_datafusion_err!("avg() of decimals overflows"))?;
        self.sums[group] = whole;
        Ok(())
    }

    fn grow(&mut self, total: usize) {
        self.counts.resize(total, 0);
        self.sums.resize(total, 0);
    }
}

impl GroupsAccumulator for Means {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        let values = decimals(values, 0)?;
        self.grow(total);
        for (row, group) in groups.iter().enumerate() {
            if values.is_valid(row) && filter.is_none_or(|f| f.is_valid(row) && f.value(row)) {
                self.add(*group, 1, values.value(row))?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let Some(counts) = states.first().and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
            return exec_err!("avg() was given no count");
        };
        let sums = decimals(states, 1)?;
        self.grow(total);
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| counts.is_valid(*row) && sums.is_valid(*row)) {
            self.add(*group, counts.value(row), sums.value(row))?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (counts, sums) = (emit_to.take_needed(&mut self.counts), emit_to.take_needed(&mut self.sums));
        let means = counts.iter().zip(sums).map(|(count, sum)| (*count > 0).then(|| self.scales.mean(sum, *count)).transpose());
        let means = means.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(means.with_precision_and_scale(self.scales.precision, self.scales.result)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (counts, sums) = (emit_to.take_needed(&mut self.counts), emit_to.take_needed(&mut self.sums));
        let sums = Decimal128Array::from(sums).with_precision_and_scale(38, self.scales.values)?;
        Ok(vec![Arc::new(Int64Array::from(counts)), Arc::new(sums)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::new(self.scales);
        let rows = decimals(values, 0)?.len();
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.counts.capacity() * size_of::<i64>() + self.sums.capacity() * size_of::<i128>()
    }
}

/// One mean: that of a single group.
#[derive(Debug)]
struct Mean {
    means: Means,
}

impl Mean {
    fn ready(&mut self, values: &[ArrayRef]) -> Vec<usize> {
        self.means.grow(1);
        vec![0; values.first().map_or(0, |v| v.len())]
    }
}

impl Accumulator for Mean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = self.ready(values);
        self.means.update_batch(values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = self.ready(states);
        self.means.merge_batch(states, &groups, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.means.grow(1);
        ScalarValue::try_from_array(&self.means.evaluate(EmitTo::All)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.means.grow(1);
        self.means.state(EmitTo::All)?.iter().map(|part| ScalarValue::try_from_array(part, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.means.size()
    }
}
