//! [`PortTable`]: a DataFusion table over anything that a port can stream. It does what all of them need: projection, equality on the
//! partition key, the limit, and a stream that begins only when it is polled.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use millstream_core::batches::BatchStream;
use millstream_core::table::project_schema;
use millstream_core::{Error, Result, Value};

use super::external;
use super::moment::Moment;

/// Begins one part of a scan. Called when the part is first polled; may be called again for another execution of the plan.
pub(super) type Part = Box<dyn Fn() -> BoxFuture<'static, Result<BatchStream>> + Send + Sync>;

/// What a scan wants.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Columns by index, at least one, in this order.
    pub columns: Vec<usize>,
    /// One value for each of [`Readable::partition_key`], if the query says them all: rows of other partitions aren't needed.
    pub partition: Option<Vec<Value>>,
}

/// A table that a port can stream.
#[async_trait]
pub(super) trait Readable: Send + Sync {
    /// The table's columns.
    fn schema(&self) -> SchemaRef;

    /// The columns of which [`Request::partition`] may give values.
    fn partition_key(&self) -> &[String] {
        &[]
    }

    /// The parts of a scan, at least one; their rows together are the table's. Each gives the columns of the request.
    async fn parts(&self, request: &Request) -> Result<Vec<Part>>;

    /// The same table read at `moment`, where it is read from a snapshot at all.
    fn pinned(&self, _moment: &Arc<Moment>) -> Option<Arc<dyn Readable>> {
        None
    }
}

/// A DataFusion table over a [`Readable`].
#[derive(Clone)]
pub(super) struct PortTable(Arc<dyn Readable>);

impl PortTable {
    pub(super) fn new(readable: Arc<dyn Readable>) -> Self {
        Self(readable)
    }

    /// The table pinned to `moment`, if `provider` is one that reads from snapshots.
    pub(super) fn pinned(provider: &dyn TableProvider, moment: &Arc<Moment>) -> Option<Self> {
        (provider as &dyn Any).downcast_ref::<Self>()?.0.pinned(moment).map(Self)
    }

    /// `column = value` or `value = column` on a partition column.
    fn equality<'e>(&self, filter: &'e Expr) -> Option<(usize, &'e ScalarValue)> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
        let (column, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column)) => (column, value),
            _ => return None,
        };
        self.0.partition_key().iter().position(|c| *c == column.name).map(|at| (at, value))
    }

    /// The values that `filters` demand of all partition columns.
    fn partition(&self, filters: &[Expr]) -> Result<Option<Vec<Value>>> {
        let key = self.0.partition_key();
        let mut values: Vec<Option<Value>> = vec![None; key.len()];
        for (at, scalar) in filters.iter().filter_map(|f| self.equality(f)) {
            let schema = self.0.schema();
            let wanted = key.get(at).and_then(|name| schema.field_with_name(name).ok()).map(|f| f.data_type());
            if wanted != Some(&scalar.data_type()) {
                continue;
            }
            let array = scalar.to_array().map_err(super::from_datafusion)?;
            if let Some(slot) = values.get_mut(at) {
                *slot = Value::at(array.as_ref(), 0)?;
            }
        }
        let values: Option<Vec<Value>> = values.into_iter().collect();
        Ok(values.filter(|v| !v.is_empty()))
    }
}

impl fmt::Debug for PortTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortTable").field("schema", &self.0.schema()).finish()
    }
}

#[async_trait]
impl TableProvider for PortTable {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        // Inexact: the rows of the partition are filtered again, which costs little and takes no risk.
        let support = |f: &&Expr| match self.equality(f) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let all = self.0.schema();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..all.fields().len()).collect());
        // A port can't be asked for rows without columns (`count(*)`): the first one stands in.
        let columns = if wanted.is_empty() { vec![0] } else { wanted.clone() };
        let request = Request { columns, partition: self.partition(filters).map_err(external)? };
        let schema = project_schema(&all, Some(&wanted)).map_err(external)?;
        let parts = self.0.parts(&request).await.map_err(external)?;
        let parts = parts.into_iter().map(|part| Arc::new(PartStream { schema: schema.clone(), part }) as Arc<dyn PartitionStream>);
        Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), parts.collect(), None, [], false, limit)?))
    }
}

/// One part of a scan, for DataFusion.
struct PartStream {
    schema: SchemaRef,
    part: Part,
}

impl fmt::Debug for PartStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for PartStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = self.schema.clone();
        let batches = stream::once((self.part)()).try_flatten();
        let batches = batches.map(move |batch| batch.and_then(|b| conform(&b, &schema)).map_err(external));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

/// `batch` under exactly the schema that was promised; a port that sent something else is found out here, not in a query's result.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().take(schema.fields().len()).cloned().collect();
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| Error::internal("a scan gave other columns than it was asked for").caused_by(e))
}
