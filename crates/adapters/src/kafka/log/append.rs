//! [`Appender`]: appends of which all records stand one after the other, or none.
//!
//! Nothing but one batch is appended whole by a broker. librdkafka makes batches from whatever waits in a partition's queue when its
//! linger is over; so the linger is longer than any call, one append at a time fills the queue, and a flush sends it.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_core::ports::NewRecord;
use millstream_core::{Error, ErrorKind, Offset, Result, TopicPartition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, PurgeConfig, ThreadedProducer};

use super::super::client::{Cluster, Context, Renewable};
use super::super::delivery::Deliveries;
use super::super::native;
use super::super::producer::{OutgoingRecord, to_base_record};

/// A batch's header, and what a record needs beside its key, value and headers at the most, in bytes.
const BATCH_BYTES: usize = 61;
const RECORD_BYTES: usize = 40;

/// Appends to a cluster's topics.
pub(super) struct Appender {
    cluster: Arc<Cluster>,
    producer: Renewable<ThreadedProducer<Context>>,
    one_at_a_time: Mutex<()>,
}

impl Appender {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, producer: Renewable::default(), one_at_a_time: Mutex::new(()) }
    }

    /// The next append is made by a new producer: a topic was deleted, and one of the same name begins with a new sequence.
    pub(super) fn forget(&self) {
        self.producer.forget();
    }

    fn producer(&self) -> Result<Arc<ThreadedProducer<Context>>> {
        let timeout_ms = self.cluster.settings.call_timeout_ms;
        let make = || {
            let settings = [
                ("linger.ms", (timeout_ms - 1).to_string()),
                ("message.timeout.ms", timeout_ms.to_string()),
                ("batch.num.messages", "1000000".to_owned()),
                ("batch.size", "2147483647".to_owned()),
                ("queue.buffering.max.messages", "0".to_owned()),
                ("queue.buffering.max.kbytes", "2147483647".to_owned()),
            ];
            self.cluster.producer(&settings, |context| context)
        };
        self.producer.get(|producer| producer.client().context().is_spoiled(), make)
    }

    /// Appends `records` to a partition that exists.
    pub(super) fn append(&self, partition: &TopicPartition, records: &[NewRecord]) -> Result<Offset> {
        let most = usize::try_from(self.cluster.settings.max_request_bytes()).unwrap_or(usize::MAX);
        let size = BATCH_BYTES + records.iter().map(size_of_record).sum::<usize>();
        if size > most {
            return Err(Error::invalid(format!(
                "an append of {size} bytes to {partition} is more than one batch may have (kafka.max_request_bytes, {most}): append fewer \
                 records at a time"
            )));
        }
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = self.producer()?;
        let now = self.cluster.clock.now();
        let deliveries = Arc::new(Deliveries::default());
        for record in records {
            let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
            let outgoing = OutgoingRecord {
                topic: &partition.topic,
                partition: Some(partition.partition),
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &headers,
                timestamp: Some(record.timestamp.unwrap_or(now)),
            };
            if let Err((source, _)) = producer.send(to_base_record(&outgoing, deliveries.clone())) {
                // What is in the queue already would be half of an append.
                producer.purge(PurgeConfig::default().queue());
                return Err(self.failed(partition, source));
            }
        }
        let answered = native::flush(producer.client(), self.cluster.settings.call_timeout());
        let delivered = deliveries.so_far();
        match (delivered.error, delivered.first) {
            (None, Some(first)) if delivered.acknowledged == records.len() => {
                self.cluster.health.is_here();
                Ok(Offset(first))
            }
            (error, _) => {
                if !answered {
                    // The producer would go on trying beside the caller, who tries again too.
                    self.forget();
                }
                let code = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
                Err(self.failed(partition, error.unwrap_or(code)))
            }
        }
    }

    fn failed(&self, partition: &TopicPartition, source: KafkaError) -> Error {
        let error = self.cluster.failed(format!("appending to {partition}"), source);
        if error.kind() == ErrorKind::Unavailable {
            self.cluster.health.is_away();
        }
        error
    }
}

fn size_of_record(record: &NewRecord) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + length(value) + 10).sum();
    RECORD_BYTES + length(&record.key) + length(&record.value) + headers
}
