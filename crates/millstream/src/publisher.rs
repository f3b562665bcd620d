//! Publishes a sequence of flights through a Kafka client: what the demo does inside its own process, and `publish-flights` from another.

use std::time::Duration;

use indicatif::ProgressBar;
use millstream_adapters::kafka::{KafkaProducer, KafkaSettings, OutgoingRecord, ProducerSettings};
use millstream_core::ports::{Clock, SystemClock};
use millstream_core::{Error, Result};
use tokio::sync::mpsc;

use crate::flights::{Counts, Kind, Publication, Sequence};

/// Records that are made at once.
const CHUNK_RECORDS: usize = 512;

/// Chunks that are made ahead of the sending.
const CHUNKS_AHEAD: usize = 4;

/// With a rate, records go out in so many steps a second.
const STEPS_A_SECOND: u32 = 50;

/// A record waits this long for a broker that is away: a pipeline that is killed and started again finds its producer still there.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Memory for records that wait for their acknowledgement.
const IN_FLIGHT_KIB: usize = 32 * 1024;

/// What was published.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Records that were sent and acknowledged.
    pub records: u64,
    /// The whole sequence, with what the topic held already.
    pub sequence: Counts,
    /// When the first was sent, in microseconds since the epoch.
    pub began_micros: i64,
    /// How long it took until all were acknowledged.
    pub micros: i64,
}

/// A producer for one topic.
pub struct Publisher {
    producer: KafkaProducer,
    topic: String,
    rate: Option<u32>,
    clock: SystemClock,
}

impl Publisher {
    /// A publisher to `topic` at the endpoint `bootstrap` (`host:port`), of at most `rate` records a second.
    pub fn connect(bootstrap: &str, topic: &str, rate: Option<u32>) -> Result<Self> {
        Ok(Self { producer: KafkaProducer::connect(&settings(bootstrap))?, topic: topic.to_owned(), rate, clock: SystemClock })
    }

    /// The same on a real cluster.
    pub fn connect_to(cluster: &KafkaSettings, topic: &str, rate: Option<u32>) -> Result<Self> {
        let producer = KafkaProducer::connect_to(cluster, &settings(&cluster.bootstrap_servers))?;
        Ok(Self { producer, topic: topic.to_owned(), rate, clock: SystemClock })
    }

    /// Publishes at most `limit` records of `sequence` and waits for every acknowledgement. Late ones go out after all others were
    /// acknowledged, if `before_late` then says so.
    pub async fn publish(
        self,
        sequence: Sequence,
        limit: u64,
        bar: &ProgressBar,
        before_late: impl AsyncFnOnce() -> Result<bool>,
    ) -> Result<Published> {
        let began = self.clock.now();
        let (made, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
        let size = self.chunk_size();
        // Decoding and encoding take a core: on a thread of its own, a bounded number of chunks ahead.
        let maker = tokio::task::spawn_blocking(move || make(sequence, size, &made));
        let mut before_late = Some(before_late);
        let mut sent = 0;
        'sending: while let Some(chunk) = chunks.recv().await {
            for publication in &chunk {
                if publication.kind == Kind::Late
                    && let Some(ask) = before_late.take()
                {
                    self.producer.flush().await?;
                    if !ask().await? {
                        break 'sending;
                    }
                }
                if sent == limit {
                    break 'sending;
                }
                self.send(publication).await?;
                sent += 1;
            }
            bar.inc(chunk.len() as u64);
            self.keep_pace(sent, began.micros()).await;
        }
        drop(chunks);
        self.producer.flush().await?;
        let sequence = maker.await.map_err(|e| Error::internal("making events ended early").caused_by(e))??;
        Ok(Published {
            records: self.producer.delivered(),
            sequence,
            began_micros: began.micros(),
            micros: self.clock.now().micros() - began.micros(),
        })
    }

    async fn send(&self, publication: &Publication) -> Result<()> {
        let record = OutgoingRecord {
            topic: &self.topic,
            // The partition that the key hashes to, said explicitly: going on after a kill counts on it.
            partition: Some(publication.partition),
            key: Some(&publication.key),
            value: Some(&publication.value),
            ..OutgoingRecord::default()
        };
        self.producer.send(record).await
    }

    fn chunk_size(&self) -> usize {
        let step = self.rate.map_or(CHUNK_RECORDS, |rate| usize::try_from(rate / STEPS_A_SECOND).unwrap_or(CHUNK_RECORDS));
        step.clamp(1, CHUNK_RECORDS)
    }

    /// Waits until `sent` records are due.
    async fn keep_pace(&self, sent: u64, began_micros: i64) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_micros(sent.saturating_mul(1_000_000) / u64::from(rate));
        let passed = Duration::from_micros(u64::try_from(self.clock.now().micros() - began_micros).unwrap_or(0));
        if let Some(wait) = due.checked_sub(passed) {
            self.clock.sleep(wait).await;
        }
    }
}

fn settings(bootstrap: &str) -> ProducerSettings {
    ProducerSettings { delivery_timeout: DELIVERY_TIMEOUT, in_flight_kib_max: IN_FLIGHT_KIB, ..ProducerSettings::new(bootstrap) }
}

/// Makes the sequence, chunk by chunk, until it ends or nobody takes any more.
fn make(mut sequence: Sequence, size: usize, chunks: &mpsc::Sender<Vec<Publication>>) -> Result<Counts> {
    loop {
        let chunk = sequence.by_ref().take(size).collect::<Result<Vec<_>>>()?;
        if chunk.is_empty() || chunks.blocking_send(chunk).is_err() {
            return Ok(sequence.counts());
        }
    }
}
