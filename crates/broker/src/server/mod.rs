//! The endpoint's server: the only place in this crate with sockets. It accepts connections, lets `wire` decode what comes in,
//! carries it out on the log and the group coordinator, and answers.
//!
//! A connection's requests are answered one after the other, as Kafka does it; connections don't wait for each other.

mod cluster;
mod connection;
mod fetch;
mod group_requests;
mod groups;
mod offset_requests;
mod produce;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::{Error, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::log::Log;
use groups::Groups;

/// This broker's number: it is the only one.
pub const NODE_ID: i32 = 1;
/// After a failed accept (too many open files, say) the next try waits so long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What all connections share.
#[derive(Debug)]
struct Endpoint {
    log: Arc<Log>,
    groups: Groups,
    address: SocketAddr,
    /// Bytes of requests that may still come into memory.
    request_bytes: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Where a client is, and where it believes we are.
#[derive(Clone, Debug)]
struct Peer {
    /// The client's address.
    client: SocketAddr,
    /// The host and port that it is told to connect to.
    advertised: (String, u16),
    /// What it calls itself.
    client_id: String,
}

/// The Kafka endpoint, bound to its address but not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    log: Arc<Log>,
    groups: Groups,
}

impl Server {
    /// Binds `address` (port 0 takes a free one) for clients of `log`. Serves nothing yet.
    ///
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) when the address can't be bound.
    pub async fn bind(address: SocketAddr, log: Arc<Log>) -> Result<Self> {
        let unbound = |e: std::io::Error| Error::from(e).context(format!("binding the kafka endpoint to {address} (setting listen.kafka)"));
        let listener = TcpListener::bind(address).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let groups = Groups::new(log.clone());
        Ok(Self { listener, address, log, groups })
    }

    /// The address that it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`; then requests that are being answered get `drain_secs` to end, and everything is closed. Looks after
    /// the log's retention meanwhile.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        let settings = self.log.settings();
        let (connections_max, drain) = (settings.connections_max, Duration::from_secs(settings.drain_secs));
        let clock = self.log.clock().clone();
        let endpoint = Arc::new(Endpoint {
            request_bytes: Arc::new(Semaphore::new(settings.in_flight_bytes_max)),
            log: self.log,
            groups: self.groups,
            address: self.address,
            shutdown: shutdown.clone(),
        });
        let mut upkeep = JoinSet::new();
        upkeep.spawn({
            let (endpoint, shutdown) = (endpoint.clone(), shutdown.clone());
            async move { endpoint.log.maintain(shutdown).await }
        });
        upkeep.spawn({
            let (endpoint, shutdown) = (endpoint.clone(), shutdown.clone());
            async move { endpoint.groups.keep_time(shutdown).await }
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => metrics::gauge!("millstream_broker_connections").set(connections.len() as f64),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() >= connections_max => refuse(&stream, connections_max),
                    Ok((stream, client)) => {
                        connections.spawn(connection::serve(endpoint.clone(), stream, client));
                        metrics::gauge!("millstream_broker_connections").set(connections.len() as f64);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the kafka endpoint could not accept a connection");
                        clock.sleep(ACCEPT_RETRY).await;
                    }
                },
            }
        }
        drop(self.listener);
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            () = clock.sleep(drain) => tracing::warn!(open = connections.len(), "kafka connections were still busy and are closed"),
        }
        connections.shutdown().await;
        upkeep.shutdown().await;
        Ok(())
    }
}

fn refuse(stream: &TcpStream, connections_max: usize) {
    let client = stream.peer_addr().map(|a| a.to_string()).unwrap_or_default();
    tracing::warn!(client, connections_max, "refused a kafka connection: as many as connections_max are open");
}
