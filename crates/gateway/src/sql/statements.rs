//! Which statements are let through: those that only read. And what is put in another way for DataFusion. Pure.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, visit_expressions_mut,
};

/// What a refused statement is called, for the message (`cannot execute INSERT ...`); `None`: it is let through.
///
/// The list is of what is allowed, so that a statement that a later parser learns is refused until it is looked at.
pub(crate) fn refused(statement: &Statement) -> Option<String> {
    match statement {
        Statement::Query(query) => refused_query(query),
        Statement::Explain { statement, .. } => refused(statement),
        Statement::Prepare { statement, .. } => refused(statement),
        Statement::Declare { stmts } => stmts.iter().filter_map(|d| d.for_query.as_deref()).find_map(refused_query),
        Statement::Execute { .. }
        | Statement::Deallocate { .. }
        | Statement::Discard { .. }
        | Statement::Fetch { .. }
        | Statement::Close { .. }
        | Statement::ExplainTable { .. }
        | Statement::Set(_)
        | Statement::Reset(_)
        | Statement::ShowVariable { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowCatalogs { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowFunctions { .. }
        | Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. } => None,
        other => Some(first_words(other)),
    }
}

/// A query can write too: `SELECT INTO`, and INSERT, UPDATE or DELETE in a WITH clause or as the query itself.
fn refused_query(query: &Query) -> Option<String> {
    let with = query.with.iter().flat_map(|with| &with.cte_tables).find_map(|cte| refused_query(&cte.query));
    with.or_else(|| refused_body(&query.body))
}

fn refused_body(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => refused_select(select),
        SetExpr::Query(query) => refused_query(query),
        SetExpr::SetOperation { left, right, .. } => refused_body(left).or_else(|| refused_body(right)),
        SetExpr::Values(_) | SetExpr::Table(_) => None,
        SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) | SetExpr::Merge(statement) => {
            Some(first_words(statement))
        }
    }
}

fn refused_select(select: &Select) -> Option<String> {
    select.into.as_ref().map(|_| "SELECT INTO".to_owned())
}

/// `CREATE TABLE`, `INSERT`, `COPY`: the leading words in capitals, at most two.
fn first_words(statement: &Statement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    match words.as_slice() {
        [verb @ ("CREATE" | "DROP" | "ALTER"), object] => format!("{verb} {object}"),
        [verb, ..] => (*verb).to_owned(),
        [] => "this statement".to_owned(),
    }
}

/// `ARRAY(SELECT x FROM t WHERE ...)`, which DataFusion has not, as `(SELECT array_agg(x) FROM t WHERE ...)`, of which it has the correlated
/// form too. A sub-query for which that would not be the same is left as it is.
pub(crate) fn aggregate_array_subqueries(statement: &mut Statement) {
    _ = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && function.name.to_string().eq_ignore_ascii_case("array")
            && let FunctionArguments::Subquery(query) = &function.args
            && let Some(aggregated) = aggregated(query)
        {
            *expr = Expr::Subquery(Box::new(aggregated));
        }
        ControlFlow::<()>::Continue(())
    });
}

fn aggregated(query: &Query) -> Option<Query> {
    let mut query = query.clone();
    if query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || select.distinct.is_some() {
        return None;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_mut_slice() else {
        return None;
    };
    let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(item.clone()));
    *item = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("array_agg")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args: vec![argument], clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
    Some(query)
}

/// The text of a literal or bare word, as clients write settings' values.
pub(crate) fn literal(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.to_string()),
        Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string().trim_matches(['\'', '"']).to_owned(),
    }
}

#[cfg(test)]
mod tests;
