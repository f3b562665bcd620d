//! The statement heads that sqlparser doesn't know: `CREATE STREAMING TABLE`, `CREATE FLOW`, and the clauses before a query.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Cursor;
use super::statement::{Column, Head, Name, Setting, Statement, Written};
use super::type_names;
use super::{functions, query};
use crate::diagnostic::Problem;

const STATEMENTS: &str =
    "a pipeline has CREATE TABLE, CREATE STREAMING TABLE, CREATE FLOW, CREATE MATERIALIZED VIEW, CREATE TEMPORARY VIEW and CREATE FUNCTION";

/// Reads one statement.
pub(crate) fn parse(file: usize, tokens: &[TokenWithSpan]) -> Result<Statement, Problem> {
    let mut cursor = Cursor::new(file, tokens);
    let begin = cursor.place();
    if !cursor.eat_words(&["CREATE"]) {
        return Err(Problem::new("millstream::unknown_statement", begin, "expected a CREATE statement").help(STATEMENTS));
    }
    let refresh = cursor.eat_words(&["OR", "REFRESH"]);
    let replace = !refresh && cursor.eat_words(&["OR", "REPLACE"]);
    let kind = cursor.place();
    let (statement, form) = if cursor.eat_words(&["STREAMING", "TABLE"]) {
        let form = "CREATE STREAMING TABLE t USING cassandra PARTITIONED BY (column) AS SELECT ... FROM STREAM events";
        (streaming_table(&mut cursor), form)
    } else if cursor.eat_words(&["MATERIALIZED", "VIEW"]) {
        let form = "CREATE MATERIALIZED VIEW v USING postgresql TBLPROPERTIES ('primary_key' = 'column') AS SELECT ... FROM t";
        (materialized_view(&mut cursor), form)
    } else if cursor.eat_words(&["TEMPORARY", "VIEW"]) || cursor.eat_words(&["TEMP", "VIEW"]) {
        (view(&mut cursor), "CREATE TEMPORARY VIEW v AS SELECT ... FROM t")
    } else if cursor.eat_words(&["FUNCTION"]) || cursor.eat_words(&["TEMPORARY", "FUNCTION"]) {
        (functions::function(&mut cursor), "CREATE FUNCTION f(x DOUBLE) RETURNS DOUBLE RETURN x * 2")
    } else if cursor.eat_words(&["FLOW"]) {
        (flow(&mut cursor), "CREATE FLOW f AS INSERT INTO t BY NAME SELECT ... FROM STREAM events")
    } else if cursor.eat_words(&["TABLE"]) {
        (table(&mut cursor), "CREATE TABLE t (column TYPE, ...) USING kafka OPTIONS (subscribe 'topic', value.format 'json')")
    } else {
        return Err(other_statement(&mut cursor));
    };
    let statement = statement.map_err(|p| if p.help.is_some() { p } else { p.help(format!("the form is {form}")) });
    if replace && !matches!(statement, Ok(Statement::View(..) | Statement::Function(_)) | Err(_)) {
        return Err(
            Problem::new("millstream::syntax", kind, "OR REPLACE is for temporary views and functions").help("leave OR REPLACE out")
        );
    }
    statement
}

fn other_statement(cursor: &mut Cursor) -> Problem {
    let place = cursor.place();
    if cursor.eat_words(&["VIEW"]) {
        return Problem::new("millstream::unknown_statement", place, "a pipeline has no permanent views")
            .help("write CREATE TEMPORARY VIEW for a named sub-query, or CREATE MATERIALIZED VIEW for a report");
    }
    if cursor.eat_words(&["STREAMING"]) {
        return cursor.expected("`TABLE` after CREATE STREAMING").help(STATEMENTS);
    }
    if cursor.eat_words(&["MATERIALIZED"]) {
        return cursor.expected("`VIEW` after CREATE MATERIALIZED").help(STATEMENTS);
    }
    if cursor.eat_words(&["TEMPORARY"]) {
        return cursor.expected("`VIEW` after CREATE TEMPORARY").help(STATEMENTS);
    }
    let found = cursor.peek().map_or_else(|| "nothing".to_owned(), |t| format!("`{t}`"));
    Problem::new("millstream::unknown_statement", place, format!("CREATE is followed by {found}")).help(STATEMENTS)
}

fn table(cursor: &mut Cursor) -> Result<Statement, Problem> {
    let head = head(cursor)?;
    if cursor.at_words(&["AS"]) {
        return Err(Problem::new("millstream::syntax", cursor.place(), "CREATE TABLE has no query")
            .help("write CREATE STREAMING TABLE for a flow, or CREATE MATERIALIZED VIEW for a batch job"));
    }
    end(cursor)?;
    Ok(Statement::Table(head))
}

fn streaming_table(cursor: &mut Cursor) -> Result<Statement, Problem> {
    let head = head(cursor)?;
    if cursor.is_done() {
        return Ok(Statement::StreamingTable(head, None));
    }
    if !cursor.eat_words(&["AS"]) {
        return Err(unexpected_clause(cursor));
    }
    Ok(Statement::StreamingTable(head, Some(query::parse(cursor)?)))
}

fn materialized_view(cursor: &mut Cursor) -> Result<Statement, Problem> {
    let head = head(cursor)?;
    if !cursor.is_done() && !cursor.at_words(&["AS"]) {
        return Err(unexpected_clause(cursor));
    }
    cursor.expect_words(&["AS"], "and a query")?;
    Ok(Statement::MaterializedView(head, query::parse(cursor)?))
}

fn view(cursor: &mut Cursor) -> Result<Statement, Problem> {
    let name = table_name(cursor)?;
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("the comment")?;
    }
    cursor.expect_words(&["AS"], "and a query")?;
    Ok(Statement::View(name, query::parse(cursor)?))
}

fn flow(cursor: &mut Cursor) -> Result<Statement, Problem> {
    let name = cursor.identifier("the name of the flow")?;
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("the comment")?;
    }
    cursor.expect_words(&["AS"], "after the name of the flow")?;
    if cursor.at_words(&["AUTO", "CDC"]) {
        return Err(Problem::new("millstream::not_supported", cursor.place(), "AUTO CDC flows are not supported yet")
            .help("write CREATE FLOW f AS INSERT INTO t BY NAME SELECT ..."));
    }
    cursor.expect_words(&["INSERT", "INTO"], "after AS: CREATE FLOW f AS INSERT INTO t BY NAME SELECT ...")?;
    if cursor.at_words(&["ONCE"]) {
        return Err(Problem::new("millstream::not_supported", cursor.place(), "INSERT INTO ONCE is not supported yet")
            .help("leave ONCE out: a flow runs for ever"));
    }
    let target = table_name(cursor)?;
    cursor.expect_words(&["BY", "NAME"], "after the table, for columns are matched by name")?;
    Ok(Statement::Flow { name, target, query: query::parse(cursor)? })
}

fn table_name(cursor: &mut Cursor) -> Result<Name, Problem> {
    let name = cursor.identifier("a name")?;
    if cursor.peek() == Some(&Token::Period) {
        return Err(Problem::new("millstream::qualified_name", name.place.to(cursor.place()), "a pipeline's tables have no schema")
            .help("write the name alone"));
    }
    Ok(name)
}

fn head(cursor: &mut Cursor) -> Result<Head, Problem> {
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = table_name(cursor)?;
    let columns = if cursor.peek() == Some(&Token::LParen) { Some(columns(cursor)?) } else { None };
    let mut head = Head { name, columns, using: None, options: Vec::new(), properties: Vec::new(), partitioned_by: None, location: None };
    let mut seen: Vec<&str> = Vec::new();
    while let Some(clause) = clause_at(cursor) {
        let place = cursor.place();
        if seen.contains(&clause) {
            return Err(Problem::new("millstream::duplicate_clause", place, format!("{clause} is written twice")).help("keep one of them"));
        }
        seen.push(clause);
        cursor.advance();
        match clause {
            "USING" => head.using = Some(cursor.identifier("who holds the table after USING")?),
            "OPTIONS" => head.options = settings(cursor, "OPTIONS")?,
            "TBLPROPERTIES" => head.properties = settings(cursor, "TBLPROPERTIES")?,
            "LOCATION" => head.location = Some(cursor.string("a path in quotes after LOCATION")?),
            "COMMENT" => {
                cursor.string("the comment")?;
            }
            _ => {
                cursor.expect_words(&["BY"], "after PARTITIONED")?;
                let columns = column_names(cursor)?;
                head.partitioned_by = Some(Written::new(columns, place.to(cursor.previous_place())));
            }
        }
    }
    Ok(head)
}

fn clause_at(cursor: &Cursor) -> Option<&'static str> {
    ["USING", "OPTIONS", "TBLPROPERTIES", "LOCATION", "COMMENT", "PARTITIONED"].into_iter().find(|clause| cursor.at_words(&[clause]))
}

fn end(cursor: &Cursor) -> Result<(), Problem> {
    if cursor.is_done() { Ok(()) } else { Err(unexpected_clause(cursor)) }
}

fn unexpected_clause(cursor: &Cursor) -> Problem {
    let found = cursor.peek().map_or_else(String::new, ToString::to_string);
    let problem = Problem::new("millstream::syntax", cursor.place(), format!("`{found}` is not expected here"));
    match found.to_uppercase().as_str() {
        "CLUSTER" | "CLUSTERED" => problem.help("write TBLPROPERTIES ('clustering_key' = '...') for the order within a partition"),
        "SELECT" | "WITH" => problem.help("write AS before the query"),
        "CREATE" => problem.help("write `;` before the next statement"),
        "SCHEDULE" => problem.help("write TBLPROPERTIES ('schedule' = '...')"),
        _ => problem.help("the clauses are USING, OPTIONS, PARTITIONED BY, TBLPROPERTIES, LOCATION and COMMENT, then AS and the query"),
    }
}

fn column_names(cursor: &mut Cursor) -> Result<Vec<Name>, Problem> {
    cursor.expect(&Token::LParen, "before the columns")?;
    let mut names = Vec::new();
    loop {
        names.push(cursor.identifier("a column")?);
        if cursor.peek() == Some(&Token::LParen) {
            return Err(Problem::new(
                "millstream::not_supported",
                cursor.place(),
                "a partition key consists of columns, not of expressions",
            )
            .help("select the expression under a name, and write that name here"));
        }
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen, "or `,` after a column")?;
    Ok(names)
}

fn settings(cursor: &mut Cursor, clause: &str) -> Result<Vec<Setting>, Problem> {
    cursor.expect(&Token::LParen, &format!("after {clause}"))?;
    let mut settings = Vec::new();
    loop {
        let key = setting_key(cursor, clause)?;
        cursor.eat(&Token::Eq);
        let place = cursor.place();
        let value = match cursor.peek() {
            Some(Token::SingleQuotedString(value)) => value.clone(),
            Some(Token::Number(number, _)) => number.clone(),
            Some(Token::Word(w)) if w.value.eq_ignore_ascii_case("true") || w.value.eq_ignore_ascii_case("false") => w.value.to_lowercase(),
            _ => return Err(cursor.expected(&format!("a value in quotes for `{}`", key.value))),
        };
        cursor.advance();
        settings.push(Setting { key, value: Written::new(value, place) });
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen, &format!("or `,` after a value in {clause}"))?;
    Ok(settings)
}

/// `'clustering_key'`, `subscribe`, `value.format`.
fn setting_key(cursor: &mut Cursor, clause: &str) -> Result<Name, Problem> {
    if let Some(Token::SingleQuotedString(_)) = cursor.peek() {
        return cursor.string("a key");
    }
    let what = format!("a key in {clause}");
    let mut key = cursor.identifier(&what)?;
    while cursor.eat(&Token::Period) {
        let part = cursor.identifier(&what)?;
        key = Written::new(format!("{}.{}", key.value, part.value), key.place.to(part.place));
    }
    Ok(key)
}

pub(super) fn columns(cursor: &mut Cursor) -> Result<Vec<Column>, Problem> {
    cursor.expect(&Token::LParen, "before the columns")?;
    let mut columns: Vec<Column> = Vec::new();
    loop {
        let name = cursor.identifier("a column")?;
        if columns.iter().any(|c| c.name.value == name.value) {
            return Err(Problem::new("millstream::duplicate_column", name.place, format!("column `{}` is declared twice", name.value))
                .help("give one of them another name"));
        }
        let data_type = type_names::data_type(cursor, &name)?;
        let mut nullable = true;
        loop {
            if cursor.eat_words(&["NOT", "NULL"]) {
                nullable = false;
            } else if cursor.eat_words(&["COMMENT"]) {
                cursor.string("the comment")?;
            } else {
                break;
            }
        }
        columns.push(Column { name, data_type, nullable });
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen, "or `,` after a column")?;
    Ok(columns)
}
