//! One client's connection: its startup, and its statements with their time-out and their SQLSTATEs.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::{
    ServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation, save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::api::store::{Entry, PortalStore};
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, DEFAULT_NAME, ErrorHandler, PgWireServerHandlers, PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::extendedquery::Execute;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::simplequery::Query;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use datafusion_postgres::{DfSessionService, Parser, QueryHook};
use futures::Sink;
use millstream_core::ports::Clock;

use super::cancel::{CancelRequests, Cancellations, Interruptible, Running};
use super::errors::SqlStates;
use super::query::{ReadHook, ReadOnlyHook, SavepointHook, goes_back_to_savepoint};
use super::session::connection_session;
use super::variables::{Variables, VariablesHook};

/// What all connections share.
pub(crate) struct Shared {
    pub session: SessionContext,
    pub version: String,
    pub statement_timeout: Option<std::time::Duration>,
    pub clock: Arc<dyn Clock>,
    pub cancellations: Arc<Cancellations>,
    pub keys: RandomPidSecretKeyGenerator,
}

/// The handlers of one connection.
pub(crate) struct Connection {
    statements: Arc<Statements>,
    startup: Arc<Startup>,
    cancel: Arc<CancelRequests>,
}

impl Connection {
    /// Resolves when no statement runs.
    pub async fn idle(&self) {
        self.statements.running.idle().await;
    }

    /// A connection with a session and settings of its own.
    pub fn new(shared: &Arc<Shared>) -> Self {
        let variables = Arc::new(Variables::new(&shared.version, shared.statement_timeout));
        let running = Arc::new(Running::default());
        let session = Arc::new(connection_session(&shared.session, &variables));
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(ReadOnlyHook),
            Arc::new(SavepointHook),
            Arc::new(TransactionStatementHook),
            Arc::new(VariablesHook::new(variables.clone())),
            Arc::new(CursorStatementHook),
            Arc::new(ReadHook),
        ];
        let service = DfSessionService::new_with_hooks(session, hooks);
        let statements = Statements { service, variables: variables.clone(), running: running.clone(), clock: shared.clock.clone() };
        let startup = Startup { shared: shared.clone(), variables, running };
        Self {
            statements: Arc::new(statements),
            startup: Arc::new(startup),
            cancel: Arc::new(CancelRequests(shared.cancellations.clone())),
        }
    }
}

impl PgWireServerHandlers for Connection {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.statements.clone()
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        self.statements.clone()
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        self.startup.clone()
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::new(SqlStates)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        self.cancel.clone()
    }
}

/// Accepts everybody: the endpoint listens on loopback only.
struct Startup {
    shared: Arc<Shared>,
    variables: Arc<Variables>,
    running: Arc<Running>,
}

#[async_trait]
impl StartupHandler for Startup {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let PgWireFrontendMessage::Startup(startup) = message else { return Ok(()) };
        protocol_negotiation(client, &startup).await?;
        save_startup_parameters_to_metadata(client, &startup);
        self.variables.start(client.metadata());
        let (pid, secret) = self.shared.keys.generate(client);
        let registration = self.shared.cancellations.register(pid, &secret, self.running.clone());
        client.set_pid_and_secret_key(pid, secret);
        client.session_extensions().insert(registration);
        finish_authentication(client, &Reported(self.variables.reported())).await
    }
}

struct Reported(Vec<(String, String)>);

impl ServerParameterProvider for Reported {
    fn server_parameters<C>(&self, _client: &C) -> Option<HashMap<String, String>>
    where
        C: ClientInfo,
    {
        Some(self.0.iter().cloned().collect())
    }
}

/// Runs statements, each of which can be stopped.
struct Statements {
    service: DfSessionService,
    variables: Arc<Variables>,
    running: Arc<Running>,
    clock: Arc<dyn Clock>,
}

impl Statements {
    fn begin(&self) -> Interruptible {
        Interruptible::begin(&self.running, self.clock.clone(), self.variables.statement_timeout())
    }
}

/// Goes back to a savepoint: the transaction has not failed any more.
fn mend_transaction(client: &mut (impl ClientInfo + ?Sized)) {
    if client.transaction_status() == TransactionStatus::Error {
        client.set_transaction_status(TransactionStatus::Transaction);
    }
}

#[async_trait]
impl SimpleQueryHandler for Statements {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if goes_back_to_savepoint(&query.query) {
            mend_transaction(client);
        }
        self._on_query(client, query).await
    }

    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = self.begin();
        let responses = statement.run(SimpleQueryHandler::do_query(&self.service, client, query)).await?;
        Ok(responses.into_iter().map(|response| statement.response(response)).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Statements {
    type Statement = <DfSessionService as ExtendedQueryHandler>::Statement;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        self.service.query_parser()
    }

    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let portal = client.portal_store().get_portal(message.name.as_deref().unwrap_or(DEFAULT_NAME));
        if let Some(Entry::Value(portal)) = portal
            && goes_back_to_savepoint(&portal.statement.statement.0)
        {
            mend_transaction(client);
        }
        self._on_execute(client, message).await
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Self::Statement>, max_rows: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = self.begin();
        let response = statement.run(ExtendedQueryHandler::do_query(&self.service, client, portal, max_rows)).await?;
        Ok(statement.response(response))
    }
}
