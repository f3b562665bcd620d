//! Clients of a cluster: what librdkafka is told, who the client says it is, and whether the cluster is there.
//!
//! Secrets and certificates are read whenever a client is made. A client whose authentication failed is spoiled: its owner makes a new
//! one, with the secrets as they are then. librdkafka's own lines are kept for debugging; what an operator gets to read is one warning
//! when the cluster goes away, and one line when it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::ports::Clock;
use millstream_core::{Error, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext, ThreadedProducer};

use super::delivery::Deliveries;
use super::error::ClientError;
use super::native;
use super::settings::{KafkaSettings, SaslMechanism};
use super::token;
use crate::connection::Secret;

/// How long the thread that serves a client's events sleeps at most before it looks whether it should end.
const EVENT_POLL: Duration = Duration::from_secs(1);

/// A cluster that clients are made for.
pub(super) struct Cluster {
    pub(super) settings: KafkaSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Arc<Health>,
}

/// Whether the cluster is there, as far as all clients of this process know.
pub(super) struct Health {
    endpoint: String,
    /// Whether the log is told when it goes and comes.
    is_told: bool,
    away: AtomicBool,
    /// Why it was not reached, in librdkafka's words.
    reason: Mutex<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Health {
    /// The cluster does not answer: told once.
    pub(super) fn is_away(&self) {
        if !self.away.swap(true, Ordering::Relaxed) && self.is_told {
            tracing::warn!(endpoint = self.endpoint, reason = *lock(&self.reason), "the Kafka cluster does not answer; waiting for it");
        }
    }

    /// The cluster answered.
    pub(super) fn is_here(&self) {
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            lock(&self.reason).clear();
            if self.is_told {
                tracing::info!(endpoint = self.endpoint, "the Kafka cluster is back");
            }
        }
    }

    /// Why it was not reached, or nothing.
    pub(super) fn reason(&self) -> Option<String> {
        Some(lock(&self.reason).clone()).filter(|reason| !reason.is_empty())
    }
}

/// What librdkafka calls back, of one client.
#[derive(Clone)]
pub(super) struct Context {
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
    token: Option<Secret>,
    spoiled: Arc<AtomicBool>,
}

impl Context {
    /// Whether the client has to be made anew: it was refused, and its secrets may be those of before.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Relaxed)
    }

    /// Takes note of an error that came without a call.
    pub(super) fn noticed(&self, code: RDKafkaErrorCode) {
        use RDKafkaErrorCode as C;
        match code {
            C::AllBrokersDown => self.health.is_away(),
            C::Authentication | C::SaslAuthenticationFailed | C::SSL => {
                self.spoiled.store(true, Ordering::Relaxed);
                self.health.is_away();
            }
            other => tracing::debug!("librdkafka: {other}"),
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(facility, "FAIL" | "ERROR" | "SASL" | "SSL") {
            // "[thrd:sasl_ssl://host:9093/bootstrap]: sasl_ssl://host:9093/bootstrap: what happened"
            let reason = message.split_once("]: ").map_or(message, |(_, rest)| rest);
            reason.clone_into(&mut lock(&self.health.reason));
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {error}: {reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.noticed(code);
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(token::read(self.token.as_ref(), &*self.clock)?)
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Deliveries>;

    fn delivery(&self, result: &DeliveryResult<'_>, deliveries: Self::DeliveryOpaque) {
        deliveries.note(result);
    }
}

/// A consumer, and the thread that serves its events: errors, tokens, lost connections. It ends when this is dropped.
pub(super) struct Served {
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Served {
    fn start(consumer: BaseConsumer<Context>) -> Result<Self> {
        let (consumer, stop) = (Arc::new(consumer), Arc::new(AtomicBool::new(false)));
        let (served, stopped) = (consumer.clone(), stop.clone());
        let serve = move || {
            use rdkafka::consumer::Consumer as _;
            let context = served.context().clone();
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Err(error)) = served.poll(EVENT_POLL)
                    && let Some(code) = error.rdkafka_error_code()
                {
                    context.noticed(code);
                }
            }
        };
        std::thread::Builder::new()
            .name("kafka-events".to_owned())
            .spawn(serve)
            .map_err(|e| Error::unavailable("a thread for a Kafka client's events can't be started").caused_by(e))?;
        Ok(Self { consumer, stop })
    }

    pub(super) fn is_spoiled(&self) -> bool {
        use rdkafka::consumer::Consumer as _;
        self.consumer.context().is_spoiled()
    }
}

impl Cluster {
    /// A cluster with these settings, after [`KafkaSettings::validate`]. Reaches nothing yet.
    pub(super) fn new(settings: &KafkaSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::with_log(settings, clock, true)
    }

    /// The same, of which the log is told nothing: for one question, whose asker says what came of it.
    pub(super) fn unlogged(settings: &KafkaSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::with_log(settings, clock, false)
    }

    fn with_log(settings: &KafkaSettings, clock: Arc<dyn Clock>, is_told: bool) -> Result<Arc<Self>> {
        settings.validate()?;
        let endpoint = settings.bootstrap_servers.clone();
        let health = Health { endpoint, is_told, away: AtomicBool::new(false), reason: Mutex::new(String::new()) };
        Ok(Arc::new(Self { settings: settings.clone(), clock, health: Arc::new(health) }))
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.settings.bootstrap_servers
    }

    fn context(&self) -> Context {
        Context {
            health: self.health.clone(),
            clock: self.clock.clone(),
            token: self.settings.token.clone(),
            spoiled: Arc::new(AtomicBool::new(false)),
        }
    }

    /// What every client is told; reads the secrets.
    pub(super) fn config(&self) -> Result<ClientConfig> {
        let s = &self.settings;
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &s.bootstrap_servers)
            .set("client.id", &s.client_id)
            .set("security.protocol", s.security_protocol().as_str())
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", s.call_timeout_ms.to_string())
            .set("socket.timeout.ms", s.request_timeout_ms().min(300_000).to_string())
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", s.metadata_max_age_ms().to_string())
            .set("metadata.max.age.ms", s.metadata_max_age_ms().to_string())
            .set("topic.metadata.refresh.fast.interval.ms", "50")
            .set("connections.max.idle.ms", s.connections_max_idle_ms().to_string())
            .set("log.connection.close", "false");
        if let Some(mechanism) = s.sasl_mechanism() {
            config.set("sasl.mechanism", mechanism.as_str());
            if mechanism != SaslMechanism::OauthBearer {
                let password = s.password.as_ref().ok_or_else(|| Error::invalid("kafka.password is not set"))?;
                config.set("sasl.username", s.username().unwrap_or_default());
                config.set("sasl.password", password.read("kafka.password")?.expose());
            }
        }
        let files = [
            ("ssl.ca.location", &s.tls.ca_file),
            ("ssl.certificate.location", &s.tls.certificate_file),
            ("ssl.key.location", &s.tls.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        Ok(config)
    }

    /// A consumer that is told `extra` too.
    pub(super) fn consumer(&self, extra: &[(&str, String)]) -> Result<Served> {
        let consumer = self.make("making a consumer", extra, |config, context| config.create_with_context(context))?;
        Served::start(consumer)
    }

    /// A producer that is told `extra` too, with the context that `context` makes of the cluster's.
    pub(super) fn producer<C: ProducerContext + 'static>(
        &self,
        extra: &[(&str, String)],
        context: impl FnOnce(Context) -> C,
    ) -> Result<ThreadedProducer<C>> {
        let mut all = vec![
            ("enable.idempotence", "true".to_owned()),
            ("acks", "all".to_owned()),
            ("request.timeout.ms", self.settings.request_timeout_ms().to_string()),
            ("message.max.bytes", self.settings.max_request_bytes().to_string()),
        ];
        all.extend_from_slice(extra);
        self.make("making a producer", &all, |config, given| config.create_with_context(context(given)))
    }

    /// An admin client: for one call, so that its secrets are fresh.
    pub(super) fn admin(&self) -> Result<AdminClient<Context>> {
        let admin: AdminClient<Context> =
            self.make("making an admin client", &[], |config, context| config.create_with_context(context))?;
        if self.settings.sasl_mechanism() == Some(SaslMechanism::OauthBearer) {
            // rdkafka serves no events of an admin client, so that it would never ask for its token.
            let token = token::read(self.settings.token.as_ref(), &*self.clock)?;
            native::set_token(admin.inner(), &token)
                .map_err(|reason| Error::unavailable(format!("kafka.token was not taken by the client: {reason}")))?;
        }
        Ok(admin)
    }

    fn make<T>(
        &self,
        operation: &str,
        extra: &[(&str, String)],
        make: impl FnOnce(&ClientConfig, Context) -> std::result::Result<T, KafkaError>,
    ) -> Result<T> {
        let mut config = self.config()?;
        for (name, value) in extra {
            config.set(*name, value);
        }
        make(&config, self.context()).map_err(|source| self.failed(operation, source))
    }

    /// The error of a call that failed, with what is known of the cluster.
    pub(super) fn failed(&self, operation: impl Into<String>, source: KafkaError) -> Error {
        let failed = ClientError::Kafka { operation: operation.into(), endpoint: self.endpoint().to_owned(), source };
        let error = Error::from(failed);
        if error.kind() != millstream_core::ErrorKind::Unavailable {
            return error;
        }
        match self.health.reason() {
            Some(reason) => Error::unavailable(format!("{error} ({reason})")),
            None => error,
        }
    }
}

/// A client that is made when it is needed, and again when it is spoiled.
pub(super) struct Renewable<T> {
    made: Mutex<Option<Arc<T>>>,
}

impl<T> Default for Renewable<T> {
    fn default() -> Self {
        Self { made: Mutex::new(None) }
    }
}

impl<T> Renewable<T> {
    /// The client, made by `make` where there is none or the present one is `spoiled`.
    pub(super) fn get(&self, spoiled: impl FnOnce(&T) -> bool, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut made = lock(&self.made);
        if let Some(present) = made.as_ref().filter(|present| !spoiled(present)) {
            return Ok(present.clone());
        }
        *made = None;
        Ok(made.insert(Arc::new(make()?)).clone())
    }

    /// Forgets the client: the next call makes a new one.
    pub(super) fn forget(&self) {
        *lock(&self.made) = None;
    }
}
