//! [`Lane`]: one place in one partition from which records come in order, read ahead by librdkafka's own threads within its bounds.
//!
//! Everything here may block and runs on threads that may.

use std::sync::Arc;
use std::time::Duration;

use millstream_core::ports::Record;
use millstream_core::{Error, Result};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::watch;

use super::super::client::{Cluster, Context};
use super::chunk::Chunk;

/// A place in a partition.
pub(super) struct Lane {
    cluster: Arc<Cluster>,
    consumer: Arc<BaseConsumer<Context>>,
    queue: PartitionQueue<Context>,
    topic: String,
    partition: i32,
    /// Everything before it is given out, or is nothing that a reader sees.
    position: i64,
    /// From here to `position` there is nothing that a reader sees.
    nothing_from: i64,
    /// A record that was taken from the queue to see whether there is one.
    ahead: Option<Record>,
    /// Something came out of the queue since it was put to its place: what librdkafka says of its position is of this place.
    live: bool,
}

/// What came out of a queue.
enum Polled<'a> {
    Message(BorrowedMessage<'a>),
    /// The end of the partition, as a fetch found it.
    End,
    Nothing,
}

/// What a lane had when it was asked for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Records.
    Records,
    /// The end of the partition.
    End,
    /// Nothing within the time.
    Nothing,
}

impl Lane {
    /// A lane of `consumer` that begins at `from`; `bell` rings when its queue gets something.
    pub(super) fn open(
        cluster: Arc<Cluster>,
        consumer: Arc<BaseConsumer<Context>>,
        (topic, partition): (&str, i32),
        from: i64,
        bell: watch::Sender<u64>,
    ) -> Result<Self> {
        // The queue is split off before the assignment starts it, so that nothing comes out anywhere else.
        let queue = consumer.split_partition_queue(topic, partition);
        let mut queue = queue.ok_or_else(|| Error::invalid(format!("{topic}-{partition} can't be read: not a topic's name")))?;
        queue.set_nonempty_callback(move || bell.send_modify(|n| *n += 1));
        let (topic, position, nothing_from) = (topic.to_owned(), from, from);
        let lane = Self { cluster, consumer, queue, topic, partition, position, nothing_from, ahead: None, live: false };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&lane.topic, partition, KafkaOffset::Offset(from)).map_err(|e| lane.failed(e))?;
        lane.consumer.incremental_assign(&list).map_err(|e| lane.failed(e))?;
        Ok(lane)
    }

    fn failed(&self, source: KafkaError) -> Error {
        self.cluster.failed(format!("reading {}-{}", self.topic, self.partition), source)
    }

    /// The offset at which it goes on.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Whether a read from `from` gets the same as one from here.
    pub(super) fn serves(&self, from: i64) -> bool {
        (self.nothing_from..=self.position).contains(&from)
    }

    /// Goes to `to`, and drops what was read ahead.
    pub(super) fn seek(&mut self, to: i64) -> Result<()> {
        (self.ahead, self.live) = (None, false);
        let timeout = self.cluster.settings.call_timeout();
        self.consumer.seek(&self.topic, self.partition, KafkaOffset::Offset(to), timeout).map_err(|e| self.failed(e))?;
        (self.position, self.nothing_from) = (to, to);
        Ok(())
    }

    fn poll(&self, timeout: Duration) -> Result<Polled<'_>> {
        match self.queue.poll(timeout) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => Ok(Polled::Message(message)),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Polled::End),
            Some(Err(error)) => Err(self.failed(error)),
        }
    }

    /// Puts what is there into `chunk`, until that has `max_bytes`; waits at most `timeout` for the first record.
    pub(super) fn fill(&mut self, chunk: &mut Chunk, max_bytes: usize, timeout: Duration) -> Result<Found> {
        let (mut wait, mut position, mut live) = (timeout, self.position, self.live);
        let found = loop {
            if !chunk.is_empty() && chunk.size() >= max_bytes {
                break Found::Records;
            }
            match self.poll(wait)? {
                // What librdkafka delivers again after a connection was lost.
                Polled::Message(message) if message.offset() < position => {}
                Polled::Message(message) => {
                    chunk.push(&message);
                    position = message.offset() + 1;
                    (wait, live) = (Duration::ZERO, true);
                }
                Polled::End => {
                    live = true;
                    if chunk.is_empty() {
                        break Found::End;
                    }
                }
                Polled::Nothing if chunk.is_empty() => break Found::Nothing,
                Polled::Nothing => break Found::Records,
            }
        };
        (self.position, self.live) = (position, live);
        if chunk.is_empty() {
            self.pass_over_markers();
        } else {
            self.nothing_from = position;
        }
        Ok(found)
    }

    /// The record that [`peek`](Self::peek) found, if it did.
    pub(super) fn take_ahead(&mut self) -> Option<Record> {
        let record = self.ahead.take()?;
        (self.position, self.nothing_from) = (record.offset.next().0, record.offset.next().0);
        Some(record)
    }

    /// The offset of the next record, if it is there now. It stays there.
    pub(super) fn peek(&mut self) -> Result<Option<i64>> {
        let nothing_from = self.nothing_from;
        while self.ahead.is_none() {
            let mut chunk = Chunk::default();
            match self.fill(&mut chunk, 1, Duration::ZERO)? {
                Found::Records => {
                    self.ahead = chunk.into_records().pop();
                    self.position = self.ahead.as_ref().map_or(self.position, |record| record.offset.0);
                    self.nothing_from = nothing_from;
                }
                Found::End => {}
                Found::Nothing => return Ok(None),
            }
        }
        Ok(self.ahead.as_ref().map(|record| record.offset.0))
    }

    /// Moves the position behind what no reader gets to see, the markers at the end of transactions: librdkafka counts them as they come
    /// out of the queue, in their order.
    fn pass_over_markers(&mut self) {
        if !self.live {
            return;
        }
        let Ok(list) = self.consumer.position() else { return };
        let Some(found) = list.find_partition(&self.topic, self.partition) else { return };
        if let KafkaOffset::Offset(offset) = found.offset() {
            self.position = self.position.max(offset);
        }
    }

    /// There is nothing that a reader sees before `end`.
    pub(super) fn nothing_until(&mut self, end: i64) {
        self.position = self.position.max(end);
    }
}
