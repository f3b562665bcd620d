//! Lets through what only reads, plans it, and answers the statements around transactions that need no work.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ParamValues};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as PlannerStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::datatypes::df::encode_dataframe;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::types::format::FormatOptions;

use super::errors::{error, read_only};
use super::statements::{aggregate_array_subqueries, refused};

/// The first hook: refuses what writes.
pub(crate) struct ReadOnlyHook;

/// Savepoints: there is nothing to go back to, as nothing is ever written. Stands before datafusion-postgres' hook for transactions,
/// which would end the transaction at ROLLBACK TO.
pub(crate) struct SavepointHook;

/// Whether `sql` goes back to a savepoint. Looked at before it is parsed: pgwire takes the transaction's state before it hands a
/// statement over, and this one is to end the failed state.
pub(crate) fn goes_back_to_savepoint(sql: &str) -> bool {
    let mut words = sql.split_whitespace().map(str::to_ascii_uppercase).filter(|w| w != "WORK" && w != "TRANSACTION");
    words.next().as_deref() == Some("ROLLBACK") && words.next().as_deref() == Some("TO")
}

/// Why `sql` is not one statement that only reads; `None`: it is, or can't be parsed, which whoever plans it says better.
#[must_use]
pub fn refusal(sql: &str) -> Option<String> {
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.as_slice() {
        [] => Some("it is empty".to_owned()),
        [statement] => refused(statement).map(|what| format!("{what} writes, and here everything can only be read")),
        [_, _, ..] => Some("it has several statements: write one at a time".to_owned()),
    }
}

/// The last hook: plans and runs what the others left.
pub(crate) struct ReadHook;

fn failed(error: DataFusionError) -> PgWireError {
    PgWireError::ApiError(Box::new(error))
}

/// The plan of `statement`, checked a second time: whatever the parser's statement was, the plan must not write.
async fn plan(statement: &Statement, session: &SessionContext) -> PgWireResult<LogicalPlan> {
    let mut statement = statement.clone();
    aggregate_array_subqueries(&mut statement);
    let plan = session.state().statement_to_plan(PlannerStatement::Statement(Box::new(statement))).await.map_err(failed)?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(true);
    options.verify_plan(&plan).map_err(|_| read_only("this statement"))?;
    widened(plan).map_err(failed)
}

/// `plan` with TINYINT columns as SMALLINT: PostgreSQL has no integer of one byte, and arrow-pg, which calls it int2, writes one byte
/// for it where a client asks for binary values.
fn widened(plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    if !plan.schema().fields().iter().any(|f| f.data_type() == &DataType::Int8) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(table, field)| {
            let column = Expr::Column(Column::from((table, field)));
            match field.data_type() {
                DataType::Int8 => cast(column, DataType::Int16).alias_qualified(table.cloned(), field.name()),
                _ => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn nothing() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(DFSchema::empty()) })
}

fn savepoint(statement: &Statement, client: &dyn HookClient) -> Option<PgWireResult<Response>> {
    let outside = |what: &str| Some(Err(error("25P01", format!("{what} can only be used in transaction blocks"))));
    match (statement, client.transaction_status()) {
        (Statement::Savepoint { .. }, TransactionStatus::Idle) => outside("SAVEPOINT"),
        (Statement::ReleaseSavepoint { .. }, TransactionStatus::Idle) => outside("RELEASE SAVEPOINT"),
        (Statement::Rollback { savepoint: Some(_), .. }, TransactionStatus::Idle) => outside("ROLLBACK TO SAVEPOINT"),
        (Statement::Savepoint { .. }, TransactionStatus::Transaction) => Some(Ok(Response::Execution(Tag::new("SAVEPOINT")))),
        (Statement::ReleaseSavepoint { .. }, TransactionStatus::Transaction) => Some(Ok(Response::Execution(Tag::new("RELEASE")))),
        (Statement::Rollback { savepoint: Some(_), .. }, _) => Some(Ok(Response::Execution(Tag::new("ROLLBACK")))),
        _ => None,
    }
}

#[async_trait]
impl QueryHook for ReadOnlyHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        refused(statement).map(|what| Err(read_only(&what)))
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        refused(statement).map(|what| Err(read_only(&what)))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        refused(statement).map(|what| Err(read_only(&what)))
    }
}

#[async_trait]
impl QueryHook for SavepointHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        savepoint(statement, client)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        let ours = matches!(
            statement,
            Statement::Savepoint { .. } | Statement::ReleaseSavepoint { .. } | Statement::Rollback { savepoint: Some(_), .. }
        );
        ours.then(|| Ok(nothing()))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        savepoint(statement, client)
    }
}

#[async_trait]
impl QueryHook for ReadHook {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let options = Arc::new(FormatOptions::from_client_metadata(client.metadata()));
        let run = async {
            let plan = plan(statement, session).await?;
            let frame = session.execute_logical_plan(plan).await.map_err(failed)?;
            let tag = match statement {
                Statement::Prepare { .. } => Some("PREPARE"),
                Statement::Deallocate { .. } => Some("DEALLOCATE"),
                _ => None,
            };
            match tag {
                Some(tag) => Ok(Response::Execution(Tag::new(tag))),
                None => Ok(Response::Query(encode_dataframe(frame, &Format::UnifiedText, Some(options)).await?)),
            }
        };
        Some(run.await)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        session: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Some(plan(statement, session).await)
    }

    async fn handle_extended_query(
        &self,
        _: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        // datafusion-postgres runs the checked plan, with the parameters put in.
        None
    }
}
