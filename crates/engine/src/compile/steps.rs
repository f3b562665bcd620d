//! Steps: filter, project, join. An error in a row is that row's: the batch is halved until the row is found, and the others go on.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt8Array, UInt32Array, new_empty_array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch, take};
use arrow::datatypes::{SchemaRef, UInt8Type, UInt32Type};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use millstream_core::{ChangeKind, Error, Result};

use super::shown::blamed;
use super::{Explode, LookupJoin};

/// Rows on their way through a program.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Their columns.
    pub batch: RecordBatch,
    /// For each, the row of the chunk that it came from.
    pub origin: UInt32Array,
    /// For each, its change kind, as a code.
    pub kinds: UInt8Array,
}

/// A row of the chunk (by number) that could not be computed, and why.
pub type Rejects = Vec<(u32, String)>;

/// One step of a program.
pub enum Step {
    /// Keeps the rows for which the predicate is true. An *update* that it does not keep becomes a delete: the row was in the result
    /// before, perhaps. Deletes pass.
    Filter(Arc<dyn PhysicalExpr>),
    /// Computes new columns.
    Project {
        /// One expression for each column.
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        /// The new columns.
        schema: SchemaRef,
    },
    /// Joins rows with reference data.
    Join(Box<LookupJoin>),
    /// Makes several rows of one.
    Explode(Explode),
}

/// Why a step failed.
pub(super) enum StepError {
    /// A value could not be computed: an overflow, a failed cast.
    Data(String),
    /// Something else: the flow can't go on.
    Fatal(Error),
}

impl StepError {
    /// With the expression that could not be computed, which is the column `name` of its step if it is one.
    pub(super) fn of(self, name: Option<&str>, expression: &dyn PhysicalExpr) -> Self {
        match self {
            Self::Data(reason) => Self::Data(blamed(&reason, name, expression)),
            fatal @ Self::Fatal(_) => fatal,
        }
    }
}

impl From<DataFusionError> for StepError {
    fn from(error: DataFusionError) -> Self {
        let data = match error.find_root() {
            DataFusionError::Execution(_) => true,
            DataFusionError::ArrowError(arrow, _) => is_data(arrow),
            _ => false,
        };
        if data {
            Self::Data(reason(&error))
        } else {
            Self::Fatal(Error::internal("a checked query could not be computed").caused_by(error))
        }
    }
}

impl From<ArrowError> for StepError {
    fn from(error: ArrowError) -> Self {
        if is_data(&error) { Self::Data(error.to_string()) } else { Self::Fatal(error.into()) }
    }
}

fn is_data(error: &ArrowError) -> bool {
    use ArrowError as A;
    matches!(
        error,
        A::CastError(_) | A::ParseError(_) | A::ComputeError(_) | A::ArithmeticOverflow(_) | A::DivideByZero | A::InvalidArgumentError(_)
    )
}

/// The error's own words, on one line, without which part of the machinery found it.
fn reason(error: &DataFusionError) -> String {
    let text = match error.find_root() {
        DataFusionError::Execution(text) => text.clone(),
        DataFusionError::ArrowError(arrow, _) => arrow.to_string(),
        other => other.strip_backtrace(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

impl Rows {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `length` rows from `offset`.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self { batch: self.batch.slice(offset, length), origin: self.origin.slice(offset, length), kinds: self.kinds.slice(offset, length) }
    }

    /// All of `parts`, one after the other: at least one, which says what columns there are.
    pub(crate) fn concat(parts: &[Self]) -> Result<Self> {
        let first = parts.first().ok_or_else(|| Error::internal("no rows at all were put together"))?;
        let origins: Vec<&dyn Array> = parts.iter().map(|rows| &rows.origin as &dyn Array).collect();
        let kinds: Vec<&dyn Array> = parts.iter().map(|rows| &rows.kinds as &dyn Array).collect();
        Ok(Self {
            batch: concat_batches(&first.batch.schema(), parts.iter().map(|rows| &rows.batch))?,
            origin: concat(&origins)?.as_primitive::<UInt32Type>().clone(),
            kinds: concat(&kinds)?.as_primitive::<UInt8Type>().clone(),
        })
    }

    /// The rows where `keep` is true.
    pub(crate) fn filter(&self, keep: &BooleanArray) -> std::result::Result<Self, ArrowError> {
        Ok(Self {
            batch: filter_record_batch(&self.batch, keep)?,
            origin: filter(&self.origin, keep)?.as_primitive::<UInt32Type>().clone(),
            kinds: filter(&self.kinds, keep)?.as_primitive::<UInt8Type>().clone(),
        })
    }

    /// Origins and kinds at `indices`, with the columns of `batch`.
    pub(super) fn take_into(&self, indices: &UInt32Array, batch: RecordBatch) -> std::result::Result<Self, ArrowError> {
        Ok(Self {
            batch,
            origin: take(&self.origin, indices, None)?.as_primitive::<UInt32Type>().clone(),
            kinds: take(&self.kinds, indices, None)?.as_primitive::<UInt8Type>().clone(),
        })
    }
}

/// Runs `rows` through `steps`. Rows that can't be computed go to `rejects`; the rest comes out.
pub fn run(steps: &[Step], rows: Rows, rejects: &mut Rejects) -> Result<Rows> {
    match try_run(steps, rows.clone()) {
        Ok(done) => Ok(done),
        Err(StepError::Fatal(error)) => Err(error),
        // Of no rows no value can fail, so that halving comes to an end; what fails all the same would be halved for ever.
        Err(StepError::Data(reason)) if rows.is_empty() => Err(Error::invalid(format!("the query can't be computed at all: {reason}"))),
        Err(StepError::Data(reason)) if rows.len() == 1 => {
            rejects.push((rows.origin.value(0), reason));
            // What comes out has other columns than what went in.
            run(steps, rows.slice(0, 0), rejects)
        }
        Err(StepError::Data(_)) => {
            let half = rows.len() / 2;
            let first = run(steps, rows.slice(0, half), rejects)?;
            let second = run(steps, rows.slice(half, rows.len() - half), rejects)?;
            Rows::concat(&[first, second])
        }
    }
}

fn try_run(steps: &[Step], mut rows: Rows) -> std::result::Result<Rows, StepError> {
    for step in steps {
        rows = match step {
            Step::Filter(predicate) => apply_filter(predicate, rows)?,
            Step::Project { expressions, schema } => {
                let batch = project(expressions, schema, &rows.batch)?;
                Rows { batch, ..rows }
            }
            Step::Join(join) => join.apply(&rows)?,
            Step::Explode(explode) => explode.apply(&rows)?,
        };
    }
    Ok(rows)
}

/// Evaluates `expressions` on `batch` into columns of `schema`.
fn project(expressions: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef, batch: &RecordBatch) -> std::result::Result<RecordBatch, StepError> {
    let n = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(expressions.len());
    for (expression, field) in expressions.iter().zip(schema.fields()) {
        let column = evaluate(expression.as_ref(), batch).map_err(|e| e.of(Some(field.name()), expression.as_ref()))?;
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(n));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The values of `expression`, one for each row of `batch`. Of no rows nothing is computed: constants fail where there is no row that they could fail for.
pub(super) fn evaluate(expression: &dyn PhysicalExpr, batch: &RecordBatch) -> std::result::Result<ArrayRef, StepError> {
    if batch.num_rows() == 0 {
        return Ok(new_empty_array(&expression.data_type(batch.schema_ref())?));
    }
    Ok(expression.evaluate(batch)?.into_array(batch.num_rows())?)
}

/// The rows for which `predicate` is true; null counts as false.
pub(super) fn matches(predicate: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> std::result::Result<BooleanArray, StepError> {
    let values = evaluate(predicate.as_ref(), batch).map_err(|e| e.of(None, predicate.as_ref()))?;
    let values = values.as_boolean_opt().ok_or_else(|| StepError::Fatal(Error::internal("a filter is not a BOOLEAN")))?;
    Ok(if values.null_count() == 0 { values.clone() } else { arrow::compute::prep_null_mask_filter(values) })
}

fn apply_filter(predicate: &Arc<dyn PhysicalExpr>, rows: Rows) -> std::result::Result<Rows, StepError> {
    let is_delete = ChangeKind::Delete.code();
    let is_insert = ChangeKind::Insert.code();
    if rows.kinds.values().iter().all(|k| *k == is_insert) {
        let keep = matches(predicate, &rows.batch)?;
        return Ok(if keep.true_count() == rows.len() { rows } else { rows.filter(&keep)? });
    }
    // A delete has no values to look at, so the predicate only sees the others.
    let has_values = BooleanArray::from_iter(rows.kinds.values().iter().map(|k| Some(*k != is_delete)));
    let kept_values = matches(predicate, &filter_record_batch(&rows.batch, &has_values)?)?;
    let mut of_values = kept_values.values().iter();
    let mut kinds = Vec::with_capacity(rows.len());
    let mut keep = Vec::with_capacity(rows.len());
    for kind in rows.kinds.values() {
        let kept = *kind == is_delete || of_values.next().unwrap_or(false);
        keep.push(kept || *kind != is_insert);
        kinds.push(if kept { *kind } else { is_delete });
    }
    let rows = Rows { kinds: UInt8Array::from(kinds), ..rows };
    Ok(rows.filter(&BooleanArray::from(keep))?)
}

#[cfg(test)]
mod tests;
