//! The rows that `explode`, `posexplode` and their outer forms make of one: as a list of structs, `STRUCT<c0, c1, ...>` for the columns
//! `[pos,] col` of an array or `[pos,] key, value` of a map. What makes rows of that list is DataFusion's unnest (see
//! `syntax::generators`); an outer form has one row of nulls where the array or map is null or empty.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::syntax::type_names;

/// The functions by which a query makes several rows of one.
pub(crate) const NAMES: [&str; 4] = ["explode", "explode_outer", "posexplode", "posexplode_outer"];

/// What stands before the name of a generator where it is a function of a list.
pub(crate) const PREFIX: &str = "spark_";

/// The functions that make the lists.
#[must_use]
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |(index, name): (usize, &&'static str)| {
        let (positions, outer) = (index >= 2, index % 2 == 1);
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Generator { name: format!("{PREFIX}{name}"), positions, outer, signature }))
    };
    NAMES.iter().enumerate().map(function).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Generator {
    name: String,
    positions: bool,
    outer: bool,
    signature: Signature,
}

impl Generator {
    fn spark_name(&self) -> &str {
        self.name.trim_start_matches(PREFIX)
    }

    /// The columns that an array or map becomes: their names and types.
    fn columns(&self, data_type: &DataType) -> Option<Vec<(&'static str, DataType)>> {
        let mut columns = if self.positions { vec![("pos", DataType::Int32)] } else { Vec::new() };
        match data_type {
            DataType::List(item) => columns.push(("col", item.data_type().clone())),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    columns.push(("key", pair[0].data_type().clone()));
                    columns.push(("value", pair[1].data_type().clone()));
                }
                _ => return None,
            },
            _ => return None,
        }
        Some(columns)
    }

    fn fields(&self, data_type: &DataType) -> Option<Fields> {
        let columns = self.columns(data_type)?;
        Some(columns.into_iter().enumerate().map(|(at, (_, data_type))| Field::new(format!("c{at}"), data_type, true)).collect())
    }
}

impl ScalarUDFImpl for Generator {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [collection, count] if self.columns(collection).is_some() => Ok(vec![collection.clone(), count.clone()]),
            _ => plan_err!("{}() takes an ARRAY or a MAP", self.spark_name()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first().and_then(|t| self.fields(t)) {
            Some(fields) => Ok(DataType::List(type_names::item_field(DataType::Struct(fields)))),
            None => plan_err!("{}() takes an ARRAY or a MAP", self.spark_name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let data_type = args.arg_fields.first().map_or(DataType::Null, |f| f.data_type().clone());
        let columns = self.columns(&data_type).unwrap_or_default();
        let wanted = match args.scalar_arguments.get(1) {
            Some(Some(ScalarValue::Int64(Some(wanted)))) => usize::try_from(*wanted).ok(),
            Some(Some(ScalarValue::Int32(Some(wanted)))) => usize::try_from(*wanted).ok(),
            _ => None,
        };
        if wanted.is_some_and(|wanted| wanted != columns.len()) && !columns.is_empty() {
            let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
            return plan_err!(
                "{}() gives {} columns here: write LATERAL VIEW {}(...) t AS {}",
                self.spark_name(),
                columns.len(),
                self.spark_name(),
                names.join(", ")
            );
        }
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[data_type])?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(collection) = args.args.first() else { return exec_err!("{}() needs an argument", self.spark_name()) };
        let collection = collection.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(Arc::new(self.entries(&collection)?)))
    }
}

impl Generator {
    /// For each row the list of rows that it becomes.
    fn entries(&self, collection: &ArrayRef) -> Result<ListArray> {
        let Some(fields) = self.fields(collection.data_type()) else { return exec_err!("{}() takes an ARRAY or a MAP", self.spark_name()) };
        let (offsets, parts): (&OffsetBuffer<i32>, Vec<ArrayRef>) = match collection.data_type() {
            DataType::List(_) => (collection.as_list::<i32>().offsets(), vec![collection.as_list::<i32>().values().clone()]),
            _ => (collection.as_map().offsets(), vec![collection.as_map().keys().clone(), collection.as_map().values().clone()]),
        };
        let mut sources: Vec<Option<u32>> = Vec::new();
        let mut positions: Vec<Option<i32>> = Vec::new();
        let mut ends: Vec<i32> = vec![0];
        for (row, range) in offsets.windows(2).enumerate() {
            let range = if collection.is_null(row) { 0..0 } else { range[0]..range[1] };
            if range.is_empty() && self.outer {
                sources.push(None);
                positions.push(None);
            }
            for (position, at) in (0_i32..).zip(range) {
                sources.push(u32::try_from(at).ok());
                positions.push(Some(position));
            }
            ends.push(i32::try_from(sources.len()).unwrap_or(i32::MAX));
        }
        let sources = UInt32Array::from(sources);
        let mut columns: Vec<ArrayRef> = if self.positions { vec![Arc::new(Int32Array::from(positions))] } else { Vec::new() };
        for part in &parts {
            columns.push(take(part, &sources, None)?);
        }
        let rows = StructArray::try_new(fields.clone(), columns, None)?;
        let item = type_names::item_field(DataType::Struct(fields));
        Ok(ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(ends)), Arc::new(rows), None)?)
    }
}
