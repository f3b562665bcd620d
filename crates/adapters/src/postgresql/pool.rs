//! [`PostgresPool`]: connections to one database, each made with the secret and the certificates as they are at that moment; and
//! [`Transaction`], in which everything happens that is more than a question.
//!
//! Nothing here outlives a transaction on the server: no session settings, no prepared statement with a name. So a PgBouncer in
//! transaction mode may stand between. A transaction that is dropped before its end takes its connection with it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use millstream_core::{Error, Result};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, CopyInSink, NoTls, Row, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Failure;
use super::settings::PostgresSettings;

/// A parameter of a statement with its type, so that the server need not be asked for it first.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// Connections to one database.
#[derive(Clone)]
pub struct PostgresPool {
    pool: Pool,
    connector: Arc<Connector>,
}

/// Makes connections.
struct Connector {
    settings: PostgresSettings,
    config: Config,
    place: String,
    /// Why the last connection could not even be tried: the pool's errors have no room for it.
    unprepared: Mutex<Option<Error>>,
}

impl Connector {
    /// The configuration with the password, and the TLS configuration, from the files as they are now.
    fn prepare(&self) -> Result<(Config, Option<MakeRustlsConnect>)> {
        let mut config = self.config.clone();
        if let Some(secret) = &self.settings.password {
            config.password(secret.read("postgresql.password")?.expose());
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(self.settings.tls.rustls("postgresql")?)),
        };
        Ok((config, tls))
    }

    async fn connect(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (config, tls) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                *self.unprepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return Err(tokio_postgres::Error::__private_api_timeout());
            }
        };
        let limit = self.settings.connect_timeout();
        let silent = |_| tokio_postgres::Error::__private_api_timeout();
        match tls {
            None => {
                let (client, connection) = timeout(limit, config.connect(NoTls)).await.map_err(silent)??;
                Ok((client, drive(connection)))
            }
            Some(tls) => {
                let (client, connection) = timeout(limit, config.connect(tls)).await.map_err(silent)??;
                Ok((client, drive(connection)))
            }
        }
    }

    /// The error of a connection that could not be made.
    fn refused(&self, operation: &str, source: tokio_postgres::Error) -> Error {
        let place = self.place.clone();
        match self.unprepared.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(source) => Failure::Unprepared { operation: operation.to_owned(), place, source }.into(),
            None => Failure::connect(operation, &place, source).into(),
        }
    }
}

/// The task that moves a connection's bytes.
#[expect(clippy::disallowed_methods, reason = "the pool owns the task: it aborts it when it lets go of the connection")]
fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to PostgreSQL ended");
        }
    })
}

struct Connecting(Arc<Connector>);

impl Connect for Connecting {
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>> {
        Box::pin(self.0.connect())
    }
}

impl PostgresPool {
    /// A pool by `settings`. Opens no connection; that the secret and the certificates can be read is checked.
    pub fn new(settings: PostgresSettings) -> Result<Self> {
        settings.validate()?;
        let config = settings.client_config()?;
        let connector = Arc::new(Connector { place: settings.place(), config: config.clone(), settings, unprepared: Mutex::default() });
        connector.prepare()?;
        let settings = &connector.settings;
        let age_max = Duration::from_secs(settings.connection_age_max_s);
        let manager =
            Manager::from_connect(config, Connecting(connector.clone()), ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(settings.connections_max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.connect_timeout()))
            .create_timeout(Some(settings.connect_timeout()))
            .recycle_timeout(Some(settings.connect_timeout()))
            .pre_recycle(deadpool_postgres::Hook::sync_fn(move |_, metrics| {
                if metrics.age() < age_max { Ok(()) } else { Err(deadpool_postgres::HookError::message("it is old")) }
            }))
            .build()
            .map_err(|e| Error::internal("a pool of connections can't be made").caused_by(e.to_string()))?;
        Ok(Self { pool, connector })
    }

    /// The settings that it works by.
    #[must_use]
    pub fn settings(&self) -> &PostgresSettings {
        &self.connector.settings
    }

    /// What messages call the database.
    pub(super) fn place(&self) -> &str {
        &self.connector.place
    }

    async fn client(&self, operation: &str) -> Result<Object> {
        let place = || self.place().to_owned();
        let limit = self.settings().connect_timeout();
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => Failure::Busy { operation: operation.to_owned(), place: place(), limit }.into(),
            PoolError::Timeout(_) => Failure::Silent { operation: operation.to_owned(), place: place(), limit }.into(),
            PoolError::Backend(source) => self.connector.refused(operation, source),
            other => {
                Error::internal(format!("{operation}: the pool of connections to PostgreSQL ({}) is closed", place())).caused_by(other)
            }
        })
    }

    /// Begins a transaction for `operation`, what messages begin with. `mode` is what follows `BEGIN`.
    pub(super) async fn begin(&self, operation: impl Into<String>, mode: &str) -> Result<Transaction> {
        let operation = operation.into();
        let client = self.client(&operation).await?;
        let transaction = Transaction { client: Some(client), pool: self.clone(), operation };
        let limit = self.settings().request_timeout_ms;
        let text = format!("BEGIN {mode}; SET LOCAL lock_timeout = {limit}; SET LOCAL TimeZone = 'UTC'");
        transaction.run(&text).await?;
        Ok(transaction)
    }

    /// Begins a transaction that only reads, all of it as of its first statement (or of the snapshot that it joins).
    pub(super) async fn begin_read(&self, operation: impl Into<String>) -> Result<ReadTransaction> {
        Ok(ReadTransaction(Some(self.begin(operation, "ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)))
    }

    /// The rows that answer a question which needs no transaction of several statements.
    pub(super) async fn ask(&self, operation: &str, text: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let client = self.client(operation).await?;
        let limit = self.settings().request_timeout();
        let (operation, place) = (operation.to_owned(), self.place().to_owned());
        match timeout(limit, client.query_typed(text, params)).await {
            Ok(answer) => answer.map_err(|source| Failure::Call { operation, place, source }.into()),
            Err(_) => {
                // Nobody should wait behind a question that has no answer.
                drop(Object::take(client));
                Err(Failure::Silent { operation, place, limit }.into())
            }
        }
    }

    /// Whether the server answers on a connection of its own.
    async fn check_alive(&self, operation: &str) -> Result<()> {
        let (client, task) = self.connector.connect().await.map_err(|e| self.connector.refused(operation, e))?;
        let limit = self.settings().request_timeout();
        let answer = timeout(limit, client.batch_execute("SELECT 1")).await;
        task.abort();
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(Failure::Call { operation: operation.to_owned(), place: self.place().to_owned(), source }.into()),
            Err(_) => Err(Failure::Silent { operation: operation.to_owned(), place: self.place().to_owned(), limit }.into()),
        }
    }
}

/// A transaction. Dropped before [`commit`](Self::commit) or [`rollback`](Self::rollback) it takes its connection with it, so that
/// nobody meets what it left half done.
pub(super) struct Transaction {
    client: Option<Object>,
    pool: PostgresPool,
    operation: String,
}

impl Transaction {
    fn client(&self) -> Result<&Object> {
        self.client.as_ref().ok_or_else(|| Error::internal("a transaction was used after its end"))
    }

    fn failure(&self, source: tokio_postgres::Error) -> Error {
        Failure::Call { operation: self.operation.clone(), place: self.pool.place().to_owned(), source }.into()
    }

    /// The answer, which has to come within the time-out.
    async fn soon<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let limit = self.pool.settings().request_timeout();
        match timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|e| self.failure(e)),
            Err(_) => Err(Failure::Silent { operation: self.operation.clone(), place: self.pool.place().to_owned(), limit }.into()),
        }
    }

    /// The answer to what may take long: while it is out, the server has to answer on another connection from time to time.
    pub async fn patiently<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let every = self.pool.settings().request_timeout();
        let most = Duration::from_secs(self.pool.settings().statement_timeout_s);
        let mut answer = std::pin::pin!(answer);
        let mut waited = Duration::ZERO;
        loop {
            match timeout(every, &mut answer).await {
                Ok(answer) => return answer.map_err(|e| self.failure(e)),
                Err(_) if waited < most => self.pool.check_alive(&self.operation).await?,
                Err(_) => {
                    return Err(
                        Failure::Silent { operation: self.operation.clone(), place: self.pool.place().to_owned(), limit: most }.into()
                    );
                }
            }
            waited += every;
        }
    }

    /// Runs statements without parameters or results.
    pub async fn run(&self, text: &str) -> Result<()> {
        self.soon(self.client()?.batch_execute(text)).await
    }

    /// Runs a statement and returns how many rows it touched.
    pub async fn execute(&self, text: &str, params: &[Param<'_>]) -> Result<u64> {
        self.patiently(self.client()?.execute_typed(text, params)).await
    }

    /// The rows of a small result.
    pub async fn query(&self, text: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.patiently(self.client()?.query_typed(text, params)).await
    }

    /// The rows of a large result, as they come.
    pub async fn rows(&self, text: &str) -> Result<RowStream> {
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        self.patiently(self.client()?.query_typed_raw(text, none)).await
    }

    /// Begins a `COPY ... FROM STDIN`. Its statement has a name on the server; whoever holds it drops it before the transaction ends.
    pub async fn copy_in(&self, text: &str) -> Result<(Statement, CopyInSink<bytes::Bytes>)> {
        let client = self.client()?;
        let statement = self.soon(client.prepare(text)).await?;
        let sink = self.soon(client.copy_in(&statement)).await?;
        Ok((statement, sink))
    }

    /// Commits. When the answer is lost nobody knows whether it did.
    pub async fn commit(mut self) -> Result<()> {
        self.patiently(self.client()?.batch_execute("COMMIT")).await?;
        self.client.take();
        Ok(())
    }

    /// Gives up what was done. An error that ends the connection is as good.
    pub async fn rollback(mut self) {
        let undone = match self.client() {
            Ok(client) => self.soon(client.batch_execute("ROLLBACK")).await.is_ok(),
            Err(_) => false,
        };
        if undone {
            self.client.take();
        }
    }

    /// Commits if `result` is one, rolls back otherwise.
    pub async fn end<T>(self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => {
                self.commit().await?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await;
                Err(error)
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// A transaction that only reads: whenever it is let go, its connection goes back to the pool.
pub(super) struct ReadTransaction(Option<Transaction>);

impl ReadTransaction {
    /// The transaction.
    pub fn get(&self) -> Result<&Transaction> {
        self.0.as_ref().ok_or_else(|| Error::internal("a transaction was used after its end"))
    }
}

impl Drop for ReadTransaction {
    fn drop(&mut self) {
        if let (Some(transaction), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(transaction.rollback());
        }
    }
}
