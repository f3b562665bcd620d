//! The connection to Redis: one, shared by all callers, made when it is first needed and made again when it broke.
//!
//! Password and certificates are read each time. Who asks while a connection is being made waits for that attempt and shares its outcome, so
//! that a server which doesn't answer costs everybody one time-out and not a queue of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millstream_core::{Error, ErrorKind, Result};
use redis::aio::{ConnectionLike, MultiplexedConnection, SendError};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion};
use redis::{RedisError, RedisFuture, TlsCertificates, Value};
use tokio::sync::Mutex;

use super::error::{During, RedisFault, ends_connection};
use super::front::Front;
use super::settings::RedisSettings;

/// Gets connections.
pub(super) struct Link {
    settings: Arc<RedisSettings>,
    servers: String,
    state: Mutex<State>,
    /// How many attempts to connect have ended.
    attempts: AtomicU64,
    /// Is told what the server says without being asked, and of each new connection.
    front: Option<Arc<Front>>,
}

#[derive(Default)]
struct State {
    connection: Option<(u64, Connection)>,
    /// Why the last attempt failed.
    failed: Option<(ErrorKind, String)>,
}

/// A connection to a server, or to all of a cluster. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(c) => c.req_packed_command(cmd),
            Self::Cluster(c) => c.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(&'a mut self, pipeline: &'a Pipeline, offset: usize, count: usize) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(c) => c.req_packed_commands(pipeline, offset, count),
            Self::Cluster(c) => c.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(c) => c.get_db(),
            Self::Cluster(c) => c.get_db(),
        }
    }
}

impl Link {
    /// A link that connects when it is first used. A single server is asked to tell `front` of changes.
    pub fn new(settings: Arc<RedisSettings>, front: Option<Arc<Front>>) -> Self {
        Self { servers: settings.servers(), settings, state: Mutex::default(), attempts: AtomicU64::new(0), front }
    }

    /// The servers' addresses, for messages.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Runs `work` on the connection; `operation` is named in its error. A connection on which it failed in a way that will stay is given up.
    pub async fn with<T, F: Future<Output = std::result::Result<T, RedisError>>>(
        &self,
        operation: &str,
        work: impl FnOnce(Connection) -> F,
    ) -> Result<T> {
        let (number, connection) = self.connection().await?;
        let result = work(connection).await;
        if let Err(error) = &result
            && ends_connection(error)
        {
            let mut state = self.state.lock().await;
            if state.connection.as_ref().is_some_and(|(current, _)| *current == number) {
                state.connection = None;
            }
        }
        result.during(operation, &self.servers)
    }

    async fn connection(&self) -> Result<(u64, Connection)> {
        let before = self.attempts.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        if let Some((number, connection)) = &state.connection {
            return Ok((*number, connection.clone()));
        }
        let ended = self.attempts.load(Ordering::SeqCst);
        if ended > before
            && let Some((kind, message)) = &state.failed
        {
            return Err(Error::new(*kind, message.clone()));
        }
        let made = self.connect().await;
        self.attempts.fetch_add(1, Ordering::SeqCst);
        match made {
            Ok(connection) => {
                state.failed = None;
                state.connection = Some((ended, connection.clone()));
                Ok((ended, connection))
            }
            Err(error) => {
                state.failed = Some((error.kind(), error.to_string()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connection> {
        let limit = self.settings.connect_timeout();
        let connecting = async { if self.settings.cluster { self.connect_cluster().await } else { self.connect_single().await } };
        match tokio::time::timeout(limit, connecting).await {
            Ok(made) => made,
            Err(_) => {
                let why = format!("no answer within {} ms (redis.connect_timeout_ms)", self.settings.connect_timeout_ms);
                Err(RedisFault::Unreachable { servers: self.servers.clone(), why }.into())
            }
        }
    }

    async fn connect_single(&self) -> Result<Connection> {
        let node = self.nodes()?.into_iter().next().ok_or_else(|| Error::invalid("redis.url names no server"))?;
        let client = match self.certificates()? {
            Some(certificates) => Client::build_with_tls(node, certificates),
            None => Client::open(node),
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connect_timeout()))
            .set_response_timeout(Some(self.settings.request_timeout()));
        let config = match self.front.clone() {
            Some(front) => config.set_push_sender(move |said: redis::PushInfo| {
                front.hear(&said);
                Ok::<_, SendError>(())
            }),
            None => config,
        };
        let client = client.during("reading the settings of the connection", &self.servers)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.during("connecting", &self.servers)?;
        if let Some(front) = &self.front {
            front.connected(self.ask_for_changes(&mut connection).await?);
        }
        Ok(Connection::Single(connection))
    }

    /// Whether the server tells this connection of every change under the prefix from now on.
    async fn ask_for_changes(&self, connection: &mut MultiplexedConnection) -> Result<bool> {
        let mut track = redis::cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&self.settings.key_prefix);
        let asked: std::result::Result<(), RedisError> = track.query_async(connection).await;
        match asked {
            Err(error) if !ends_connection(&error) => {
                tracing::warn!(servers = self.servers, %error, "redis does not tell of changes; every read asks it");
                Ok(false)
            }
            other => other.during("asking to be told of changes", &self.servers).map(|()| true),
        }
    }

    async fn connect_cluster(&self) -> Result<Connection> {
        let mut builder: ClusterClientBuilder = ClusterClient::builder(self.nodes()?)
            .connection_timeout(self.settings.connect_timeout())
            .response_timeout(self.settings.request_timeout())
            .overall_response_timeout(Some(self.settings.request_timeout()))
            // A failover of the cluster is waited for by the flows; here only a moved slot is followed.
            .retries(3);
        if let Some(certificates) = self.certificates()? {
            builder = builder.certs(certificates);
        }
        let client = builder.build().during("reading the settings of the cluster", &self.servers)?;
        client.get_async_connection().await.map(Connection::Cluster).during("connecting to the cluster", &self.servers)
    }

    /// The nodes with user and password.
    fn nodes(&self) -> Result<Vec<ConnectionInfo>> {
        let password = self.settings.password.as_ref().map(|p| p.read("redis.password")).transpose()?;
        let protocol = if self.front.is_some() { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 };
        let with_user = |node: ConnectionInfo| {
            let mut redis = node.redis_settings().clone().set_protocol(protocol).set_lib_name("millstream", env!("CARGO_PKG_VERSION"));
            if let Some(user) = &self.settings.username {
                redis = redis.set_username(user);
            }
            if let Some(password) = &password {
                redis = redis.set_password(password.expose());
            }
            node.set_redis_settings(redis).into_connection_info().during("reading redis.url", &self.servers)
        };
        self.settings.nodes()?.into_iter().map(with_user).collect()
    }

    /// What TLS is checked with, from the files as they are now; `None` without TLS.
    fn certificates(&self) -> Result<Option<TlsCertificates>> {
        if !self.settings.uses_tls() {
            return Ok(None);
        }
        let tls = &self.settings.tls;
        // Says what is wrong with a file better than the client library does.
        tls.rustls("redis")?;
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|e| Error::invalid(format!("redis.tls: {} can't be read", path.display())).caused_by(e))
        };
        let client_tls = match (&tls.certificate_file, &tls.key_file) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? }),
            _ => None,
        };
        Ok(Some(TlsCertificates { client_tls, root_cert: tls.ca_file.as_ref().map(read).transpose()? }))
    }
}
