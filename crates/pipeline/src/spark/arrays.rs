//! Spark's functions that order, search and join the items of arrays. Items are compared as Spark orders values: NaN is the greatest number, and
//! there is one of it, as there is one zero.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use millstream_core::floats::normalized;

/// All functions of this module.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    Kind::ALL
        .into_iter()
        .map(|kind| Arc::new(ScalarUDF::from(ArrayFunction { kind, signature: Signature::user_defined(Volatility::Immutable) })))
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// Ascending, nulls last.
    ArraySort,
    /// Ascending with nulls first, or descending with nulls last.
    SortArray,
    Distinct,
    Union,
    Intersect,
    Except,
    Remove,
    Max,
    Min,
    Position,
    Contains,
    Join,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::ArraySort,
        Self::SortArray,
        Self::Distinct,
        Self::Union,
        Self::Intersect,
        Self::Except,
        Self::Remove,
        Self::Max,
        Self::Min,
        Self::Position,
        Self::Contains,
        Self::Join,
    ];
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayFunction {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for ArrayFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::ArraySort => "array_sort",
            Kind::SortArray => "sort_array",
            Kind::Distinct => "array_distinct",
            Kind::Union => "array_union",
            Kind::Intersect => "array_intersect",
            Kind::Except => "array_except",
            Kind::Remove => "array_remove",
            Kind::Max => "array_max",
            Kind::Min => "array_min",
            Kind::Position => "array_position",
            Kind::Contains => "array_contains",
            Kind::Join => "array_join",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let list = |list: &DataType, rest: Vec<DataType>| Ok(std::iter::once(list.clone()).chain(rest).collect());
        match (self.kind, types) {
            (Kind::ArraySort | Kind::SortArray | Kind::Distinct | Kind::Max | Kind::Min, [l @ DataType::List(_)]) => list(l, vec![]),
            (Kind::SortArray, [l @ DataType::List(_), DataType::Boolean]) => list(l, vec![DataType::Boolean]),
            (Kind::Union | Kind::Intersect | Kind::Except, [DataType::List(a), DataType::List(b)]) => {
                let Some(item) = type_union_resolution(&[a.data_type().clone(), b.data_type().clone()]) else {
                    return plan_err!("{}() takes arrays of one type: cast one of them", self.name());
                };
                let both = DataType::List(Arc::new(Field::new_list_field(item, true)));
                list(&both, vec![both.clone()])
            }
            (Kind::Contains, [DataType::List(item), wanted]) => {
                let Some(item) = type_union_resolution(&[item.data_type().clone(), wanted.clone()]) else {
                    return plan_err!("array_contains() takes a value of the items' type: cast it");
                };
                list(&DataType::List(Arc::new(Field::new_list_field(item.clone(), true))), vec![item])
            }
            (Kind::Remove | Kind::Position, [l @ DataType::List(item), _]) => list(l, vec![item.data_type().clone()]),
            (Kind::Join, [DataType::List(_), rest @ ..]) if matches!(rest.len(), 1 | 2) => {
                list(&DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))), vec![DataType::Utf8; rest.len()])
            }
            _ => plan_err!("{}() takes other arguments: an ARRAY first", self.name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types) {
            (Kind::Join, _) => Ok(DataType::Utf8),
            (Kind::Position, _) => Ok(DataType::Int64),
            (Kind::Contains, _) => Ok(DataType::Boolean),
            (Kind::Max | Kind::Min, [DataType::List(item), ..]) => Ok(item.data_type().clone()),
            (_, [list, ..]) => Ok(list.clone()),
            _ => plan_err!("{}() needs an ARRAY", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let nullable = matches!(self.kind, Kind::Max | Kind::Min | Kind::Contains) || args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(list) = arrays.first().and_then(|l| l.as_list_opt::<i32>()) else { return exec_err!("{}() needs an ARRAY", self.name()) };
        let rest = &arrays[1..];
        let result: ArrayRef = match (self.kind, rest) {
            (Kind::Join, [delimiters, replacements @ ..]) => Arc::new(joined(list, delimiters, replacements.first())?),
            (Kind::Max | Kind::Min, _) => extremes(list, self.kind == Kind::Max)?,
            (Kind::Position, [wanted]) => Arc::new(positions(list, wanted)?),
            (Kind::Contains, [wanted]) => Arc::new(contains(list, wanted)?),
            (Kind::Remove, [unwanted]) => Arc::new(without(list, unwanted)?),
            (Kind::Union | Kind::Intersect | Kind::Except, [other]) => Arc::new(combined(self.kind, list, other)?),
            (Kind::Distinct, _) => Arc::new(distinct(list)?),
            (Kind::ArraySort, _) => Arc::new(sorted(list, |_| Order { descending: false, nulls_first: false })?),
            (_, directions) => {
                let ascending = directions.first().and_then(|d| d.as_boolean_opt());
                let order = |row: usize| {
                    let descending = ascending.is_some_and(|a| a.is_valid(row) && !a.value(row));
                    Order { descending, nulls_first: !descending }
                };
                Arc::new(sorted(list, order)?)
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

/// Values in a form whose bytes have their order; nulls come first.
fn encoded(values: &ArrayRef) -> Result<Rows> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    Ok(converter.convert_columns(&[normalized(values)])?)
}

fn range(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    let bound = |at: usize| usize::try_from(list.value_offsets()[at]).unwrap_or_default();
    if list.is_null(row) { 0..0 } else { bound(row)..bound(row + 1) }
}

/// For each row the items that `pick` chooses of its own, in that order. Null where the list is, and where `also_null` says so.
fn picked(
    list: &ListArray,
    also_null: Option<&NullBuffer>,
    mut pick: impl FnMut(usize, std::ops::Range<usize>) -> Vec<usize>,
) -> Result<ListArray> {
    let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(list.len()));
    for row in 0..list.len() {
        let chosen = pick(row, range(list, row));
        lengths.push(chosen.len());
        items.extend(chosen.into_iter().map(|item| u32::try_from(item).unwrap_or(u32::MAX)));
    }
    let DataType::List(field) = list.data_type() else { return exec_err!("an ARRAY was expected") };
    let values = take(list.values(), &UInt32Array::from(items), None)?;
    Ok(ListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, NullBuffer::union(list.nulls(), also_null)))
}

fn distinct(list: &ListArray) -> Result<ListArray> {
    let rows = encoded(list.values())?;
    picked(list, None, |_, items| {
        let mut seen = HashSet::new();
        items.filter(|item| seen.insert(rows.row(*item))).collect()
    })
}

struct Order {
    descending: bool,
    nulls_first: bool,
}

fn sorted(list: &ListArray, order: impl Fn(usize) -> Order) -> Result<ListArray> {
    let (values, rows) = (list.values(), encoded(list.values())?);
    picked(list, None, |row, items| {
        let Order { descending, nulls_first } = order(row);
        let (nulls, mut known): (Vec<_>, Vec<_>) = items.partition(|item| values.is_null(*item));
        known.sort_by(|a, b| if descending { rows.row(*b).cmp(&rows.row(*a)) } else { rows.row(*a).cmp(&rows.row(*b)) });
        if nulls_first { [nulls, known].concat() } else { [known, nulls].concat() }
    })
}

fn extremes(list: &ListArray, greatest: bool) -> Result<ArrayRef> {
    let (values, rows) = (list.values(), encoded(list.values())?);
    let best = |row: usize| {
        let known = range(list, row).filter(|item| values.is_valid(*item));
        let best = if greatest { known.max_by_key(|item| rows.row(*item)) } else { known.min_by_key(|item| rows.row(*item)) };
        best.and_then(|item| u32::try_from(item).ok())
    };
    Ok(take(values, &(0..list.len()).map(best).collect::<UInt32Array>(), None)?)
}

/// The place of the first such item, from 1; 0 where there is none.
fn positions(list: &ListArray, wanted: &ArrayRef) -> Result<Int64Array> {
    let (rows, wanted_rows) = (encoded(list.values())?, encoded(wanted)?);
    let place = |row: usize| {
        let items = range(list, row);
        let found = items.into_iter().position(|item| rows.row(item) == wanted_rows.row(row));
        let known = list.is_valid(row) && wanted.is_valid(row);
        known.then(|| found.and_then(|at| i64::try_from(at + 1).ok()).unwrap_or(0))
    };
    Ok((0..list.len()).map(place).collect())
}

/// Whether there is such an item; null where there is none, but a null that might be one.
fn contains(list: &ListArray, wanted: &ArrayRef) -> Result<BooleanArray> {
    let (values, rows, wanted_rows) = (list.values(), encoded(list.values())?, encoded(wanted)?);
    let is_there = |row: usize| {
        let mut items = range(list, row);
        let found = items.clone().any(|item| values.is_valid(item) && rows.row(item) == wanted_rows.row(row));
        let known = list.is_valid(row) && wanted.is_valid(row) && (found || items.all(|item| values.is_valid(item)));
        known.then_some(found)
    };
    Ok((0..list.len()).map(is_there).collect())
}

fn without(list: &ListArray, unwanted: &ArrayRef) -> Result<ListArray> {
    let (rows, unwanted_rows) = (encoded(list.values())?, encoded(unwanted)?);
    picked(list, unwanted.nulls(), |row, items| items.filter(|item| rows.row(*item) != unwanted_rows.row(row)).collect())
}

/// The different items of both, of the first that are in the second, or that are not.
fn combined(kind: Kind, list: &ListArray, other: &ArrayRef) -> Result<ListArray> {
    let Some(other) = other.as_list_opt::<i32>() else { return exec_err!("two ARRAYs were expected") };
    let (rows, other_rows) = (encoded(list.values())?, encoded(other.values())?);
    if kind != Kind::Union {
        return picked(list, other.nulls(), |row, items| {
            let there: HashSet<OwnedRow> = range(other, row).map(|item| other_rows.row(item).owned()).collect();
            let mut seen = HashSet::new();
            let wanted = |item: &usize| there.contains(&rows.row(*item).owned()) == (kind == Kind::Intersect);
            items.filter(|item| wanted(item) && seen.insert(rows.row(*item).owned())).collect()
        });
    }
    // One column of both lists' items, those of the second behind those of the first.
    let values = arrow::compute::concat(&[list.values().as_ref(), other.values().as_ref()])?;
    let first = list.values().len();
    let DataType::List(field) = list.data_type() else { return exec_err!("an ARRAY was expected") };
    let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(list.len()));
    for row in 0..list.len() {
        let mut seen = HashSet::new();
        let of_both = range(list, row).map(|item| (item, rows.row(item).owned()));
        let of_both = of_both.chain(range(other, row).map(|item| (first + item, other_rows.row(item).owned())));
        let before = items.len();
        items.extend(of_both.filter_map(|(item, value)| seen.insert(value).then(|| u32::try_from(item).unwrap_or(u32::MAX))));
        lengths.push(items.len() - before);
    }
    let values = take(&values, &UInt32Array::from(items), None)?;
    Ok(ListArray::new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, NullBuffer::union(list.nulls(), other.nulls())))
}

/// Nulls are left out, or what stands for them is written.
fn joined(list: &ListArray, delimiters: &ArrayRef, replacements: Option<&ArrayRef>) -> Result<StringArray> {
    let text = |array: &ArrayRef, row: usize| {
        let texts = array.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    };
    let join = |row: usize| {
        let delimiter = text(delimiters, row)?;
        let replacement = match replacements {
            Some(replacements) => Some(text(replacements, row)?),
            None => None,
        };
        let items = range(list, row).filter_map(|item| text(list.values(), item).or_else(|| replacement.clone()));
        list.is_valid(row).then(|| items.collect::<Vec<_>>().join(&delimiter))
    };
    Ok((0..list.len()).map(join).collect())
}
