//! The join of two streams in a flow's plan: what each side does with its rows before they are kept, and when two of them match.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use millstream_core::time::micros_of;
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{Side, StreamJoin, Watermark};

use super::{Compiler, Step, nullable};

/// A join of two streams, and what is done with its rows.
pub struct JoinStage {
    /// The left side and the right one.
    pub sides: [JoinSide; 2],
    /// Which rows come out that match nothing.
    pub kind: JoinType,
    /// What must hold beside the keys and the bounds in time: over the columns of the left side, then those of the right one.
    pub condition: Vec<Step>,
    /// Rows match only if the time of the right one is at least so many microseconds after that of the left one,
    pub least_us: i64,
    /// and at most so many.
    pub greatest_us: i64,
    /// Whether null keys match (`<=>`).
    pub null_equals_null: bool,
    /// The side of whose event times the windows above are.
    pub window_side: Option<Side>,
    /// The columns of a pair: those of both sides.
    pub pair: SchemaRef,
    /// Steps on the joined rows. Before an aggregation, the last one computes its groups and arguments.
    pub after: Vec<Step>,
}

/// One side of a join of streams.
pub struct JoinSide {
    /// Which of the flow's sources it reads.
    pub source: usize,
    /// The source's columns that it reads, in the order in which the first step sees them.
    pub inputs: Vec<String>,
    /// Steps on every row.
    pub before: Vec<Step>,
    /// Its side of each equality: columns.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// How many of its columns come out of the join. Behind them are keys that are computed: by a step, so that a row whose key can't be is put
    /// aside as any other.
    pub width: usize,
    /// The column of the event time, after the steps.
    pub time: usize,
    /// Its columns after the steps.
    pub schema: SchemaRef,
    /// The source's column that its watermark follows.
    pub watermark_column: String,
    /// How far behind that the watermark stays, in microseconds.
    pub watermark_delay_us: i64,
}

impl Compiler<'_> {
    /// Lowers the join of two streams, and what is below it.
    pub(super) fn lower_stream_join(&mut self, join: &Join, streams: &StreamJoin) -> Result<()> {
        let lost = |what: &str| Error::internal(format!("flow {}: its join of streams has no {what}", self.flow.id));
        let left_watermark = self.flow.watermark.as_ref().ok_or_else(|| lost("watermark"))?;
        let right_source = self.flow.sources().position(|source| source == streams.right).ok_or_else(|| lost("source"))?;
        let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
        let [left_time, right_time] = streams.times;
        let left = self.join_side(&join.left, 0, left_keys.as_slice(), left_time, left_watermark)?;
        let right = self.join_side(&join.right, right_source, right_keys.as_slice(), right_time, &streams.right_watermark)?;
        let both = join.left.schema().join(join.right.schema()).map_err(super::plan_error)?;
        let condition =
            streams.condition.as_ref().map(|filter| Ok::<_, Error>(Step::Filter(self.expression(filter, &both)?))).transpose()?;
        let pair =
            left.schema.fields().iter().take(left.width).chain(right.schema.fields().iter().take(right.width)).cloned().collect::<Vec<_>>();
        self.join = Some(Box::new(JoinStage {
            sides: [left, right],
            kind: join.join_type,
            condition: condition.into_iter().collect(),
            least_us: streams.least_us,
            greatest_us: streams.greatest_us,
            null_equals_null: matches!(join.null_equality, NullEquality::NullEqualsNull),
            window_side: streams.window_side,
            pair: Arc::new(Schema::new(pair)),
            after: Vec::new(),
        }));
        Ok(())
    }

    fn join_side(
        &self,
        plan: &LogicalPlan,
        source: usize,
        keys: &[datafusion::logical_expr::Expr],
        time: usize,
        watermark: &Watermark,
    ) -> Result<JoinSide> {
        let mut below = Compiler::new(self.flow, self.session);
        below.lower(plan)?;
        let mut schema = nullable(plan.schema().as_arrow());
        let width = schema.fields().len();
        let mut keys = self.expressions(keys, plan.schema())?;
        if keys.iter().any(|key| !key.is::<Column>()) {
            let own =
                schema.fields().iter().enumerate().map(|(at, field)| Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>);
            let expressions: Vec<_> = own.chain(keys.iter().cloned()).collect();
            let computed = keys.iter().enumerate().map(|(number, key)| {
                let data_type = key.data_type(&schema).map_err(super::plan_error)?;
                Ok(Arc::new(Field::new(format!("key {number}"), data_type, true)))
            });
            let computed = computed.collect::<Result<Vec<_>>>()?;
            keys = computed
                .iter()
                .enumerate()
                .map(|(at, field)| Arc::new(Column::new(field.name(), width + at)) as Arc<dyn PhysicalExpr>)
                .collect();
            schema = Arc::new(Schema::new(schema.fields().iter().cloned().chain(computed).collect::<Vec<_>>()));
            below.before.push(Step::Project { expressions, schema: Arc::clone(&schema) });
        }
        Ok(JoinSide {
            source,
            inputs: below.inputs,
            before: below.before,
            keys,
            width,
            time,
            schema,
            watermark_column: watermark.column.clone(),
            watermark_delay_us: micros_of(watermark.delay),
        })
    }
}
