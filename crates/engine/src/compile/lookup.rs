//! The join of a stream with reference data: a hash table over the reference rows, probed with each chunk.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, UInt32Builder};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::HashMap;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use millstream_core::floats::normalized;
use millstream_core::{Error, Result};

use super::steps::{self, Rows, StepError, matches};
use super::{nullable, plan_error};
use crate::reference::ReferencesNow;

/// What a lookup join is made of.
pub(super) struct Settings {
    /// The query over reference tables.
    pub reference: LogicalPlan,
    /// The stream's side of each equality.
    pub stream_keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The reference's side.
    pub reference_keys: Vec<Arc<dyn PhysicalExpr>>,
    /// What else must hold, over the joined columns.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Whether a stream row without a match comes out with nulls.
    pub outer: bool,
    /// Whether the stream's columns come first.
    pub stream_left: bool,
    /// Whether null keys match (`<=>`).
    pub null_equals_null: bool,
    /// The joined columns.
    pub schema: SchemaRef,
}

/// A join of a stream with reference data, inner or left outer.
pub struct LookupJoin {
    settings: Settings,
    table: Option<LookupTable>,
}

/// The reference rows with an index by key.
struct LookupTable {
    /// The generation of each reference table that it was made from.
    generations: BTreeMap<String, u64>,
    rows: RecordBatch,
    converter: RowConverter,
    /// By the key's bytes in Arrow's row format.
    index: HashMap<Box<[u8]>, Vec<u32>>,
}

fn fatal(error: Error) -> StepError {
    StepError::Fatal(error)
}

fn evaluate(keys: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> std::result::Result<Vec<ArrayRef>, StepError> {
    let key = |key: &Arc<dyn PhysicalExpr>| {
        let values = steps::evaluate(key.as_ref(), batch).map_err(|e| e.of(None, key.as_ref()))?;
        Ok(normalized(&values))
    };
    keys.iter().map(key).collect()
}

fn converter(types: impl Iterator<Item = DataType>) -> Result<RowConverter> {
    Ok(RowConverter::new(types.map(SortField::new).collect())?)
}

impl LookupJoin {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, table: None }
    }

    /// Makes the hash table anew, if the reference data has changed since it was made.
    pub async fn refresh(&mut self, references: &ReferencesNow, session: &SessionContext) -> Result<()> {
        let mut generations = BTreeMap::new();
        let mut missing = None;
        let plan = self.settings.reference.clone().transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
            let name = scan.table_name.table().to_owned();
            match references.get(&name) {
                Ok(rows) => {
                    generations.insert(name, rows.generation);
                    // Of a table not all columns may be held, nor in the order of the query.
                    let places = scan.projected_schema.fields().iter().map(|field| rows.schema.index_of(field.name()));
                    scan.projection = Some(places.collect::<std::result::Result<_, _>>()?);
                    let provider = MemTable::try_new(rows.schema.clone(), vec![rows.batches.to_vec()])?;
                    scan.source = provider_as_source(Arc::new(provider));
                }
                Err(error) => missing = Some(error),
            }
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        });
        let plan = plan.map_err(plan_error)?.data;
        if let Some(error) = missing {
            return Err(error);
        }
        if self.table.as_ref().is_some_and(|t| t.generations == generations) {
            return Ok(());
        }
        let frame = session.execute_logical_plan(plan).await.map_err(plan_error)?;
        let schema = nullable(frame.schema().as_arrow());
        let batches =
            frame.collect().await.map_err(|e| Error::invalid("the reference side of a join could not be computed").caused_by(e))?;
        let batches =
            batches.into_iter().map(|b| Ok(RecordBatch::try_new(schema.clone(), b.columns().to_vec())?)).collect::<Result<Vec<_>>>()?;
        let rows = concat_batches(&schema, &batches)?;
        self.table = Some(self.index(rows, generations)?);
        Ok(())
    }

    fn index(&self, rows: RecordBatch, generations: BTreeMap<String, u64>) -> Result<LookupTable> {
        let keys = evaluate(&self.settings.reference_keys, &rows).map_err(|e| match e {
            StepError::Data(reason) => Error::invalid(format!("a key of reference data could not be computed: {reason}")),
            StepError::Fatal(error) => error,
        })?;
        let converter = converter(keys.iter().map(|k| k.data_type().clone()))?;
        let mut index: HashMap<Box<[u8]>, Vec<u32>> = HashMap::with_capacity(rows.num_rows());
        let encoded = converter.convert_columns(&keys)?;
        for (i, row) in encoded.iter().enumerate() {
            if self.settings.null_equals_null || keys.iter().all(|k| k.is_valid(i)) {
                let place = u32::try_from(i).map_err(|_| Error::exhausted("a reference table has over 4 billion rows"))?;
                index.entry(row.data().into()).or_default().push(place);
            }
        }
        Ok(LookupTable { generations, rows, converter, index })
    }

    /// Joins `rows`.
    pub(super) fn apply(&self, rows: &Rows) -> std::result::Result<Rows, StepError> {
        let table = self.table.as_ref().ok_or_else(|| fatal(Error::internal("a reference table was used before it was loaded")))?;
        let (left, right) = self.pairs(table, rows)?;
        let joined = self.joined(table, rows, &left, &right)?;
        let Some(filter) = &self.settings.filter else { return Ok(joined) };
        let keep = matches(filter, &joined.batch)?;
        if !self.settings.outer {
            return Ok(joined.filter(&keep)?);
        }
        // A stream row that had matches, none of which passes the filter, comes out once with nulls.
        let (left, right) = outer_after_filter(rows.len(), &left, &right, &keep);
        self.joined(table, rows, &left, &right)
    }

    /// The matching pairs: rows of the stream, and rows of the reference (null for none, in an outer join), in the stream's order.
    fn pairs(&self, table: &LookupTable, rows: &Rows) -> std::result::Result<(UInt32Array, UInt32Array), StepError> {
        let keys = evaluate(&self.settings.stream_keys, &rows.batch)?;
        let encoded = table.converter.convert_columns(&keys)?;
        let (mut left, mut right) = (UInt32Builder::with_capacity(rows.len()), UInt32Builder::with_capacity(rows.len()));
        let nulls = !self.settings.null_equals_null && keys.iter().any(|k| k.null_count() > 0);
        for (i, key) in encoded.iter().enumerate() {
            let stream_row = u32::try_from(i).unwrap_or(u32::MAX);
            let usable = !nulls || keys.iter().all(|k| k.is_valid(i));
            match table.index.get(key.data()).filter(|_| usable) {
                Some(matches) => matches.iter().for_each(|m| {
                    left.append_value(stream_row);
                    right.append_value(*m);
                }),
                None if self.settings.outer => {
                    left.append_value(stream_row);
                    right.append_null();
                }
                None => {}
            }
        }
        Ok((left.finish(), right.finish()))
    }

    fn joined(&self, table: &LookupTable, rows: &Rows, left: &UInt32Array, right: &UInt32Array) -> std::result::Result<Rows, StepError> {
        let stream = take_record_batch(&rows.batch, left)?;
        let reference = table.rows.columns().iter().map(|c| take(c, right, None)).collect::<std::result::Result<Vec<_>, _>>()?;
        let columns = if self.settings.stream_left {
            stream.columns().iter().cloned().chain(reference).collect()
        } else {
            reference.into_iter().chain(stream.columns().iter().cloned()).collect()
        };
        Ok(rows.take_into(left, RecordBatch::try_new(self.settings.schema.clone(), columns)?)?)
    }
}

/// The pairs of a left outer join after its filter. `left` is rising.
fn outer_after_filter(rows: usize, left: &UInt32Array, right: &UInt32Array, keep: &BooleanArray) -> (UInt32Array, UInt32Array) {
    let (mut kept_left, mut kept_right) = (UInt32Builder::new(), UInt32Builder::new());
    let mut pair = 0;
    for row in 0..u32::try_from(rows).unwrap_or(u32::MAX) {
        let mut matched = false;
        while pair < left.len() && left.value(pair) == row {
            if right.is_valid(pair) && keep.value(pair) {
                kept_left.append_value(row);
                kept_right.append_value(right.value(pair));
                matched = true;
            }
            pair += 1;
        }
        if !matched {
            kept_left.append_value(row);
            kept_right.append_null();
        }
    }
    (kept_left.finish(), kept_right.finish())
}

#[cfg(test)]
mod tests;
