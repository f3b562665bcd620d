//! Arrays and maps by place and key: `array[i]` and `map[key]` (as the function `spark_item`), `element_at`, `get`, and `size`.
//!
//! With ANSI mode on, `array[i]` counts from 0 and `element_at(array, i)` from 1 (from the end where negative); beyond its ends both fail, and so
//! does place 0 of the latter. `get` gives null there. A key that a map doesn't have gives null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// All functions of this module.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    [Kind::Item, Kind::ElementAt, Kind::Get, Kind::Size].map(function).into()
}

/// `collection[key]`.
#[must_use]
pub fn item(collection: Expr, key: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function(Kind::Item), vec![collection, key]))
}

fn function(kind: Kind) -> Arc<ScalarUDF> {
    let aliases = if kind == Kind::Size { vec!["cardinality".to_owned()] } else { Vec::new() };
    Arc::new(ScalarUDF::from(CollectionFunction { kind, aliases, signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Item,
    ElementAt,
    Get,
    Size,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CollectionFunction {
    kind: Kind,
    aliases: Vec<String>,
    signature: Signature,
}

/// The types of a map's keys and values.
fn pair(data_type: &DataType) -> Option<(&FieldRef, &FieldRef)> {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.first().zip(fields.get(1)),
            _ => None,
        },
        _ => None,
    }
}

impl ScalarUDFImpl for CollectionFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Item => "spark_item",
            Kind::ElementAt => "element_at",
            Kind::Get => "get",
            Kind::Size => "size",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, types) {
            (Kind::Size, [collection @ (DataType::List(_) | DataType::Map(..))]) => Ok(vec![collection.clone()]),
            (Kind::Size, _) => plan_err!("size() takes an ARRAY or a MAP"),
            (_, [list @ DataType::List(_), place]) if place.is_integer() || place.is_null() => Ok(vec![list.clone(), DataType::Int64]),
            (Kind::Item | Kind::ElementAt, [map @ DataType::Map(..), _]) => match pair(map) {
                Some((key, _)) => Ok(vec![map.clone(), key.data_type().clone()]),
                None => plan_err!("a map without keys and values"),
            },
            (Kind::Item, _) => plan_err!("only an ARRAY has a place in brackets, and only a MAP a key"),
            (Kind::ElementAt, _) => plan_err!("element_at() takes an ARRAY and a place, or a MAP and a key"),
            (Kind::Get, _) => plan_err!("get() takes an ARRAY and a place"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types) {
            (Kind::Size, _) => Ok(DataType::Int32),
            (_, [DataType::List(item), ..]) => Ok(item.data_type().clone()),
            (_, [map, ..]) => match pair(map) {
                Some((_, value)) => Ok(value.data_type().clone()),
                None => plan_err!("{}() takes an ARRAY or a MAP", self.name()),
            },
            _ => plan_err!("{}() needs arguments", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<_> = args.arg_fields.iter().map(|f| f.data_type().clone()).collect();
        let nullable = self.kind != Kind::Size || args.arg_fields.first().is_none_or(|f| f.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = arrays.first().map_or(0, |a| a.len());
        let result: ArrayRef = match (self.kind, arrays.as_slice()) {
            (Kind::Size, [collection]) => Arc::new(sizes(collection)?),
            (kind, [collection, key]) => match collection.data_type() {
                DataType::List(_) => {
                    let list = collection.as_list::<i32>();
                    let places = places(kind, list, &cast(key, &DataType::Int64)?)?;
                    take(list.values(), &places, None)?
                }
                _ => {
                    let map = collection.as_map();
                    take(map.values(), &found(map, key)?, None)?
                }
            },
            _ => return exec_err!("{}() needs other arguments", self.name()),
        };
        debug_assert_eq!(result.len(), rows);
        Ok(ColumnarValue::Array(result))
    }
}

/// How many items or entries there are; null for null.
fn sizes(collection: &ArrayRef) -> Result<Int32Array> {
    let (offsets, nulls) = match collection.data_type() {
        DataType::List(_) => (collection.as_list::<i32>().offsets(), collection.nulls()),
        DataType::Map(..) => (collection.as_map().offsets(), collection.nulls()),
        other => return exec_err!("size() can't count a {other}"),
    };
    Ok(Int32Array::new(offsets.windows(2).map(|w| w[1] - w[0]).collect(), nulls.cloned()))
}

/// Where, among the items of all rows, the wanted ones are.
fn places(kind: Kind, list: &arrow::array::ListArray, wanted: &ArrayRef) -> Result<UInt32Array> {
    let wanted: &Int64Array = wanted.as_primitive::<Int64Type>();
    let place = |row: usize| {
        if list.is_null(row) || wanted.is_null(row) {
            return Ok(None);
        }
        let (first, length) = (list.value_offsets()[row], i64::from(list.value_length(row)));
        let at = wanted.value(row);
        let index = match kind {
            Kind::ElementAt if at < 0 => length + at,
            Kind::ElementAt => at - 1,
            _ => at,
        };
        if (0..length).contains(&index) && !(kind == Kind::ElementAt && at == 0) {
            return Ok(u32::try_from(i64::from(first) + index).ok());
        }
        if kind == Kind::Get {
            return Ok(None);
        }
        let remedy = if kind == Kind::Item { "get(array, place)" } else { "get(array, place), which counts from 0," };
        exec_err!("place {at} is beyond an array of {length} items; {remedy} gives null there")
    };
    (0..list.len()).map(place).collect()
}

/// Where, among the entries of all rows, the wanted keys are; of a key that comes twice the first counts.
fn found(map: &arrow::array::MapArray, wanted: &ArrayRef) -> Result<UInt32Array> {
    let compare = make_comparator(map.keys().as_ref(), wanted.as_ref(), SortOptions::default())?;
    let find = |row: usize| {
        if map.is_null(row) || wanted.is_null(row) {
            return None;
        }
        let range = map.value_offsets()[row]..map.value_offsets()[row + 1];
        range.filter_map(|at| usize::try_from(at).ok()).find(|at| compare(*at, row).is_eq()).and_then(|at| u32::try_from(at).ok())
    };
    Ok((0..map.len()).map(find).collect())
}
