//! [`KafkaProducer`]: many records a second on one core, with a bound on what is in flight.
//!
//! Acknowledgements are counted in librdkafka's delivery callback, rather than awaited one future a record: that is what makes it fast.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use millstream_core::ports::SystemClock;
use millstream_core::{Error, Result, Timestamp};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::util::IntoOpaque;
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::Notify;

use super::client::Cluster;
use super::error::ClientError;
use super::producer_settings::ProducerSettings;
use super::settings::{KafkaSettings, SaslMechanism};

/// A record to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutgoingRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None`: that of the key (as the Java client hashes it), or any where there is no key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// When it happened, kept to the millisecond; `None`: now, by the machine's clock.
    pub timestamp: Option<Timestamp>,
}

/// What is sent, acknowledged and failed; written by the delivery callback, read by `send` and `flush`.
#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    /// The topic and error of the first record whose delivery failed.
    first_failure: OnceLock<(String, KafkaError)>,
    /// Somebody waits for room; `room` is told when no more than `low_water` records are in flight.
    waiting: AtomicBool,
    room: Notify,
    /// Told when nothing is in flight.
    drained: Notify,
    low_water: u64,
}

impl Tally {
    fn in_flight(&self) -> u64 {
        let done = self.delivered.load(Ordering::SeqCst) + self.failed.load(Ordering::SeqCst);
        // Read after the others, so that the difference can't be negative.
        self.sent.load(Ordering::SeqCst).saturating_sub(done)
    }

    fn done(&self, result: std::result::Result<(), (String, KafkaError)>) {
        match result {
            Ok(()) => {
                self.delivered.fetch_add(1, Ordering::SeqCst);
            }
            Err(failure) => {
                let _ = self.first_failure.set(failure);
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
        }
        let left = self.in_flight();
        if left <= self.low_water && self.waiting.swap(false, Ordering::SeqCst) {
            self.room.notify_waiters();
        }
        if left == 0 {
            self.drained.notify_waiters();
        }
    }
}

struct Deliveries {
    tally: Arc<Tally>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(facility, "librdkafka: {message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("librdkafka: {error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        match result {
            Ok(_) => self.tally.done(Ok(())),
            Err((error, message)) => self.tally.done(Err((message.topic().to_owned(), error.clone()))),
        }
    }
}

/// Sends records to a Kafka endpoint.
///
/// `send` returns when the record is in the producer's buffer; `flush` when everything sent is acknowledged. After a failed delivery
/// both fail, so that nothing is lost unnoticed: make a new producer, and go on from what the topic holds. Dropping a producer
/// abandons what is not acknowledged yet.
pub struct KafkaProducer {
    producer: ThreadedProducer<Deliveries>,
    tally: Arc<Tally>,
    in_flight_max: u64,
    endpoint: String,
}

impl KafkaProducer {
    /// A producer with these settings, after [`ProducerSettings::validate`]. librdkafka connects in the background, and again when
    /// the connection is lost; an endpoint that stays away fails the first record after `delivery_timeout`.
    pub fn connect(settings: &ProducerSettings) -> Result<Self> {
        settings.validate()?;
        Self::of_config(settings, &settings.client_config())
    }

    /// The same for the cluster of a section `[kafka]`, which says where it is, who we are and whom we trust.
    /// [`Unsupported`](millstream_core::ErrorKind::Unsupported) for a cluster that wants a bearer token.
    pub fn connect_to(cluster: &KafkaSettings, settings: &ProducerSettings) -> Result<Self> {
        settings.validate()?;
        if cluster.sasl_mechanism() == Some(SaslMechanism::OauthBearer) {
            return Err(Error::unsupported(
                "this producer can't say who it is with a bearer token: produce with a Kafka client of your own",
            ));
        }
        let mut config = settings.client_config();
        for (name, value) in Cluster::new(cluster, Arc::new(SystemClock))?.config()?.config_map() {
            config.set(name, value);
        }
        Self::of_config(settings, &config)
    }

    fn of_config(settings: &ProducerSettings, config: &ClientConfig) -> Result<Self> {
        let in_flight_max = u64::try_from(settings.in_flight_records_max).unwrap_or(u64::MAX);
        let tally = Arc::new(Tally { low_water: in_flight_max / 2, ..Tally::default() });
        let endpoint = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        let context = Deliveries { tally: tally.clone() };
        let producer = config.create_with_context(context).map_err(|source| ClientError::Kafka {
            operation: "making a producer".to_owned(),
            endpoint: endpoint.clone(),
            source,
        })?;
        Ok(Self { producer, tally, in_flight_max, endpoint })
    }

    /// Puts a record into the buffer, and waits for room first if the buffer is full. Fails if an earlier record's delivery failed.
    /// Dropped while it waits, it has sent nothing.
    pub async fn send(&self, record: OutgoingRecord<'_>) -> Result<()> {
        loop {
            self.check_deliveries()?;
            if self.tally.in_flight() >= self.in_flight_max {
                self.wait_for_room().await;
                continue;
            }
            // Counted before the callback can count the acknowledgement.
            self.tally.sent.fetch_add(1, Ordering::SeqCst);
            match self.producer.send(to_base_record(&record, ())) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    // The bytes are bounded too, by librdkafka.
                    if self.uncount() == 0 {
                        return Err(ClientError::TooLarge { topic: record.topic.to_owned(), endpoint: self.endpoint.clone() }.into());
                    }
                    self.wait_for_room().await;
                }
                Err((source, _)) => {
                    self.uncount();
                    let operation = format!("sending a record to topic {}", record.topic);
                    return Err(ClientError::Kafka { operation, endpoint: self.endpoint.clone(), source }.into());
                }
            }
        }
    }

    /// Takes back the count of a record that was not sent after all; returns how many are in flight.
    fn uncount(&self) -> u64 {
        self.tally.sent.fetch_sub(1, Ordering::SeqCst);
        let left = self.tally.in_flight();
        if left == 0 {
            self.tally.drained.notify_waiters();
        }
        left
    }

    /// Waits until no more than half of the bound is in flight.
    async fn wait_for_room(&self) {
        let room = self.tally.room.notified();
        tokio::pin!(room);
        room.as_mut().enable();
        self.tally.waiting.store(true, Ordering::SeqCst);
        // An acknowledgement that came before `waiting` was set has told nobody.
        if self.tally.in_flight() > self.tally.low_water {
            room.await;
        }
    }

    /// Resolves when every record sent so far is acknowledged. Fails if one could not be delivered.
    pub async fn flush(&self) -> Result<()> {
        loop {
            let drained = self.tally.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            self.check_deliveries()?;
            if self.tally.in_flight() == 0 {
                return self.check_deliveries();
            }
            drained.await;
        }
    }

    fn check_deliveries(&self) -> Result<()> {
        let Some((topic, source)) = self.tally.first_failure.get() else { return Ok(()) };
        Err(ClientError::Undelivered {
            failed: self.failed(),
            sent: self.tally.sent.load(Ordering::SeqCst),
            endpoint: self.endpoint.clone(),
            first_topic: topic.clone(),
            source: source.clone(),
        }
        .into())
    }

    /// How many records were acknowledged.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.tally.delivered.load(Ordering::SeqCst)
    }

    /// How many records could not be delivered.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.tally.failed.load(Ordering::SeqCst)
    }

    /// How many records wait for their acknowledgement.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.tally.in_flight()
    }
}

/// The record in rdkafka's words; `opaque` comes back with its acknowledgement.
pub(super) fn to_base_record<'a, D: IntoOpaque>(record: &OutgoingRecord<'a>, opaque: D) -> BaseRecord<'a, [u8], [u8], D> {
    let mut base = BaseRecord::<[u8], [u8], D>::with_opaque_to(record.topic, opaque);
    base.partition = record.partition;
    base.key = record.key;
    base.payload = record.value;
    base.timestamp = record.timestamp.map(|t| t.micros().div_euclid(1_000));
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let insert = |all: OwnedHeaders, (key, value): &(&str, Option<&[u8]>)| all.insert(Header { key, value: *value });
        base.headers = Some(record.headers.iter().fold(headers, insert));
    }
    base
}

#[cfg(test)]
mod tests;
