//! Which functions the language has: those that do what Spark's function of the same name does.
//!
//! DataFusion has many more; a query that used one would not run on Spark, so the language doesn't know it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use super::arithmetic::{self, Operation};
use super::{
    arrays, average, avro, collections, count_distinct, csv, datetime, extreme_by, format, generators, json, math, moments, regexp, round,
    session, spans, sum, truncate, value_counts, window, window_time,
};
use crate::spark::value_counts::SORTED_TEXT;
use crate::syntax::{aggregates, idioms};

/// DataFusion's scalar functions that behave as Spark's.
const SCALAR: &[&str] = &[
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "btrim",
    "cbrt",
    "char_length",
    "character_length",
    "coalesce",
    "contains",
    "cos",
    "cosh",
    "cot",
    "current_date",
    "current_timestamp",
    "degrees",
    "exp",
    "greatest",
    "instr",
    "isnan",
    "least",
    "left",
    "ln",
    "log10",
    "log2",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "map",
    "map_keys",
    "map_values",
    "md5",
    "named_struct",
    "now",
    "nullif",
    "nvl2",
    "pi",
    "position",
    "power",
    "radians",
    "regexp_count",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "signum",
    "sin",
    "sinh",
    "split_part",
    "sqrt",
    "struct",
    "tan",
    "tanh",
    "translate",
    "trim",
    "upper",
    "uuid",
];

/// Aggregate functions that behave as Spark's.
const AGGREGATE: &[&str] = &[
    "approx_count_distinct",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "collect_list",
    "collect_set",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "kurtosis",
    "last_value",
    "max",
    "max_by",
    "mean",
    "median",
    "min",
    "min_by",
    "mode",
    "percentile",
    "percentile_approx",
    "percentile_cont",
    "percentile_disc",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "skewness",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "try_sum",
    "var_pop",
    "var_samp",
];

/// Functions with an OVER clause.
const WINDOW: &[&str] =
    &["cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number"];

/// Spark's other names of functions, and the name under which they are registered.
const ALIASES: &[(&str, &str)] = &[
    ("any", "bool_or"),
    ("any_value", "first_value"),
    ("approx_percentile", "percentile_approx"),
    ("array_agg", "collect_list"),
    ("chr", "char"),
    ("endswith", "ends_with"),
    ("every", "bool_and"),
    ("first", "first_value"),
    ("ifnull", "coalesce"),
    ("last", "last_value"),
    ("lcase", "lower"),
    ("len", "length"),
    ("listagg", "string_agg"),
    ("nvl", "coalesce"),
    ("sign", "signum"),
    ("some", "bool_or"),
    ("startswith", "starts_with"),
    ("std", "stddev"),
    ("substr", "substring"),
    ("try_avg", "avg"),
    ("ucase", "upper"),
    ("variance", "var_samp"),
];

/// Functions of datafusion-spark that Spark has under no such name, or of another kind.
const NOT_SPARKS: &[&str] = &["bitwise_not", "json_tuple", "spark_cast"];

/// Functions that only the rewriting of operators calls, by a name that a query can't.
const OPERATORS: &[&str] = &["bitwise_not"];

/// Functions whose value differs when they are asked again: a flow that uses one can't be replayed. Some of them only Spark has: they are
/// named here so that `check` says what to write instead.
pub const VOLATILE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "current_timezone",
    "localtimestamp",
    "now",
    "rand",
    "randn",
    "random",
    "randstr",
    "shuffle",
    "uniform",
    "unix_timestamp",
    "uuid",
];

/// Aggregate functions whose result may depend on the order of rows, by the names under which they are registered.
pub const ORDERED_AGGREGATES: &[&str] = &["collect_list", "collect_set", "first_value", "last_value", "max_by", "min_by", "string_agg"];

/// Aggregate functions that do what DISTINCT says, by the names under which they are registered; others pass over it.
pub const DISTINCT_AGGREGATES: &[&str] = &[
    "approx_count_distinct",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "collect_set",
    "count",
    "max",
    "min",
    "mode",
    "percentile",
    "percentile_approx",
    "percentile_cont",
    "percentile_disc",
    "sum",
    SORTED_TEXT,
];

/// The aggregate functions of this crate, to be registered over DataFusion's.
#[must_use]
pub fn own_aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    let mut functions = extreme_by::functions();
    functions.push(average::function());
    functions.push(count_distinct::function());
    functions.push(sum::function());
    functions.extend(moments::functions());
    functions.extend(value_counts::functions());
    functions
}

/// The scalar functions of this crate, to be registered over DataFusion's.
#[must_use]
pub fn own_scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions: Vec<_> = Operation::ALL.into_iter().map(arithmetic::function).collect();
    functions.push(window::function());
    functions.push(session::function());
    functions.push(window_time::function());
    functions.extend([spans::windows(), spans::window()]);
    functions.push(format::function());
    functions.push(avro::function());
    functions.push(round::function());
    functions.extend(datetime::functions());
    functions.extend(math::functions());
    functions.extend(truncate::functions());
    functions.extend(csv::functions());
    functions.extend(json::functions());
    functions.extend(collections::functions());
    functions.extend(arrays::functions());
    functions.extend(regexp::functions());
    functions.extend(generators::functions());
    functions
}

/// The names of all functions of the language, scalar, aggregate and window functions alike.
#[must_use]
pub fn names() -> BTreeSet<String> {
    let Kinds { scalar, aggregate, window, .. } = kinds();
    scalar.into_iter().chain(aggregate).chain(window).collect()
}

/// The names of the functions of each kind. Some are of two kinds.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// A value for each row.
    pub scalar: BTreeSet<String>,
    /// Those of them that a flow can't use, because a replay would give another value.
    pub volatile: BTreeSet<String>,
    /// A value for each group.
    pub aggregate: BTreeSet<String>,
    /// A value for each row, with an OVER clause.
    pub window: BTreeSet<String>,
}

/// The names of all functions by their kinds.
#[must_use]
pub fn kinds() -> Kinds {
    let with_aliases = |names: &[&str]| -> BTreeSet<String> {
        let aliases = ALIASES.iter().filter(|(_, registered)| names.contains(registered)).map(|(alias, _)| *alias);
        names.iter().copied().chain(aliases).map(str::to_owned).collect()
    };
    let (mut scalar, mut aggregate, window) = (with_aliases(SCALAR), with_aliases(AGGREGATE), with_aliases(WINDOW));
    scalar.extend(generators::NAMES.map(str::to_owned));
    scalar.extend(idioms::REWRITTEN.map(str::to_owned));
    aggregate.extend(aggregates::REWRITTEN.map(str::to_owned));
    let spark = datafusion_spark::all_default_scalar_functions();
    let own = own_scalar_functions();
    for function in spark.iter().chain(own.iter().filter(|f| !f.name().starts_with("spark_"))) {
        scalar.insert(function.name().to_owned());
        scalar.extend(function.aliases().iter().cloned());
    }
    scalar.retain(|name| !NOT_SPARKS.contains(&name.as_str()));
    scalar.extend(ALIASES.iter().map(|(alias, _)| (*alias).to_owned()).filter(|alias| !aggregate.contains(alias)));
    let volatile = scalar.iter().filter(|name| VOLATILE.contains(&name.as_str())).cloned().collect();
    Kinds { scalar, volatile, aggregate, window }
}

/// Whether the function stands for an operator.
#[must_use]
pub fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name)
}

/// The name under which a function of the language is registered.
#[must_use]
pub fn registered(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, registered)| registered)
}
