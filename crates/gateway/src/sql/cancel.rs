//! Cancelling a running statement: by the client's CancelRequest (which comes over a connection of its own), or by its time-out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::results::{QueryResponse, Response};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, StreamExt};
use millstream_core::ports::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::errors::error;

/// What a client names a connection by to cancel its query: process id and secret key.
type BackendKey = (i32, Vec<u8>);

/// The connections that can be asked to stop what they do, by process id and secret key.
#[derive(Default)]
pub(crate) struct Cancellations {
    connections: Mutex<HashMap<BackendKey, Arc<Running>>>,
}

/// The statement that a connection runs at the moment.
#[derive(Default)]
pub(crate) struct Running {
    statement: Mutex<CancellationToken>,
    busy: watch::Sender<usize>,
}

/// A statement that isn't over, for as long as this lives.
struct Busy(watch::Sender<usize>);

impl Busy {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Running {
    fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.statement.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        token
    }

    /// Resolves when no statement is being planned or read.
    pub async fn idle(&self) {
        // The sender lives as long as `self`, so waiting can't fail.
        _ = self.busy.subscribe().wait_for(|n| *n == 0).await;
    }

    fn cancel(&self) {
        self.statement.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }
}

/// Takes a connection out again when it ends.
pub(crate) struct Registration {
    key: (i32, Vec<u8>),
    cancellations: Arc<Cancellations>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.cancellations.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Cancellations {
    /// Makes a connection known under what it was told at startup.
    pub fn register(self: &Arc<Self>, pid: i32, secret: &SecretKey, running: Arc<Running>) -> Registration {
        let key = (pid, secret.to_bytes().to_vec());
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), running);
        Registration { key, cancellations: self.clone() }
    }
}

/// Hands cancel requests on. A request with a wrong key is ignored, as the protocol has it.
pub(crate) struct CancelRequests(pub Arc<Cancellations>);

#[async_trait]
impl CancelHandler for CancelRequests {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        let running = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(running) = running {
            running.cancel();
        }
    }
}

/// Why a statement was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    Request,
    Timeout,
}

impl From<Interruption> for PgWireError {
    fn from(why: Interruption) -> Self {
        match why {
            Interruption::Request => error("57014", "canceling statement due to user request"),
            Interruption::Timeout => error("57014", "canceling statement due to statement timeout"),
        }
    }
}

/// A statement that can be stopped, while it is planned and while its rows are read.
pub(crate) struct Interruptible {
    interrupted: Shared<BoxFuture<'static, Interruption>>,
    busy: Arc<Busy>,
}

impl Interruptible {
    /// A statement of the connection `running` that begins now, and may take `timeout`.
    pub fn begin(running: &Running, clock: Arc<dyn Clock>, timeout: Option<Duration>) -> Self {
        let token = running.begin();
        let interrupted = async move {
            let timed_out = async {
                match timeout {
                    Some(timeout) => clock.sleep(timeout).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => Interruption::Request,
                () = timed_out => Interruption::Timeout,
            }
        };
        Self { interrupted: interrupted.boxed().shared(), busy: Arc::new(Busy::new(&running.busy)) }
    }

    /// `work`, unless it is stopped before.
    pub async fn run<T>(&self, work: impl Future<Output = PgWireResult<T>>) -> PgWireResult<T> {
        tokio::select! {
            biased;
            result = work => result,
            why = self.interrupted.clone() => Err(why.into()),
        }
    }

    /// `response`, whose rows end with an error when it is stopped; what made the rows is dropped then, and with it its work.
    pub fn response(&self, response: Response) -> Response {
        let Response::Query(mut query) = response else { return response };
        let (schema, tag) = (query.row_schema(), query.command_tag().to_owned());
        let rows = std::mem::replace(query.data_rows(), Box::pin(stream::empty()));
        let state = (rows, self.interrupted.clone(), self.busy.clone());
        let rows = stream::unfold(Some(state), |state| async {
            let (mut rows, mut interrupted, busy) = state?;
            tokio::select! {
                biased;
                why = &mut interrupted => Some((Err(why.into()), None)),
                row = rows.next() => row.map(|row| (row, Some((rows, interrupted, busy)))),
            }
        });
        let mut wrapped = QueryResponse::new(schema, rows);
        wrapped.set_command_tag(&tag);
        Response::Query(wrapped)
    }
}
