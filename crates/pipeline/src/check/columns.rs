//! The columns that a query gives, and those that its table has.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;

use super::tables::sql_type;
use crate::diagnostic::{Place, Problem};
use crate::plan;
use crate::suggest;
use crate::syntax::statement::{Head, WrittenQuery};

/// A column that a query gives.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) name: String,
    /// Its type as a table's column.
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
}

/// The columns of an analysed plan, if a table can have them.
pub(super) fn outputs(file: usize, query: &WrittenQuery, plan: &LogicalPlan) -> Result<Vec<Output>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut outputs: Vec<Output> = Vec::new();
    for field in plan.schema().fields() {
        let place = || word_place(file, query, field.name());
        if outputs.iter().any(|o| o.name == *field.name()) {
            problems.push(
                Problem::new("millstream::duplicate_column", place(), format!("the query gives two columns `{}`", field.name()))
                    .help("give one of them another name with AS"),
            );
            continue;
        }
        match plan::column_type(field.data_type()) {
            Some(data_type) => outputs.push(Output { name: field.name().clone(), data_type, nullable: field.is_nullable() }),
            None => {
                let message = format!("column `{}` has type {}, which a table can't hold yet", field.name(), sql_type(field.data_type()));
                let help = match field.data_type() {
                    DataType::Struct(fields) => {
                        let fields: Vec<_> = fields.iter().map(|f| format!("{}.{}", field.name(), f.name())).collect();
                        format!("select its fields: {}", suggest::list(fields.iter().map(String::as_str)))
                    }
                    DataType::Null => format!("give it a type: CAST(NULL AS STRING) AS {}", field.name()),
                    _ => "cast it to a simple type, such as STRING".to_owned(),
                };
                problems.push(Problem::new("millstream::unsupported_type", place(), message).help(help));
            }
        }
    }
    if problems.is_empty() { Ok(outputs) } else { Err(problems) }
}

/// The last place where the query has a word: a column's name stands behind its expression.
fn word_place(file: usize, query: &WrittenQuery, word: &str) -> Place {
    let select_list = query.tokens.iter().take_while(|t| !crate::syntax::cursor::is_word(&t.token, "FROM"));
    let named = |t: &&datafusion::sql::sqlparser::tokenizer::TokenWithSpan| matches!(&t.token, datafusion::sql::sqlparser::tokenizer::Token::Word(w) if w.value.eq_ignore_ascii_case(word));
    select_list.filter(named).last().map_or(query.place, |t| Place::new(file, t.span))
}

/// The columns of a table: declared, or those of its query.
pub(super) fn target_schema(head: &Head, outputs: &[Output]) -> Result<SchemaRef, Vec<Problem>> {
    let Some(declared) = &head.columns else {
        let fields: Vec<_> = outputs.iter().map(|o| Field::new(&o.name, o.data_type.clone(), o.nullable)).collect();
        return Ok(Arc::new(Schema::new(fields)));
    };
    Ok(super::tables::schema(declared))
}

/// `plan` with exactly the columns of the table, matched by name.
pub(super) fn fit(
    file: usize,
    query: &WrittenQuery,
    plan: LogicalPlan,
    outputs: &[Output],
    schema: &SchemaRef,
) -> Result<LogicalPlan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let Some(index) = outputs.iter().position(|o| o.name == *field.name()) else {
            let given = format!("the query gives {}", suggest::list(outputs.iter().map(|o| o.name.as_str())));
            let message = format!("the query does not give column `{}` of the table", field.name());
            problems
                .push(Problem::new("millstream::missing_column", select_place(file, query), message).help(format!("select it; {given}")));
            continue;
        };
        let Some(output) = outputs.get(index) else { continue };
        let place = word_place(file, query, &output.name);
        if !widens(&output.data_type, field.data_type()) {
            let (from, to) = (sql_type(&output.data_type), sql_type(field.data_type()));
            let message = format!("column `{}` has type {from} here, but {to} in the table", field.name());
            problems.push(Problem::new("millstream::type_mismatch", place, message).help(format!(
                "write CAST({} AS {to}) AS {}",
                field.name(),
                field.name()
            )));
        } else if output.nullable && !field.is_nullable() {
            let message = format!("column `{}` of the table is NOT NULL, but may be null here", field.name());
            problems.push(
                Problem::new("millstream::nullable", place, message)
                    .help("write coalesce(..., a default), or declare the column without NOT NULL"),
            );
        }
        columns.push((index, field.name().clone(), field.data_type().clone()));
    }
    for output in outputs.iter().filter(|o| schema.field_with_name(&o.name).is_err()) {
        let listed = format!("the table has {}", suggest::list(schema.fields().iter().map(|f| f.name().as_str())));
        let message = format!("the table has no column `{}`", output.name);
        problems.push(
            Problem::new("millstream::unknown_column", word_place(file, query, &output.name), message).help(suggest::did_you_mean(
                &output.name,
                schema.fields().iter().map(|f| f.name().as_str()),
                &listed,
            )),
        );
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    plan::project(plan, &columns).map_err(|error| {
        vec![Problem::new("millstream::internal", query.place, format!("the query can't be fitted to its table: {error}"))]
    })
}

fn select_place(file: usize, query: &WrittenQuery) -> Place {
    let select = query.tokens.iter().find(|t| crate::syntax::cursor::is_word(&t.token, "SELECT"));
    select.map_or(query.place, |t| Place::new(file, t.span))
}

/// Whether every value of `from` is a value of `to`: the casts that Spark makes by itself when it stores a row, as far as none can fail.
fn widens(from: &DataType, to: &DataType) -> bool {
    let rank = |t: &DataType| match t {
        DataType::Int8 => Some(1),
        DataType::Int16 => Some(2),
        DataType::Int32 => Some(3),
        DataType::Int64 => Some(4),
        _ => None,
    };
    match (from, to) {
        _ if from == to => true,
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Float32, DataType::Float64) => true,
        (DataType::Int8 | DataType::Int16, DataType::Float32) => true,
        (DataType::Date32, DataType::Timestamp(..)) => true,
        (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) => {
            s2 >= s1 && i16::from(*p2) - i16::from(*s2) >= i16::from(*p1) - i16::from(*s1)
        }
        _ => rank(from).zip(rank(to)).is_some_and(|(f, t)| f <= t),
    }
}
