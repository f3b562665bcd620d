//! Expressions as text that is Millstream's own: each column by what it is computed from, down to the tables.

use std::cell::RefCell;
use std::collections::BTreeMap;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case, Exists, InSubquery};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::check::tables::sql_type;
use crate::spark::cast;
use crate::spark::frequency::CHECKED_FREQUENCY;

/// A longer text of a computed column is cut, and told from others by its digest: a column that is used twice on each of many levels
/// would else grow beyond all bounds.
const COLUMN_CHARS_MAX: usize = 600;

/// Writes expressions, and remembers which columns of tables they read.
#[derive(Default)]
pub(super) struct Writer {
    read: RefCell<BTreeMap<(String, String), String>>,
}

impl Writer {
    /// The columns of `table` that were read, with their types, by name.
    pub(super) fn read_of(&self, table: &str) -> Vec<String> {
        let read = self.read.borrow();
        read.iter().filter(|((of, _), _)| of == table).map(|((_, column), data_type)| format!("{column} {data_type}")).collect()
    }

    /// An expression over the columns of `input`.
    pub(super) fn expression(&self, expr: &Expr, input: &LogicalPlan) -> String {
        let text = |e: &Expr| self.expression(e, input);
        match expr {
            Expr::Alias(alias) => text(&alias.expr),
            Expr::Column(column) => self.named(column, input),
            Expr::Literal(value, _) => literal(value),
            Expr::BinaryExpr(binary) => format!("({} {} {})", text(&binary.left), binary.op, text(&binary.right)),
            Expr::Like(like) | Expr::SimilarTo(like) => {
                let word = match (expr, like.case_insensitive) {
                    (Expr::SimilarTo(_), _) => "SIMILAR TO",
                    (_, true) => "ILIKE",
                    _ => "LIKE",
                };
                let escape = like.escape_char.map(|c| format!(" ESCAPE '{c}'")).unwrap_or_default();
                format!("({} {}{word} {}{escape})", text(&like.expr), not(like.negated), text(&like.pattern))
            }
            Expr::Not(e) => format!("(NOT {})", text(e)),
            Expr::IsNull(e) => format!("({} IS NULL)", text(e)),
            Expr::IsNotNull(e) => format!("({} IS NOT NULL)", text(e)),
            Expr::IsTrue(e) => format!("({} IS TRUE)", text(e)),
            Expr::IsNotTrue(e) => format!("({} IS NOT TRUE)", text(e)),
            Expr::IsFalse(e) => format!("({} IS FALSE)", text(e)),
            Expr::IsNotFalse(e) => format!("({} IS NOT FALSE)", text(e)),
            Expr::IsUnknown(e) => format!("({} IS UNKNOWN)", text(e)),
            Expr::IsNotUnknown(e) => format!("({} IS NOT UNKNOWN)", text(e)),
            Expr::Negative(e) => format!("(- {})", text(e)),
            Expr::Between(b) => format!("({} {}BETWEEN {} AND {})", text(&b.expr), not(b.negated), text(&b.low), text(&b.high)),
            Expr::InList(l) => format!("({} {}IN ({}))", text(&l.expr), not(l.negated), self.list(&l.list, input)),
            Expr::Case(case) => self.case(case, input),
            Expr::Cast(of) => format!("CAST({} AS {})", text(&of.expr), sql_type(of.field.data_type())),
            Expr::TryCast(of) => format!("TRY_CAST({} AS {})", text(&of.expr), sql_type(of.field.data_type())),
            // What stands around a frequency is not written.
            Expr::ScalarFunction(call) if call.func.name() == CHECKED_FREQUENCY => self.list(call.args.get(..1).unwrap_or_default(), input),
            Expr::ScalarFunction(call) => match cast::written(call) {
                Some((word, data_type)) => format!("{word}({} AS {})", self.list(&call.args, input), sql_type(&data_type)),
                None => format!("{}({})", call.func.name(), self.list(&call.args, input)),
            },
            Expr::AggregateFunction(call) => self.aggregate(call, input),
            // Not part of a streaming query; in the query of reference data its own words are the best there are. They leave out queries.
            Expr::InSubquery(InSubquery { subquery, .. }) | Expr::Exists(Exists { subquery, .. }) | Expr::ScalarSubquery(subquery) => {
                let query = subquery.subquery.display_indent().to_string();
                format!("{expr} #{:016x}", digest(query.as_bytes()))
            }
            other => other.to_string(),
        }
    }

    fn list(&self, exprs: &[Expr], input: &LogicalPlan) -> String {
        exprs.iter().map(|e| self.expression(e, input)).collect::<Vec<_>>().join(", ")
    }

    fn case(&self, case: &Case, input: &LogicalPlan) -> String {
        let text = |e: &Expr| self.expression(e, input);
        let of = case.expr.as_ref().map(|e| format!(" {}", text(e))).unwrap_or_default();
        let arms: String = case.when_then_expr.iter().map(|(when, then)| format!(" WHEN {} THEN {}", text(when), text(then))).collect();
        let rest = case.else_expr.as_ref().map(|e| format!(" ELSE {}", text(e))).unwrap_or_default();
        format!("CASE{of}{arms}{rest} END")
    }

    fn aggregate(&self, call: &AggregateFunction, input: &LogicalPlan) -> String {
        let params = &call.params;
        let distinct = if params.distinct { "DISTINCT " } else { "" };
        let order = |s: &datafusion::logical_expr::expr::Sort| {
            let nulls = if s.nulls_first { "FIRST" } else { "LAST" };
            format!("{} {} NULLS {nulls}", self.expression(&s.expr, input), if s.asc { "ASC" } else { "DESC" })
        };
        let order: Vec<_> = params.order_by.iter().map(order).collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let nulls = params.null_treatment.map(|nulls| format!(" {nulls}")).unwrap_or_default();
        let filter = params.filter.as_ref().map(|f| format!(" FILTER (WHERE {})", self.expression(f, input))).unwrap_or_default();
        format!("{}({distinct}{}{order}){nulls}{filter}", call.func.name(), self.list(&params.args, input))
    }

    fn named(&self, column: &Column, input: &LogicalPlan) -> String {
        match input.schema().maybe_index_of_column(column) {
            Some(index) => bounded(self.column(input, index)),
            None => column.name.clone(),
        }
    }

    /// What the column `index` of `plan` is computed from.
    pub(super) fn column(&self, plan: &LogicalPlan, index: usize) -> String {
        match plan {
            LogicalPlan::Projection(p) => p.expr.get(index).map_or_else(String::new, |e| self.expression(e, &p.input)),
            LogicalPlan::Aggregate(a) => {
                let expr = a.group_expr.iter().chain(&a.aggr_expr).nth(index);
                expr.map_or_else(String::new, |e| self.expression(e, &a.input))
            }
            LogicalPlan::Join(join) => {
                let left = join.left.schema().fields().len();
                if index < left { self.column(&join.left, index) } else { self.column(&join.right, index - left) }
            }
            LogicalPlan::Unnest(unnest) => match unnest.dependency_indices.get(index) {
                Some(from) if unnest.list_type_columns.iter().any(|(list, _)| list == from) => {
                    format!("item({})", self.column(&unnest.input, *from))
                }
                Some(from) => self.column(&unnest.input, *from),
                None => String::new(),
            },
            LogicalPlan::TableScan(scan) => {
                let table = scan.table_name.table().to_owned();
                let Some(field) = scan.projected_schema.fields().get(index) else { return table };
                let text = format!("{table}.{}", field.name());
                self.read.borrow_mut().insert((table, field.name().clone()), sql_type(field.data_type()));
                text
            }
            // Filters, other names, orders: the columns are those of what is below.
            other => match other.inputs().as_slice() {
                [input] if input.schema().fields().len() == other.schema().fields().len() => self.column(input, index),
                _ => other.schema().fields().get(index).map_or_else(String::new, |f| f.name().clone()),
            },
        }
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn literal(value: &ScalarValue) -> String {
    match value {
        v if v.is_null() => "NULL".to_owned(),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarValue::Boolean(Some(flag)) => flag.to_string().to_uppercase(),
        ScalarValue::Int32(Some(n)) => n.to_string(),
        ScalarValue::Int64(Some(n)) => format!("{n}L"),
        // DataFusion shows the beginning of bytes.
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("X'{hex}'")
        }
        ScalarValue::FixedSizeBinary(_, Some(bytes)) => literal(&ScalarValue::Binary(Some(bytes.clone()))),
        other => format!("{} {other}", sql_type(&other.data_type())),
    }
}

/// `text`, or its beginning and its digest.
fn bounded(text: String) -> String {
    if text.len() <= COLUMN_CHARS_MAX {
        return text;
    }
    let beginning: String = text.chars().take(60).collect();
    format!("{beginning}...#{:016x}", digest(text.as_bytes()))
}

/// FNV-1a with 64 bits (RFC 9923): the same in every build.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
