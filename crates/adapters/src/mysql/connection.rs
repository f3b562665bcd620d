//! A connection, made with the secret and the certificates as they are at that moment, and used for one question or one load.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use millstream_core::{Error, Result};
use mysql_async::{ClientIdentity, Conn, OptsBuilder, SslOpts};
use tokio::time::timeout;

use super::error::Failure;
use super::settings::MysqlSettings;

type Answer<'a, T> = Pin<Box<dyn Future<Output = mysql_async::Result<T>> + Send + 'a>>;

/// An open connection.
pub(super) struct Connection {
    conn: Conn,
    settings: MysqlSettings,
    operation: String,
}

/// What the client needs of the settings, from the files as they are now.
fn options(settings: &MysqlSettings) -> Result<OptsBuilder> {
    let (options, with_tls) = settings.options()?;
    let user = settings.user.clone().or_else(|| options.user().map(str::to_owned));
    let mut builder = OptsBuilder::from_opts(options).user(user).prefer_socket(false).stmt_cache_size(0);
    if let Some(secret) = &settings.password {
        builder = builder.pass(Some(secret.read("mysql.password")?.expose().to_owned()));
    }
    if with_tls {
        // Fails with a message of its own where a file can't be read.
        settings.tls.rustls("mysql")?;
        // The client builds its own configuration, by the process's provider. Another may have set it first, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let roots = match &settings.tls.ca_file {
            Some(file) => vec![file.clone().into()],
            None => rustls_native_certs::load_native_certs().certs.into_iter().map(|c| c.to_vec().into()).collect(),
        };
        let identity = match (&settings.tls.certificate_file, &settings.tls.key_file) {
            (Some(chain), Some(key)) => Some(ClientIdentity::new(chain.clone().into(), key.clone().into())),
            _ => None,
        };
        let tls = SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots).with_client_identity(identity);
        builder = builder.ssl_opts(tls);
    }
    // Timestamps come in the session's time zone.
    Ok(builder.setup(vec!["SET time_zone = '+00:00'"]))
}

impl Connection {
    /// Opens a connection for `operation`, what messages begin with.
    pub async fn open(settings: &MysqlSettings, operation: &str) -> Result<Self> {
        let (operation, place, limit) = (operation.to_owned(), settings.place(), settings.connect_timeout());
        // A mounted secret is absent for a moment while it is exchanged.
        let options = options(settings)
            .map_err(|e| Error::unavailable(format!("{operation}: MySQL ({place}) can't be reached")).caused_by(e.to_string()))?;
        match timeout(limit, Conn::new(options)).await {
            Ok(Ok(conn)) => Ok(Self { conn, settings: settings.clone(), operation }),
            Ok(Err(source)) => Err(Failure::Connect { operation, place, source }.into()),
            Err(_) => Err(Failure::Silent { operation, place, limit }.into()),
        }
    }

    /// What `ask` answers, which has to come within the time-out.
    pub async fn soon<'a, T>(&'a mut self, ask: impl FnOnce(&'a mut Conn) -> Answer<'a, T>) -> Result<T> {
        let (conn, patience) = self.parts();
        patience.soon(ask(conn)).await
    }

    /// What `ask` answers, which may take long.
    pub async fn patiently<'a, T>(&'a mut self, ask: impl FnOnce(&'a mut Conn) -> Answer<'a, T>) -> Result<T> {
        let (conn, patience) = self.parts();
        patience.patiently(ask(conn)).await
    }

    /// The client's connection, for a result that is read row by row, and how to wait for it.
    pub fn parts(&mut self) -> (&mut Conn, Patience<'_>) {
        (&mut self.conn, Patience { settings: &self.settings, operation: &self.operation })
    }

    /// Says goodbye. A server that doesn't listen any more is as good.
    pub async fn close(self) {
        drop(timeout(self.settings.connect_timeout(), self.conn.disconnect()).await);
    }
}

/// How an answer is waited for, and what its absence is called.
pub(super) struct Patience<'a> {
    settings: &'a MysqlSettings,
    operation: &'a str,
}

impl Patience<'_> {
    fn silent(&self, limit: Duration) -> Error {
        Failure::Silent { operation: self.operation.to_owned(), place: self.settings.place(), limit }.into()
    }

    fn failure(&self, source: mysql_async::Error) -> Error {
        Failure::Call { operation: self.operation.to_owned(), place: self.settings.place(), source }.into()
    }

    /// The answer, which has to come within the time-out.
    pub async fn soon<T>(&self, answer: impl Future<Output = mysql_async::Result<T>>) -> Result<T> {
        let limit = self.settings.request_timeout();
        match timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|e| self.failure(e)),
            Err(_) => Err(self.silent(limit)),
        }
    }

    /// The answer to what may take long: while it is out, the server has to take another connection from time to time.
    pub async fn patiently<T>(&self, answer: impl Future<Output = mysql_async::Result<T>>) -> Result<T> {
        let (every, most) = (self.settings.request_timeout(), Duration::from_secs(self.settings.statement_timeout_s));
        let mut answer = std::pin::pin!(answer);
        let mut waited = Duration::ZERO;
        loop {
            match timeout(every, &mut answer).await {
                Ok(answer) => return answer.map_err(|e| self.failure(e)),
                Err(_) if waited < most => Connection::open(self.settings, self.operation).await?.close().await,
                Err(_) => return Err(self.silent(most)),
            }
            waited += every;
        }
    }
}
