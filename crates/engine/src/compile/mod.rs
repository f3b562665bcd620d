//! From a flow's logical plan to a [`Program`]: steps over record batches, planned once and run for every chunk.
//!
//! Nothing here plans per batch, and nothing here does I/O but the query over reference tables of a [`LookupJoin`], which runs
//! again when the reference data has changed. The shapes that can occur are those that `check` lets through (see
//! [`Flow::plan`](millstream_pipeline::graph::Flow)).

mod explode;
mod lookup;
mod shown;
mod steps;
mod streams;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, JoinType};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use millstream_core::{Error, Result};
use millstream_pipeline::ORDERED_AGGREGATES;
use millstream_pipeline::graph::{Flow, OutputMode, WindowKind};

pub use explode::Explode;
pub use lookup::LookupJoin;
pub use steps::{Rejects, Rows, Step, run};
pub use streams::{JoinSide, JoinStage};

/// What a flow does with each chunk.
pub struct Program {
    /// The source's columns that it reads, in the order in which the first step sees them. None where two streams are joined: each side has
    /// its own.
    pub inputs: Vec<String>,
    /// The join of two streams, where there is one: below all else.
    pub join: Option<Box<JoinStage>>,
    /// Steps on every row. Where there is an aggregation, the last one computes its groups and arguments.
    pub before: Vec<Step>,
    /// The windowed aggregations, each over the results of the one before.
    pub aggregations: Vec<AggregationStage>,
    /// The target's columns.
    pub output: SchemaRef,
}

/// An aggregation, and what is done with its results.
pub struct AggregationStage {
    /// The aggregation.
    pub aggregation: Aggregation,
    /// The columns that it is given: those of the last step before it.
    pub input: SchemaRef,
    /// Steps on the rows of closed or changed windows. Before a further aggregation, the last one computes that one's groups and arguments.
    pub after: Vec<Step>,
}

/// A windowed aggregation: group columns, then arguments, as the last step before it lays them out.
#[derive(Clone)]
pub struct Aggregation {
    /// How many group columns there are; they come first.
    pub groups: usize,
    /// Which of them is the window: a struct of start and end. Where windows overlap it is the last one that holds the row.
    pub window: usize,
    /// Which windows there are.
    pub kind: WindowKind,
    /// The column of the event time, where windows overlap.
    pub time: Option<usize>,
    /// The functions, with where their arguments are.
    pub functions: Vec<AggregateColumn>,
    /// The columns that it gives: groups, then results.
    pub output: SchemaRef,
    /// When it gives them.
    pub mode: OutputMode,
}

impl Aggregation {
    /// Whether a result depends on the order of rows.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.functions.iter().any(|f| f.is_ordered)
    }
}

/// One aggregate function of an [`Aggregation`].
#[derive(Clone)]
pub struct AggregateColumn {
    /// The function.
    pub function: Arc<AggregateFunctionExpr>,
    /// The columns of its arguments.
    pub arguments: std::ops::Range<usize>,
    /// The column of its `FILTER (WHERE ...)`, where it has one.
    pub filter: Option<usize>,
    /// Whether its result depends on the order of rows.
    pub is_ordered: bool,
}

/// A DataFusion error while planning: a defect, for `check` has planned this before.
pub(crate) fn plan_error(error: DataFusionError) -> Error {
    Error::internal("a checked query could not be planned").caused_by(error)
}

/// The same columns, all nullable: a delete carries only its key, so that nothing here may rely on NOT NULL.
pub(crate) fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| Field::clone(f).with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Plans `flow`. `output` are the target's columns.
pub fn compile(flow: &Flow, output: SchemaRef, session: &SessionState) -> Result<Program> {
    let mut compiler = Compiler::new(flow, session);
    compiler.lower(&flow.plan)?;
    let Compiler { inputs, join, before, aggregations, .. } = compiler;
    Ok(Program { inputs, join, before, aggregations, output })
}

/// The columns of the source table `source` that `plan` reads.
#[must_use]
pub fn scanned_columns(plan: &LogicalPlan, source: &str) -> Vec<String> {
    match plan {
        LogicalPlan::TableScan(scan) if scan.table_name.table() == source => {
            scan.projected_schema.fields().iter().map(|f| f.name().clone()).collect()
        }
        other => other.inputs().into_iter().flat_map(|input| scanned_columns(input, source)).collect(),
    }
}

struct Compiler<'a> {
    flow: &'a Flow,
    session: &'a SessionState,
    inputs: Vec<String>,
    join: Option<Box<JoinStage>>,
    before: Vec<Step>,
    aggregations: Vec<AggregationStage>,
}

impl<'a> Compiler<'a> {
    fn new(flow: &'a Flow, session: &'a SessionState) -> Self {
        Self { flow, session, inputs: Vec::new(), join: None, before: Vec::new(), aggregations: Vec::new() }
    }

    fn expression(&self, expr: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        create_physical_expr(expr, input, self.session.execution_props(), &PhysicalPlanningContext::default()).map_err(plan_error)
    }

    fn expressions(&self, exprs: &[Expr], input: &DFSchema) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        exprs.iter().map(|e| self.expression(e, input)).collect()
    }

    /// Adds a step above all that there are.
    fn add(&mut self, step: Step) {
        match (self.aggregations.last_mut(), &mut self.join) {
            (Some(stage), _) => stage.after.push(step),
            (None, Some(join)) => join.after.push(step),
            (None, None) => self.before.push(step),
        }
    }

    /// Lowers `plan` to steps, from the scan upwards.
    fn lower(&mut self, plan: &LogicalPlan) -> Result<()> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                self.inputs = scan.projected_schema.fields().iter().map(|f| f.name().clone()).collect();
                for filter in &scan.filters {
                    let predicate = self.expression(filter, &scan.projected_schema)?;
                    self.add(Step::Filter(predicate));
                }
            }
            LogicalPlan::SubqueryAlias(alias) => self.lower(&alias.input)?,
            LogicalPlan::Projection(projection) => {
                self.lower(&projection.input)?;
                let expressions = self.expressions(&projection.expr, projection.input.schema())?;
                self.add(Step::Project { expressions, schema: nullable(projection.schema.as_arrow()) });
            }
            LogicalPlan::Filter(filter) => {
                self.lower(&filter.input)?;
                let predicate = self.expression(&filter.predicate, filter.input.schema())?;
                self.add(Step::Filter(predicate));
            }
            LogicalPlan::Unnest(unnest) => {
                self.lower(&unnest.input)?;
                self.add(Step::Explode(Explode::of(unnest, &self.flow.id)?));
            }
            LogicalPlan::Join(join) => self.lower_join(join)?,
            LogicalPlan::Aggregate(aggregate) => self.lower_aggregate(aggregate)?,
            other => return Err(Error::internal(format!("flow {}: a streaming query can't hold {}", self.flow.id, other.display()))),
        }
        Ok(())
    }

    fn reads_source(&self, plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::TableScan(scan) => self.flow.reads(scan.table_name.table()),
            other => other.inputs().into_iter().any(|input| self.reads_source(input)),
        }
    }

    fn lower_join(&mut self, join: &Join) -> Result<()> {
        let stream_left = self.reads_source(&join.left);
        if let Some(streams) = &self.flow.join
            && stream_left
            && self.reads_source(&join.right)
        {
            return self.lower_stream_join(join, streams);
        }
        let (stream, reference) = if stream_left { (&join.left, &join.right) } else { (&join.right, &join.left) };
        let outer = match (join.join_type, stream_left) {
            (JoinType::Inner, _) => false,
            (JoinType::Left, true) | (JoinType::Right, false) => true,
            (other, _) => return Err(Error::internal(format!("flow {}: a stream can't be joined by {other}", self.flow.id))),
        };
        self.lower(stream)?;
        let (mut stream_keys, mut reference_keys) = (Vec::new(), Vec::new());
        for (left, right) in &join.on {
            let (of_stream, of_reference) = if stream_left { (left, right) } else { (right, left) };
            stream_keys.push(self.expression(of_stream, stream.schema())?);
            reference_keys.push(self.expression(of_reference, reference.schema())?);
        }
        let filter = join.filter.as_ref().map(|f| self.expression(f, &join.schema)).transpose()?;
        let schema = nullable(join.schema.as_arrow());
        let join = LookupJoin::new(lookup::Settings {
            reference: reference.as_ref().clone(),
            stream_keys,
            reference_keys,
            filter,
            outer,
            stream_left,
            null_equals_null: matches!(join.null_equality, datafusion::common::NullEquality::NullEqualsNull),
            schema,
        });
        self.add(Step::Join(Box::new(join)));
        Ok(())
    }

    fn lower_aggregate(&mut self, aggregate: &Aggregate) -> Result<()> {
        self.lower(&aggregate.input)?;
        let input = aggregate.input.schema();
        let mut windows = self.flow.inner_windows.iter().chain(&self.flow.window);
        let window = windows
            .nth(self.aggregations.len())
            .ok_or_else(|| Error::internal(format!("flow {}: an aggregate without a window", self.flow.id)))?;
        let mut expressions = self.expressions(&aggregate.group_expr, input)?;
        let groups = expressions.len();
        let mut functions = Vec::new();
        for expr in &aggregate.aggr_expr {
            let planning = PhysicalPlanningContext::default();
            let lowered = LoweredAggregateBuilder::new(expr, input, input.as_arrow(), self.session.execution_props(), &planning)
                .build()
                .map_err(plan_error)?;
            let first = expressions.len();
            expressions.extend(lowered.aggregate.expressions());
            let arguments = first..expressions.len();
            let filter = lowered.filter.map(|f| {
                expressions.push(f);
                expressions.len() - 1
            });
            let is_ordered = ORDERED_AGGREGATES.contains(&lowered.aggregate.fun().name());
            functions.push(AggregateColumn { function: lowered.aggregate, arguments, filter, is_ordered });
        }
        let time = match (window.kind, &aggregate.group_expr[window.group]) {
            (WindowKind::Fixed(windows), Expr::ScalarFunction(call)) if windows.overlap() => {
                let time = call.args.first().ok_or_else(|| Error::internal("a window is of no time"))?;
                expressions.push(self.expression(time, input)?);
                Some(expressions.len() - 1)
            }
            _ => None,
        };
        let fields = expressions.iter().enumerate().map(|(i, e)| {
            let data_type = e.data_type(input.as_arrow()).map_err(plan_error)?;
            Ok(Field::new(format!("column {i}"), data_type, true))
        });
        let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
        self.add(Step::Project { expressions, schema: Arc::clone(&schema) });
        let output = nullable(aggregate.schema.as_arrow());
        let aggregation = Aggregation { groups, window: window.group, kind: window.kind, time, functions, output, mode: self.flow.mode };
        self.aggregations.push(AggregationStage { aggregation, input: schema, after: Vec::new() });
        Ok(())
    }
}
