//! [`Client`]: the one place where a statement is executed, with its bound on requests in flight, its retries and its errors.
//!
//! The session is opened at the first use and tried again at each next one while the cluster is away; it is opened anew when the files
//! that TLS reads have changed. It knows nothing of tables.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::future::Either;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use scylla::client::session::Session;
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::errors::ExecutionError;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::batch::BatchValues;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::Batch;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;
use tokio::sync::{Mutex as AsyncMutex, RwLock};

use super::error::CassandraError;
use super::gate::Gate;
use super::retry::Retries;
use super::session;
use super::settings::CassandraSettings;

/// More statements than any pipeline has; beyond it they are prepared anew.
const STATEMENTS_MAX: usize = 4_096;

/// What a statement does: it decides consistency, and whether the driver may send it again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    /// A read of rows.
    Read,
    /// A write with a version of its own, that may be sent any number of times.
    Write,
    /// A read that sees every [`QuorumWrite`](Self::QuorumWrite), and every conditional write whose writer was told so.
    QuorumRead,
    /// A write that every [`QuorumRead`](Self::QuorumRead) sees, whatever rows are read and written with.
    QuorumWrite,
    /// A conditional write, which is sent once; whether it was applied is for the caller to find out.
    Conditional,
    /// A read that sees every conditional write that was applied, also one whose writer was never told. It costs rounds of Paxos: only
    /// where a flow begins, and after a conditional write that was not applied.
    SerialRead,
}

/// A session with the cluster, and what goes through it.
pub(super) struct Client {
    pub settings: CassandraSettings,
    pub clock: Arc<dyn Clock>,
    session: RwLock<Option<Opened>>,
    opening: AsyncMutex<()>,
    statements: Mutex<HashMap<(Use, String), PreparedStatement>>,
    writes: Gate,
    reads: Gate,
    /// Requests that the service refused for their rate.
    refused: AtomicU64,
}

#[derive(Clone)]
struct Opened {
    session: Arc<Session>,
    /// When the files of TLS were changed, as of the session's opening.
    files: Vec<Option<SystemTime>>,
    /// When that was last looked at, in microseconds.
    checked: i64,
}

/// A request, as it is tried.
#[derive(Clone, Copy)]
struct Asking<'a> {
    /// What it goes through.
    session: &'a Arc<Session>,
    /// On whose behalf: for messages.
    operation: &'a str,
    /// What bounds those in flight.
    gate: Option<&'a Gate>,
    /// How long it may take with its retries.
    timeout: Duration,
    /// Whether it goes on from a continuation of the change feed.
    goes_on: bool,
}

/// The counter of requests that Cosmos DB refused for their rate, on `/metrics`.
const REFUSED_REQUESTS: &str = "millstream_cassandra_refused_requests_total";

/// How often the files of TLS are looked at.
const FILES_EVERY_MICROS: i64 = 30_000_000;

impl Client {
    pub fn new(settings: CassandraSettings, clock: Arc<dyn Clock>) -> Self {
        if settings.is_cosmos_db() {
            metrics::describe_counter!(REFUSED_REQUESTS, "Requests that Cosmos DB refused for their rate, each time that it did.");
            // Shown as 0 before the first, so that a rise is seen.
            metrics::counter!(REFUSED_REQUESTS).increment(0);
        }
        Self {
            writes: Gate::new(settings.writes_in_flight),
            reads: Gate::new(settings.reads_in_flight),
            refused: AtomicU64::new(0),
            settings,
            clock,
            session: RwLock::default(),
            opening: AsyncMutex::default(),
            statements: Mutex::default(),
        }
    }

    /// The session; opened where there is none yet.
    pub async fn session(&self) -> Result<Arc<Session>> {
        let now = self.clock.now().micros();
        if let Some(opened) = &*self.session.read().await
            && (self.settings.tls().is_none() || now - opened.checked < FILES_EVERY_MICROS)
        {
            return Ok(opened.session.clone());
        }
        let _one_at_a_time = self.opening.lock().await;
        let files = self.file_times();
        if let Some(opened) = &mut *self.session.write().await
            && opened.files == files
        {
            opened.checked = now;
            return Ok(opened.session.clone());
        }
        let session = Arc::new(session::open(&self.settings).await?);
        // Statements are known to nodes, not to sessions: those that were prepared stay good.
        *self.session.write().await = Some(Opened { session: session.clone(), files, checked: now });
        Ok(session)
    }

    fn file_times(&self) -> Vec<Option<SystemTime>> {
        let files: Vec<&PathBuf> =
            self.settings.tls.iter().flat_map(|t| [&t.ca_file, &t.certificate_file, &t.key_file]).flatten().collect();
        files.into_iter().map(|f| std::fs::metadata(f).and_then(|m| m.modified()).ok()).collect()
    }

    /// `cql` as a statement of the kind `used`.
    pub async fn prepare(&self, used: Use, cql: &str) -> Result<PreparedStatement> {
        let known = |statements: &HashMap<_, PreparedStatement>| statements.get(&(used, cql.to_owned())).cloned();
        if let Some(statement) = known(&self.statements.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(statement);
        }
        let session = &self.session().await?;
        let prepare = || async move { session.prepare(cql).await.map_err(ExecutionError::from) };
        let mut statement = self.tried(self.asking(session, &brief(cql), None), prepare).await?;
        let level = self.settings.consistency;
        match used {
            Use::Read => statement.set_consistency(session::read_consistency(level)),
            Use::Write => {}
            Use::Conditional | Use::QuorumRead | Use::QuorumWrite => statement.set_consistency(session::metadata_consistency(level)),
            // Cosmos DB has no serial consistency: its conditional writes are decided by one replica set, which its reads ask too.
            Use::SerialRead if self.settings.is_cosmos_db() => statement.set_consistency(session::metadata_consistency(level)),
            Use::SerialRead => statement.set_consistency(session::serial_read(level)),
        }
        statement.set_is_idempotent(used != Use::Conditional);
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert((used, cql.to_owned()), statement.clone());
        Ok(statement)
    }

    /// Forgets what was prepared: the columns of a table that was made again may differ.
    pub fn forget_statements(&self) {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many requests the service has refused for their rate.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Executes `statement` with `values`; all rows of its answer in one page.
    pub async fn execute(&self, operation: &str, statement: &PreparedStatement, values: impl SerializeRow) -> Result<QueryResult> {
        self.execute_within(None, operation, statement, values).await
    }

    async fn execute_within(
        &self,
        gate: Option<&Gate>,
        operation: &str,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryResult> {
        let session = self.session().await?;
        let (session, values) = (&session, &values);
        self.tried(self.asking(session, operation, gate), || session.execute_unpaged(statement, values)).await
    }

    /// All rows of a small read; waits while too many reads are in flight.
    pub async fn read(&self, operation: &str, statement: &PreparedStatement, values: impl SerializeRow) -> Result<QueryResult> {
        self.execute_within(Some(&self.reads), operation, statement, values).await
    }

    /// One page of a read. The statement says how many rows it has.
    pub async fn page(
        &self,
        operation: &str,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        state: PagingState,
    ) -> Result<(QueryResult, PagingStateResponse)> {
        let session = self.session().await?;
        let (session, values, state) = (&session, &values, &state);
        let asking = self.asking(session, operation, Some(&self.reads));
        self.tried(asking, || session.execute_single_page(statement, values, state.clone())).await
    }

    /// One page of at most `rows` rows of the change feed that `cql` reads, as it stands; behind the continuation `state`, or from the
    /// beginning. A continuation that the service refuses is [`OutOfRange`](millstream_core::ErrorKind::OutOfRange).
    pub async fn feed_page(
        &self,
        operation: &str,
        cql: &str,
        rows: i32,
        state: Option<&[u8]>,
    ) -> Result<(QueryResult, PagingStateResponse)> {
        let from = state.map_or_else(PagingState::start, PagingState::new_from_raw_bytes);
        let session = self.session().await?;
        let mut statement = Statement::new(cql);
        statement.set_page_size(rows);
        statement.set_is_idempotent(true);
        statement.set_consistency(session::metadata_consistency(self.settings.consistency));
        let (session, statement, from) = (&session, &statement, &from);
        let asking = Asking { goes_on: state.is_some(), ..self.asking(session, operation, Some(&self.reads)) };
        self.tried(asking, || session.query_single_page(statement.clone(), (), from.clone())).await
    }

    /// Executes one write; waits while too many are in flight.
    pub async fn write(&self, operation: &str, statement: &PreparedStatement, values: impl SerializeRow) -> Result<()> {
        self.execute_within(Some(&self.writes), operation, statement, values).await.map(drop)
    }

    /// Executes a batch of writes to one partition; waits while too many are in flight.
    pub async fn batch(&self, operation: &str, batch: &Batch, values: impl BatchValues) -> Result<()> {
        let session = self.session().await?;
        let (session, values) = (&session, &values);
        self.tried(self.asking(session, operation, Some(&self.writes)), || session.batch(batch, values)).await.map(drop)
    }

    /// Changes the schema, and waits until the nodes agree about it. Nodes do one change at a time, and flush tables that are dropped:
    /// it may take longer than a request.
    pub async fn change_schema(&self, cql: &str) -> Result<()> {
        let session = self.session().await?;
        let mut statement = Statement::new(cql);
        statement.set_request_timeout(Some(self.settings.schema_timeout()));
        statement.set_is_idempotent(true);
        let (session, statement) = (&session, &statement);
        let operation = brief(cql);
        let asking = Asking { timeout: self.settings.schema_timeout(), ..self.asking(session, &operation, None) };
        self.tried(asking, || session.query_unpaged(statement.clone(), ())).await.map(drop)
    }

    fn asking<'a>(&self, session: &'a Arc<Session>, operation: &'a str, gate: Option<&'a Gate>) -> Asking<'a> {
        Asking { session, operation, gate, timeout: self.settings.request_timeout(), goes_on: false }
    }

    /// What `request` gives, unless nothing comes for twice its time: then its session is let go of, and the next request opens another. The
    /// driver ends most of what it waits for at the first time-out; preparing a statement, and its own view of the cluster after a change of
    /// the schema, it waits for without one.
    async fn answered<T>(
        &self,
        asking: Asking<'_>,
        request: impl Future<Output = Result<T, ExecutionError>>,
    ) -> Result<Result<T, ExecutionError>> {
        let limit = asking.timeout * 2;
        if let Ok(answer) = tokio::time::timeout(limit, request).await {
            return Ok(answer);
        }
        let mut current = self.session.write().await;
        if current.as_ref().is_some_and(|opened| Arc::ptr_eq(&opened.session, asking.session)) {
            *current = None;
        }
        Err(CassandraError::Silent { operation: asking.operation.to_owned(), limit }.into())
    }

    /// Every request goes through here: with the bound on those in flight, what the service's retry rule says, and the error that is left in
    /// the end. One that waits to be sent again keeps its place: the service wants fewer, not others.
    async fn tried<T, F: Future<Output = Result<T, ExecutionError>>>(&self, asking: Asking<'_>, request: impl Fn() -> F) -> Result<T> {
        let Asking { operation, gate, timeout, goes_on, .. } = asking;
        let _pass = match gate {
            Some(gate) => Some(gate.enter().await),
            None => None,
        };
        let mut retries = Retries::new(self.settings.preset, self.clock.now(), timeout);
        loop {
            let answer = if retries.refused() == 0 {
                self.answered(asking, request()).await?
            } else {
                // The driver gives each try the whole time; here they share it.
                let left = self.clock.sleep(retries.left(self.clock.now()));
                match futures::future::select(Box::pin(request()), left).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => {
                        return Err(CassandraError::TimedOut { operation: operation.to_owned(), refused: retries.refused() }.into());
                    }
                }
            };
            let source = match answer {
                Ok(answer) => {
                    if let Some(gate) = gate {
                        gate.answered();
                    }
                    return Ok(answer);
                }
                Err(source) => source,
            };
            let now = self.clock.now();
            // The time and how many were refused: what comes at the same moment differs in the second.
            let chance = now.micros().cast_unsigned() ^ self.refused().rotate_left(32);
            let before = retries.refused();
            let pause = retries.pause_after(&source, now, chance);
            if retries.refused() > before {
                self.refused.fetch_add(1, Ordering::Relaxed);
                metrics::counter!(REFUSED_REQUESTS).increment(1);
            }
            let Some(pause) = pause else {
                let error = CassandraError::Request { operation: operation.to_owned(), source };
                return Err(if goes_on { error.of_a_continuation() } else { error }.into());
            };
            self.tell_refusal(operation, gate.and_then(|gate| gate.refused(now, pause)), pause);
            self.clock.sleep(pause).await;
        }
    }

    /// Tells of a request that was refused for its rate and is sent again: once for each time that the bound on requests in flight is
    /// halved.
    fn tell_refusal(&self, operation: &str, in_flight: Option<usize>, pause: Duration) {
        let refused = self.refused();
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        match in_flight {
            Some(in_flight) => tracing::warn!(
                operation,
                pause_ms,
                in_flight,
                refused,
                "Cosmos DB refuses requests for their rate: fewer are sent at a time; if it lasts, raise the table's throughput"
            ),
            None => tracing::debug!(operation, pause_ms, refused, "Cosmos DB refused a request for its rate"),
        }
    }
}

/// The beginning of a statement: what a message says was tried.
fn brief(cql: &str) -> String {
    let line = cql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The rows of an answer.
pub(super) fn rows(operation: &str, answer: QueryResult) -> Result<QueryRowsResult> {
    Ok(answer.into_rows_result().map_err(|source| CassandraError::NoRows { operation: operation.to_owned(), source })?)
}

/// Each row of an answer as `R`.
pub(super) fn typed<R>(operation: &str, answer: QueryResult) -> Result<Vec<R>>
where
    R: for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let rows = rows(operation, answer)?;
    let typed = rows.rows::<R>().map_err(|source| CassandraError::OtherRows { operation: operation.to_owned(), source })?;
    let row = |source| CassandraError::Row { operation: operation.to_owned(), source };
    typed.map(|r| r.map_err(|source| Error::from(row(source)))).collect()
}

/// Calls `each` with the cells of each row, as bytes; `None` is null.
pub(super) fn cells(operation: &str, rows: &QueryRowsResult, mut each: impl FnMut(&[Option<&[u8]>]) -> Result<()>) -> Result<()> {
    let row_error = |source| CassandraError::Row { operation: operation.to_owned(), source };
    let typed = rows.rows::<ColumnIterator>().map_err(|source| CassandraError::OtherRows { operation: operation.to_owned(), source })?;
    let mut cells = Vec::with_capacity(rows.column_specs().len());
    for row in typed {
        cells.clear();
        for column in row.map_err(row_error)? {
            cells.push(column.map_err(row_error)?.slice.map(|s| s.as_slice()));
        }
        each(&cells)?;
    }
    Ok(())
}
