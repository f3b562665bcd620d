//! Which statements are let through: those that only read. Pure.

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, SetExpr, Statement};

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
