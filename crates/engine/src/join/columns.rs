//! The columns by which the rows of a side match others: their keys and their event time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::physical_expr::PhysicalExpr;
use millstream_core::floats::normalized;
use millstream_core::{Error, Result};

use crate::compile::{self, JoinSide};

/// What is asked of a side's rows to match them.
pub(super) struct MatchColumns {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
    null_keys_match: bool,
    time: usize,
}

/// The rows of a batch with what they match by.
pub(super) struct Keyed {
    pub(super) rows: RecordBatch,
    pub(super) keys: Rows,
    /// The event time of each row; `None`: it can match nothing.
    pub(super) times: Vec<Option<i64>>,
}

impl MatchColumns {
    /// Those of `side`.
    pub(super) fn of(side: &JoinSide, null_keys_match: bool) -> Result<Self> {
        let types = side.keys.iter().map(|key| Ok(SortField::new(key.data_type(&side.schema).map_err(compile::plan_error)?)));
        let converter = RowConverter::new(types.collect::<Result<Vec<_>>>()?)?;
        Ok(Self { keys: side.keys.clone(), converter, null_keys_match, time: side.time })
    }

    /// `rows` with their keys and times.
    pub(super) fn keyed(&self, rows: RecordBatch) -> Result<Keyed> {
        let n = rows.num_rows();
        let evaluate = |key: &Arc<dyn PhysicalExpr>| {
            let values = key.evaluate(&rows).and_then(|value| value.into_array(n)).map_err(compile::plan_error)?;
            Ok(normalized(&values))
        };
        let columns = self.keys.iter().map(evaluate).collect::<Result<Vec<ArrayRef>>>()?;
        let mut times = self.times(&rows)?;
        if !self.null_keys_match {
            for column in columns.iter().filter(|column| column.null_count() > 0) {
                times.iter_mut().enumerate().filter(|(row, _)| column.is_null(*row)).for_each(|(_, time)| *time = None);
            }
        }
        let keys = self.converter.convert_columns(&columns)?;
        Ok(Keyed { rows, keys, times })
    }

    /// The event times of `rows`.
    pub(super) fn times(&self, rows: &RecordBatch) -> Result<Vec<Option<i64>>> {
        let times = rows.column(self.time).as_primitive_opt::<TimestampMicrosecondType>();
        let times = times.ok_or_else(|| Error::internal("the event time of a join's side is not a TIMESTAMP"))?;
        Ok((0..times.len()).map(|row| times.is_valid(row).then(|| times.value(row))).collect())
    }
}
