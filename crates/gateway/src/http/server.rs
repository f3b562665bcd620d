//! The HTTP listener: accepts, serves each connection in a task of its own, and drains them when it is told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::router::{self, Api};
use super::{HttpAbout, HttpParts, HttpSettings};

/// After a failed accept (no file handles left, for one) the next is tried after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The HTTP endpoint, bound and not yet serving.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    door: HttpDoor,
    clock: Arc<dyn Clock>,
}

/// What an [`HttpServer`] serves: at first what the process says of itself, and the tables once it is opened.
#[derive(Clone)]
pub struct HttpDoor {
    api: watch::Sender<Api>,
    settings: HttpSettings,
}

impl HttpDoor {
    /// From the next request on the whole API is served, also on connections that are open already.
    pub fn open(&self, parts: HttpParts) {
        drop(self.api.send_replace(router::api(parts, self.settings.clone())));
    }
}

impl HttpServer {
    /// Binds `address` (port 0: a free one). Serves nothing before [`run`](Self::run). [`InvalidInput`](millstream_core::ErrorKind::InvalidInput)
    /// for an address in use and for settings that [`HttpSettings::validate`] refuses.
    pub async fn bind(address: SocketAddr, settings: HttpSettings, about: HttpAbout) -> Result<Self> {
        settings.validate()?;
        let failed = |e| Error::from(e).context(format_args!("listening for HTTP on {address} (setting listen.http)"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let clock = about.clock.clone();
        let api = watch::Sender::new(router::opening(about, &settings));
        Ok(Self { listener, address, door: HttpDoor { api, settings }, clock })
    }

    /// By which the API is opened, before or while it [`run`](Self::run)s.
    #[must_use]
    pub fn door(&self) -> HttpDoor {
        self.door.clone()
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets requests that have begun end, for [`HttpSettings::drain_s_max`] at the longest.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let permits = Arc::new(Semaphore::new(self.door.settings.connections_max.min(Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            match accepted {
                Ok((permit, socket)) => {
                    let connection = serve(socket, self.door.clone(), shutdown.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    self.clock.sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = self.clock.sleep(Duration::from_secs(self.door.settings.drain_s_max)) => tracing::warn!("HTTP requests were still running when the drain time ended"),
        }
        Ok(())
    }
}

/// A permit first, then a connection: those beyond the bound wait in the listener's backlog.
async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> std::io::Result<(tokio::sync::OwnedSemaphorePermit, TcpStream)> {
    let permit = permits.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    Ok((permit, socket))
}

async fn serve(socket: TcpStream, door: HttpDoor, shutdown: CancellationToken) {
    let HttpDoor { api, settings } = door;
    // Looked up for each request: a connection may be older than the pipeline's opening.
    let service = service_fn(move |request| {
        let api = api.borrow().clone();
        async { Ok::<_, Infallible>(api.answer(request).await) }
    });
    // Answers are written whole; waiting for more to send would only add delay.
    _ = socket.set_nodelay(true);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(settings.header_timeout_s))
            .max_buf_size(settings.header_bytes_max)
            .serve_connection(TokioIo::new(socket), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended with an error");
    }
}

#[cfg(test)]
mod tests;
