//! DataFusion sessions: one that speaks Spark, for flows and jobs, and one that speaks PostgreSQL, for people's queries.
//!
//! A session here knows functions, planning rules and settings; who asks for one registers its tables.

use datafusion::common::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_spark::SessionStateBuilderSpark;
use std::sync::Arc;

use crate::spark::functions;
use crate::spark::planner::{SparkOperators, SparkTypes};

/// A session for flows and jobs: Spark's functions, operators and null order, text as `Utf8`, all in one partition.
///
/// A plan of this crate is already analysed, and planning it again in such a session leaves its meaning as it is.
#[must_use]
pub fn spark_session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::Spark;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_min".to_owned();
    options.execution.enable_ansi_mode = true;
    settle_types(&mut config);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_spark_features()
        .with_type_planner(Arc::new(SparkTypes));
    state.expr_planners().get_or_insert_with(Vec::new).insert(0, Arc::new(SparkOperators));
    state.scalar_functions().get_or_insert_with(Vec::new).extend(functions::own_scalar_functions());
    state.aggregate_functions().get_or_insert_with(Vec::new).extend(functions::own_aggregate_functions());
    SessionContext::new_with_state(state.build())
}

/// A session for the SQL endpoint and `millstream sql`: PostgreSQL's dialect and null order, DataFusion's own functions and rules.
#[must_use]
pub fn postgres_session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2).with_information_schema(true);
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    settle_types(&mut config);
    SessionContext::new_with_config(config)
}

/// Text is `Utf8`, as the tables' specs say, and times are UTC.
fn settle_types(config: &mut SessionConfig) {
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
}
