//! Several rows of one: what a plan's `Unnest` does with the lists that `explode` and its like make.

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Unnest;
use millstream_core::{Error, FlowId, Result};

use super::nullable;
use super::steps::{Rows, StepError};

/// Makes of each row one for each item of a list. A row whose list is null or empty is gone.
pub struct Explode {
    /// The column of lists.
    list: usize,
    /// For each column that comes out, the one that it comes from.
    from: Vec<usize>,
    schema: SchemaRef,
}

impl Explode {
    /// What `unnest` does; of the language's queries, each takes one list apart.
    pub(super) fn of(unnest: &Unnest, flow: &FlowId) -> Result<Self> {
        match (unnest.list_type_columns.as_slice(), unnest.struct_type_columns.as_slice()) {
            ([(list, column)], []) if column.depth == 1 && !unnest.options.preserve_nulls() => {
                Ok(Self { list: *list, from: unnest.dependency_indices.clone(), schema: nullable(unnest.schema.as_arrow()) })
            }
            _ => Err(Error::internal(format!("flow {flow}: a streaming query takes one list apart at a time"))),
        }
    }

    pub(super) fn apply(&self, rows: &Rows) -> std::result::Result<Rows, StepError> {
        let lists = rows.batch.column(self.list).as_list_opt::<i32>();
        let lists = lists.ok_or_else(|| StepError::Fatal(Error::internal("what is to be exploded is no list")))?;
        let (mut parents, mut items) = (Vec::new(), Vec::new());
        for (row, range) in (0_u32..).zip(lists.value_offsets().windows(2)) {
            if lists.is_valid(row as usize) {
                for item in range[0]..range[1] {
                    parents.push(row);
                    items.push(item.unsigned_abs());
                }
            }
        }
        let (parents, items) = (UInt32Array::from(parents), UInt32Array::from(items));
        let column = |from: &usize| {
            if *from == self.list { take(lists.values(), &items, None) } else { take(rows.batch.column(*from), &parents, None) }
        };
        let columns = self.from.iter().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(parents.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(rows.take_into(&parents, batch)?)
    }
}
