//! The PostgreSQL listener: accepts, serves each connection in a task of its own, and drains them when it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use datafusion::prelude::SessionContext;
use datafusion_postgres::pgwire::api::RandomPidSecretKeyGenerator;
use datafusion_postgres::pgwire::error::ErrorInfo;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::ErrorResponse;
use datafusion_postgres::pgwire::tokio::process_socket;
use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::SqlSettings;
use super::cancel::Cancellations;
use super::connection::{Connection, Shared};
use super::session::base_session;

/// After a failed accept (no file handles left, for one) the next is tried after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// When a statement is over at shutdown, its last messages have this long to be sent.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// The PostgreSQL endpoint, bound and not yet serving.
pub struct SqlServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    settings: SqlSettings,
}

impl SqlServer {
    /// Binds `address` (port 0: a free one), for the tables of `session`'s default catalog. Serves nothing before [`run`](Self::run).
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) for an address in use and for settings that [`SqlSettings::validate`] refuses.
    pub async fn bind(address: SocketAddr, settings: SqlSettings, session: SessionContext, clock: Arc<dyn Clock>) -> Result<Self> {
        settings.validate()?;
        let failed = |e| Error::from(e).context(format_args!("listening for SQL on {address} (setting listen.sql)"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            session: base_session(&session)?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            statement_timeout: settings.statement_timeout(),
            clock,
            cancellations: Arc::new(Cancellations::default()),
            keys: RandomPidSecretKeyGenerator::default(),
        });
        Ok(Self { listener, address, shared, settings })
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then closes every connection when its statement is over, after [`SqlSettings::drain_s_max`] at the latest.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let permits = Arc::new(Semaphore::new(self.settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, _)) => match permits.clone().try_acquire_owned() {
                    Ok(permit) => {
                        let connection = serve(socket, Connection::new(&self.shared), self.shared.clock.clone(), shutdown.clone());
                        connections.spawn(async move {
                            connection.await;
                            drop(permit);
                        });
                    }
                    Err(_) => _ = connections.spawn(refuse(socket)),
                },
                Err(error) => {
                    tracing::warn!(%error, "a SQL connection could not be accepted");
                    self.shared.clock.sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = self.shared.clock.sleep(Duration::from_secs(self.settings.drain_s_max)) => {
                tracing::warn!("SQL statements were still running when the drain time ended");
            }
        }
        Ok(())
    }
}

/// Serves until the client leaves, or, after `shutdown`, until no statement runs.
async fn serve(socket: TcpStream, connection: Connection, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let connection = Arc::new(connection);
    let left_alone = async {
        shutdown.cancelled().await;
        connection.idle().await;
        clock.sleep(LAST_WORDS).await;
    };
    tokio::select! {
        ended = process_socket(socket, None, connection.clone()) => if let Err(error) = ended {
            tracing::debug!(%error, "a SQL connection ended with an error");
        },
        () = left_alone => {}
    }
}

/// Tells a client beyond the bound why it can't connect. Sent without waiting for its startup, which clients accept.
async fn refuse(mut socket: TcpStream) {
    let info = ErrorInfo::new("FATAL".to_owned(), "53300".to_owned(), "sorry, too many clients already".to_owned());
    let mut bytes = Default::default();
    if PgWireBackendMessage::ErrorResponse(ErrorResponse::from(info)).encode(&mut bytes).is_ok() {
        // The client may be gone already.
        _ = socket.write_all(&bytes).await;
        _ = socket.shutdown().await;
    }
}
