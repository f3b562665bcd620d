//! Aggregates over how often each value came: percentiles, `mode`, and `listagg` in the order of its own values.
//!
//! What they keep is each value with its count, so that neither the order of rows nor the ends of epochs can change a result, and a result
//! is exact: so is `percentile_approx`, of which Spark promises a rank within `1 / accuracy` of the rows. Memory is a value's for each
//! different one. Source of the definitions: Spark 4.1, `Percentile`, `PercentileDisc`, `ApproximatePercentile`, `Mode`, `ListAgg`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::PhysicalExpr;

/// All functions of this module. Those with a percentage take the value first; of a `WITHIN GROUP (ORDER BY value)`, the order is the last
/// argument: whether it is descending.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    Kind::ALL.into_iter().map(|kind| Arc::new(AggregateUDF::new_from_impl(ValueCounts::new(kind)))).collect()
}

/// `listagg` whose texts are in their own order: `(text, delimiter, descending)`.
pub(crate) const SORTED_TEXT: &str = "spark_sorted_text";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Between the two values around the place: `(value, percentage[, frequency])`.
    Percentile,
    /// The same, `(value, percentage, descending)`.
    PercentileCont,
    /// The first value that so many values reach: `(value, percentage, descending)`.
    PercentileDisc,
    /// That value, as it is: `(value, percentage[, accuracy])`.
    PercentileApprox,
    /// The most frequent value; of equally frequent ones the first: `(value, descending)`.
    Mode,
    SortedText,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Percentile, Self::PercentileCont, Self::PercentileDisc, Self::PercentileApprox, Self::Mode, Self::SortedText];

    fn name(self) -> &'static str {
        match self {
            Self::Percentile => "percentile",
            Self::PercentileCont => "percentile_cont",
            Self::PercentileDisc => "percentile_disc",
            Self::PercentileApprox => "percentile_approx",
            Self::Mode => "mode",
            Self::SortedText => SORTED_TEXT,
        }
    }

    /// Whether the second argument is a percentage, or an array of them.
    fn has_percentage(self) -> bool {
        !matches!(self, Self::Mode | Self::SortedText)
    }

    /// The type of one result.
    fn result(self, value: &DataType) -> DataType {
        match self {
            Self::Percentile | Self::PercentileCont | Self::PercentileDisc => DataType::Float64,
            Self::PercentileApprox | Self::Mode => value.clone(),
            Self::SortedText => DataType::Utf8,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueCounts {
    kind: Kind,
    signature: Signature,
}

impl ValueCounts {
    fn new(kind: Kind) -> Self {
        Self { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl AggregateUDFImpl for ValueCounts {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        let number = |value: &DataType| match value {
            DataType::Utf8 | DataType::Null => Ok(DataType::Float64),
            value if value.is_numeric() => Ok(value.clone()),
            // A place between two values needs numbers; a value that is there can be any that has an order.
            DataType::Date32 | DataType::Timestamp(..) if self.kind == Kind::PercentileApprox => Ok(value.clone()),
            _ => plan_err!("{name}() is of numbers"),
        };
        let percentage = |percentage: &DataType| match percentage {
            DataType::List(_) => list_of(DataType::Float64),
            _ => DataType::Float64,
        };
        match (self.kind, types) {
            (Kind::Mode, [value, DataType::Boolean]) => Ok(vec![value.clone(), DataType::Boolean]),
            (Kind::SortedText, [_, _, DataType::Boolean]) => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Boolean]),
            (Kind::Percentile | Kind::PercentileApprox, [value, at]) => Ok(vec![number(value)?, percentage(at)]),
            (Kind::Percentile | Kind::PercentileApprox, [value, at, last]) if last.is_integer() => {
                Ok(vec![number(value)?, percentage(at), DataType::Int64])
            }
            (Kind::PercentileCont | Kind::PercentileDisc, [value, at, DataType::Boolean]) => {
                Ok(vec![number(value)?, percentage(at), DataType::Boolean])
            }
            (Kind::PercentileCont | Kind::PercentileDisc, _) => {
                plan_err!("{name}() needs its order: write {name}(0.5) WITHIN GROUP (ORDER BY value)")
            }
            _ => plan_err!("{name}() takes other arguments"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value, DataType::List(_), ..] if self.kind.has_percentage() => Ok(list_of(self.kind.result(value))),
            [value, ..] => Ok(self.kind.result(value)),
            [] => plan_err!("{}() needs arguments", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(value) = args.input_fields.first() else { return plan_err!("{}() needs arguments", self.name()) };
        let field = |part, item| Arc::new(Field::new(format_state_name(args.name, part), list_of(item), true));
        Ok(vec![field("values", value.data_type().clone()), field("counts", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(value) = args.expr_fields.first() else { return exec_err!("{}() needs arguments", self.name()) };
        let mut settings = Settings {
            kind: self.kind,
            value: value.data_type().clone(),
            distinct: args.is_distinct,
            percentages: Vec::new(),
            many: false,
            delimiter: String::new(),
            descending: false,
        };
        if self.kind.has_percentage() {
            let constant = constant(args.exprs.get(1), self.name())?;
            settings.many = matches!(constant, ScalarValue::List(_));
            settings.percentages = percentages(&constant, self.name())?;
        }
        if self.kind == Kind::SortedText
            && let ScalarValue::Utf8(Some(delimiter)) = constant(args.exprs.get(1), self.name())?
        {
            settings.delimiter = delimiter;
        }
        let last = args.exprs.last().zip(args.expr_fields.last()).filter(|(_, field)| *field.data_type() == DataType::Boolean);
        if let Some((order, _)) = last.filter(|_| args.exprs.len() > 1) {
            settings.descending = constant(Some(order), self.name())? == ScalarValue::Boolean(Some(true));
        }
        let converter = RowConverter::new(vec![SortField::new(settings.value.clone())])?;
        Ok(Box::new(Counts { settings, converter, counts: BTreeMap::new(), bytes: 0 }))
    }
}

/// What an argument that is the same in all rows says.
fn constant(expr: Option<&Arc<dyn PhysicalExpr>>, function: &str) -> Result<ScalarValue> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    // What names a column has no value over none.
    let value = expr.and_then(|expr| expr.evaluate(&one).ok()).map(|value| value.into_array(1)).transpose()?;
    match value {
        Some(value) => ScalarValue::try_from_array(&value, 0),
        None => plan_err!("{function}() needs constants behind its value"),
    }
}

/// The percentages of a number or an array.
fn percentages(constant: &ScalarValue, function: &str) -> Result<Vec<f64>> {
    let numbers = match constant {
        ScalarValue::List(list) if list.is_valid(0) => list.value(0),
        ScalarValue::List(_) => new_empty_array(&DataType::Float64),
        number => number.to_array()?,
    };
    let numbers = cast(&numbers, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let all: Option<Vec<f64>> = numbers.iter().map(|p| p.filter(|p| (0.0..=1.0).contains(p))).collect();
    match all.filter(|all| !all.is_empty()) {
        Some(all) => Ok(all),
        None => plan_err!("a percentage of {function}() lies between 0 and 1"),
    }
}

/// What a call says beside its value.
#[derive(Debug)]
struct Settings {
    kind: Kind,
    value: DataType,
    distinct: bool,
    percentages: Vec<f64>,
    /// Whether the percentages were an array, and the result is one.
    many: bool,
    delimiter: String,
    descending: bool,
}

/// The values so far, in their order, and how often each came.
#[derive(Debug)]
struct Counts {
    settings: Settings,
    converter: RowConverter,
    /// Values in Arrow's row format, whose bytes have the order of the values.
    counts: BTreeMap<Box<[u8]>, i64>,
    bytes: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, count: impl Fn(usize) -> Option<i64>) -> Result<()> {
        let rows = self.converter.convert_columns(std::slice::from_ref(values))?;
        for (at, row) in rows.iter().enumerate().filter(|(at, _)| values.is_valid(*at)) {
            let Some(more) = count(at).filter(|more| *more != 0) else { continue };
            // A negative one is refused row by row, before it comes here: see `frequency`.
            if more < 0 {
                return exec_err!("{}() was given a negative frequency", self.settings.kind.name());
            }
            if let Some(known) = self.counts.get_mut(row.data()) {
                *known = known.saturating_add(more);
            } else {
                self.bytes += row.data().len() + ENTRY_BYTES;
                self.counts.insert(row.data().into(), more);
            }
        }
        Ok(())
    }

    /// The values in the order of the call, as a column, and up to which count each reaches.
    fn sorted(&self) -> Result<(ArrayRef, Vec<i64>)> {
        let parser = self.converter.parser();
        let count = |count: &i64| if self.settings.distinct { 1 } else { *count };
        let mut entries: Vec<_> = self.counts.iter().map(|(row, n)| (parser.parse(row), count(n))).collect();
        if self.settings.descending {
            entries.reverse();
        }
        let mut reached = 0_i64;
        let reaches = entries.iter().map(|(_, n)| {
            reached = reached.saturating_add(*n);
            reached
        });
        let reaches = reaches.collect();
        Ok((self.values(entries.into_iter().map(|(row, _)| row))?, reaches))
    }

    fn values<'a>(&self, rows: impl Iterator<Item = arrow::row::Row<'a>>) -> Result<ArrayRef> {
        let mut columns = self.converter.convert_rows(rows)?;
        columns.pop().ok_or_else(|| exec_datafusion_err!("values that are none"))
    }

    /// The places of the percentages among the sorted values.
    fn percentiles(&self) -> Result<ScalarValue> {
        let (values, reaches) = self.sorted()?;
        let Some(total) = reaches.last().copied() else { return ScalarValue::try_from(self.result_type()) };
        // The value with this number, from 0.
        let at = |number: i64| reaches.partition_point(|reached| *reached <= number);
        let results: ArrayRef = match self.settings.kind {
            Kind::Percentile | Kind::PercentileCont => {
                let numbers = cast(&values, &DataType::Float64)?;
                let numbers = numbers.as_primitive::<Float64Type>();
                let between = |p: &f64| {
                    let place = as_number(total - 1) * p;
                    let (lower, higher) = (place.floor(), place.ceil());
                    let (low, high) = (numbers.value(at(as_count(lower))), numbers.value(at(as_count(higher))));
                    if lower == higher || low == high { low } else { (higher - place) * low + (place - lower) * high }
                };
                Arc::new(self.settings.percentages.iter().map(|p| Some(between(p))).collect::<arrow::array::Float64Array>())
            }
            _ => {
                let rank = |p: &f64| as_count((as_number(total) * p).ceil()).clamp(1, total) - 1;
                let places = self.settings.percentages.iter().map(|p| u32::try_from(at(rank(p))).ok());
                let picked = arrow::compute::take(&values, &places.collect::<arrow::array::UInt32Array>(), None)?;
                cast(&picked, &self.settings.kind.result(&self.settings.value))?
            }
        };
        if self.settings.many {
            return Ok(ScalarValue::List(Arc::new(one_list(results))));
        }
        ScalarValue::try_from_array(&results, 0)
    }

    fn mode(&self) -> Result<ScalarValue> {
        let greatest = self.counts.values().max();
        let mut most = self.counts.iter().filter(|(_, n)| Some(*n) == greatest).map(|(row, _)| row);
        let chosen = if self.settings.descending { most.next_back() } else { most.next() };
        match chosen {
            Some(row) => ScalarValue::try_from_array(&self.values(std::iter::once(self.converter.parser().parse(row)))?, 0),
            None => ScalarValue::try_from(&self.settings.value),
        }
    }

    fn text(&self) -> Result<ScalarValue> {
        let (values, reaches) = self.sorted()?;
        let mut before = 0;
        let mut parts = Vec::new();
        for (text, reached) in values.as_string::<i32>().iter().zip(reaches) {
            let times = usize::try_from(reached - before).unwrap_or(0);
            parts.extend(std::iter::repeat_n(text.unwrap_or_default(), times));
            before = reached;
        }
        Ok(ScalarValue::Utf8((!parts.is_empty()).then(|| parts.join(&self.settings.delimiter))))
    }

    fn result_type(&self) -> DataType {
        let one = self.settings.kind.result(&self.settings.value);
        if self.settings.many { list_of(one) } else { one }
    }
}

/// What an entry takes beside its value's bytes.
const ENTRY_BYTES: usize = 40;

#[expect(clippy::cast_precision_loss, reason = "Spark counts in floating point here, too")]
fn as_number(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number between 0 and a count")]
fn as_count(number: f64) -> i64 {
    number as i64
}

/// A column as the one row of a column of lists.
fn one_list(values: ArrayRef) -> ListArray {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), values, None)
}

impl Accumulator for Counts {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(values) = columns.first() else { return exec_err!("a value was expected") };
        match columns.get(2).filter(|_| self.settings.kind == Kind::Percentile) {
            Some(frequencies) => {
                let frequencies = frequencies.as_primitive::<Int64Type>();
                self.add(values, |row| frequencies.is_valid(row).then(|| frequencies.value(row)))
            }
            None => self.add(values, |_| Some(1)),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else { return exec_err!("values and their counts were expected") };
        let (Some(values), Some(counts)) = (values.as_list_opt::<i32>(), counts.as_list_opt::<i32>()) else {
            return exec_err!("values and their counts were expected");
        };
        for row in (0..values.len()).filter(|row| values.is_valid(*row) && counts.is_valid(*row)) {
            let counts = counts.value(row);
            let counts = counts.as_primitive::<Int64Type>();
            self.add(&values.value(row), |at| (at < counts.len()).then(|| counts.value(at)))?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.settings.kind {
            Kind::Mode => self.mode(),
            Kind::SortedText => self.text(),
            _ => self.percentiles(),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parser = self.converter.parser();
        let values = self.values(self.counts.keys().map(|row| parser.parse(row)))?;
        let counts: ArrayRef = Arc::new(self.counts.values().copied().collect::<Int64Array>());
        Ok([values, counts].map(|column| ScalarValue::List(Arc::new(one_list(column)))).to_vec())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}
