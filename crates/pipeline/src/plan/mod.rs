//! From a query's syntax tree to a logical plan: names resolved, types coerced as Spark does, and optimised without
//! losing the shape that `graph` promises.

mod aggregates;
mod errors;
pub(crate) mod expressions;
mod literals;
mod promotion;
mod windows;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Column, DataFusionError, Result as PlanResult, TableReference, plan_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, TableType, WindowUDF, cast,
};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::{Query, Select, SetExpr, Statement};
use millstream_core::table::timestamp_type;

use crate::diagnostic::Problem;
use crate::session;
use crate::spark::planner::SparkTypes;
use crate::spark::written_cast::NamesWithCasts;
use crate::spark::{cast as spark_cast, frequency, functions, generators};
use crate::syntax::statement::WrittenQuery;
use crate::syntax::type_names;

/// Plans queries over the relations that it has been told of.
pub(crate) struct Planner {
    state: SessionState,
    functions: BTreeSet<String>,
    relations: BTreeMap<String, Arc<dyn TableSource>>,
}

impl Planner {
    pub(crate) fn new() -> Self {
        Self { state: session::spark_session().state(), functions: functions::names(), relations: BTreeMap::new() }
    }

    pub(crate) fn add_table(&mut self, name: &str, schema: SchemaRef) {
        self.relations.insert(name.to_owned(), Arc::new(Declared { schema }));
    }

    pub(crate) fn add_view(&mut self, name: &str, plan: LogicalPlan) {
        let schema = Arc::clone(plan.schema().inner());
        self.relations.insert(name.to_owned(), Arc::new(View { plan, schema }));
    }

    pub(crate) fn function_names(&self) -> &BTreeSet<String> {
        &self.functions
    }

    /// The plan of `query` as written: names resolved, types not yet coerced. What a view is.
    pub(crate) fn plan(&self, file: usize, query: &WrittenQuery) -> Result<LogicalPlan, Vec<Problem>> {
        self.plan_one(query.query.as_ref()).or_else(|error| self.plan_with_named_casts(&query.query, error)).map_err(|error| {
            let mut problems = errors::problems(file, query, &error);
            // DataFusion stops at the first clause that is wrong: see whether another one is, too.
            for other in without_a_clause(&query.query) {
                if let Err(error) = self.plan_one(&other) {
                    problems.extend(errors::problems(file, query, &error).into_iter().filter(Problem::is_about_a_name));
                }
            }
            problems
        })
    }

    fn plan_one(&self, query: &Query) -> PlanResult<LogicalPlan> {
        self.plan_by(query, self.state.expr_planners())
    }

    /// Plans a query again whose columns have the same name, with casts in the names of aggregates: perhaps that is all that they differ in.
    fn plan_with_named_casts(&self, query: &Query, error: DataFusionError) -> PlanResult<LogicalPlan> {
        if !errors::is_duplicate_name(&error) {
            return Err(error);
        }
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(NamesWithCasts)];
        planners.extend(self.state.expr_planners().iter().cloned());
        self.plan_by(query, &planners).map_err(|_| error)
    }

    fn plan_by(&self, query: &Query, expr_planners: &[Arc<dyn ExprPlanner>]) -> PlanResult<LogicalPlan> {
        let catalog = Catalog { planner: self, expr_planners };
        SqlToRel::new(&catalog)
            .sql_statement_to_plan(Statement::Query(Box::new(query.clone())))
            .and_then(literals::narrow)
            .and_then(promotion::promote)
    }

    /// `plan` with its types coerced.
    pub(crate) fn analyze(&self, file: usize, query: &WrittenQuery, plan: LogicalPlan) -> Result<LogicalPlan, Vec<Problem>> {
        let options = self.state.config_options();
        let analyzed = self.state.analyzer().execute_and_check(plan, options, |_, _| {});
        let rewritten = analyzed.and_then(spark_cast::rewrite).and_then(frequency::check).and_then(aggregates::lift_aliases);
        rewritten.map_err(|error| errors::problems(file, query, &error))
    }

    /// The analysed `plan` of a batch query with its groups of windows in terms of what DataFusion runs.
    pub(crate) fn expand_windows(&self, file: usize, query: &WrittenQuery, plan: LogicalPlan) -> Result<LogicalPlan, Vec<Problem>> {
        windows::expand(plan).map_err(|error| errors::problems(file, query, &error))
    }

    /// `plan` with its constants folded, its filters near their source and unused columns pruned. No node changes its kind. Where the
    /// result is not `sound`, for a filter on a group's column has passed the aggregate, filters stay where they are.
    pub(crate) fn optimize(
        &self,
        file: usize,
        query: &WrittenQuery,
        plan: LogicalPlan,
        sound: &dyn Fn(&LogicalPlan) -> bool,
    ) -> Result<LogicalPlan, Vec<Problem>> {
        let optimized = self.optimized(file, query, plan.clone(), true)?;
        if sound(&optimized) { Ok(optimized) } else { self.optimized(file, query, plan, false) }
    }

    fn optimized(&self, file: usize, query: &WrittenQuery, plan: LogicalPlan, move_filters: bool) -> Result<LogicalPlan, Vec<Problem>> {
        let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
            vec![Arc::new(SimplifyExpressions::new()), Arc::new(ExtractEquijoinPredicate::new()), Arc::new(EliminateCrossJoin::new())];
        if move_filters {
            rules.push(Arc::new(PushDownFilter::new()));
        }
        rules.push(Arc::new(OptimizeProjections::new()));
        let optimized = Optimizer::with_rules(rules).optimize(plan, &self.state, |_, _| {});
        optimized.and_then(aggregates::lift_aliases).map_err(|error| errors::problems(file, query, &error))
    }
}

/// `query` without its WHERE, and without its GROUP BY and HAVING.
fn without_a_clause(query: &Query) -> Vec<Query> {
    let without = |change: &dyn Fn(&mut Select)| {
        let mut query = query.clone();
        if let SetExpr::Select(select) = query.body.as_mut() {
            change(select);
        }
        query
    };
    vec![without(&|select| select.selection = None), without(&|select| select.having = None)]
}

/// `plan` under a projection that gives it exactly these columns: index in the plan, name, type.
pub(crate) fn project(plan: LogicalPlan, columns: &[(usize, String, DataType)]) -> PlanResult<LogicalPlan> {
    let expressions: Vec<Expr> = columns
        .iter()
        .map(|(index, name, data_type)| {
            let (qualifier, field) = plan.schema().qualified_field(*index);
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            let typed = if field.data_type() == data_type { column } else { cast(column, data_type.clone()) };
            typed.alias(name)
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}

/// The type as which a table's column holds values of `data_type`; `None` if it can't.
pub(crate) fn column_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, Some(_)) => timestamp_type(),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Dictionary(_, values) => return column_type(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(type_names::item_field(column_type(item.data_type())?))
        }
        DataType::Struct(fields) => {
            let member = |f: &FieldRef| Some(Field::new(f.name(), column_type(f.data_type())?, f.is_nullable()));
            DataType::Struct(fields.iter().map(member).collect::<Option<_>>()?)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                type_names::map_type(column_type(pair[0].data_type())?, column_type(pair[1].data_type())?)
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// A table. It takes no filter upon itself, so that each stays a `Filter` above its scan, as `graph` promises.
struct Declared {
    schema: SchemaRef,
}

impl TableSource for Declared {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A temporary view: wherever it is read, its plan stands.
struct View {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for View {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// What DataFusion's planner gets to see: our relations, and the functions of the language.
struct Catalog<'a> {
    planner: &'a Planner,
    expr_planners: &'a [Arc<dyn ExprPlanner>],
}

impl Catalog<'_> {
    /// Functions of the language; and those that `syntax::generators` writes, which nobody else can, for no name of the language begins so.
    fn knows(&self, function: &str) -> bool {
        self.planner.functions.contains(function) || functions::is_operator(function) || function.starts_with(generators::PREFIX)
    }
}

impl ContextProvider for Catalog<'_> {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        match self.planner.relations.get(name.table()) {
            Some(source) if name.schema().is_none() => Ok(Arc::clone(source)),
            _ => plan_err!("there is no table {name}"),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.expr_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(SparkTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.planner.state.scalar_functions().get(functions::registered(name)).filter(|_| self.knows(name)).cloned()
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.planner.state.aggregate_functions().get(functions::registered(name)).filter(|_| self.knows(name)).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.planner.state.window_functions().get(functions::registered(name)).filter(|_| self.knows(name)).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.planner.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.planner.functions.iter().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
