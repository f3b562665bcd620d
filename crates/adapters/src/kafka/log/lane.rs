//! [`Lane`]: one place in one partition from which records come in order, read ahead by librdkafka's own threads within its bounds.
//!
//! Everything here may block and runs on threads that may.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::ports::Record;
use millstream_core::{Error, Result};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::watch;

use super::super::client::{Cluster, Context};
use super::super::queue::{FetchQueue, Fetched};
use super::chunk::Chunk;

/// A place in a partition.
pub(super) struct Lane {
    cluster: Arc<Cluster>,
    consumer: Arc<BaseConsumer<Context>>,
    queue: FetchQueue<Context>,
    /// rdkafka's handle of the queue, which rings its bell.
    _ringing: PartitionQueue<Context>,
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

/// A chunk on its way out of a queue.
struct Filling<'c> {
    chunk: &'c mut Chunk,
    max_bytes: usize,
    /// As in the lane, behind what is in the chunk.
    position: i64,
    live: bool,
    /// What put an end to it.
    ended: Option<Ended>,
}

/// Why a chunk takes nothing more.
enum Ended {
    Found(Found),
    Failed(KafkaError),
}

impl Filling<'_> {
    fn take(&mut self, fetched: Fetched<'_>) -> ControlFlow<()> {
        match fetched {
            // What librdkafka delivers again after a connection was lost.
            Fetched::Message(message) if message.offset() < self.position => return ControlFlow::Continue(()),
            Fetched::Message(message) => {
                self.chunk.push(&message);
                (self.position, self.live) = (message.offset() + 1, true);
                if self.chunk.size() < self.max_bytes {
                    return ControlFlow::Continue(());
                }
                self.ended = Some(Ended::Found(Found::Records));
            }
            Fetched::End => {
                self.live = true;
                if !self.chunk.is_empty() {
                    return ControlFlow::Continue(());
                }
                self.ended = Some(Ended::Found(Found::End));
            }
            Fetched::Failed(error) => self.ended = Some(Ended::Failed(error)),
        }
        ControlFlow::Break(())
    }
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
        let split = consumer.split_partition_queue(topic, partition).zip(FetchQueue::of(&consumer, topic, partition));
        let no_topic = || Error::invalid(format!("{topic}-{partition} can't be read: not a topic's name"));
        let (mut ringing, queue) = split.ok_or_else(no_topic)?;
        ringing.set_nonempty_callback(move || bell.send_modify(|n| *n += 1));
        let (topic, position, nothing_from) = (topic.to_owned(), from, from);
        let lane = Self { cluster, consumer, queue, _ringing: ringing, topic, partition, position, nothing_from, ahead: None, live: false };
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

    /// Puts what is there into `chunk`, which is empty, until that has `max_bytes`; waits at most `timeout` for the first record.
    pub(super) fn fill(&mut self, chunk: &mut Chunk, max_bytes: usize, timeout: Duration) -> Result<Found> {
        let mut filling = Filling { chunk, max_bytes, position: self.position, live: self.live, ended: None };
        let found = loop {
            let wait = if filling.chunk.is_empty() { timeout } else { Duration::ZERO };
            let was_there = self.queue.hand_out(wait, &mut |fetched| filling.take(fetched));
            match filling.ended.take() {
                Some(Ended::Found(found)) => break found,
                Some(Ended::Failed(error)) => return Err(self.failed(error)),
                None if was_there => {}
                None if filling.chunk.is_empty() => break Found::Nothing,
                None => break Found::Records,
            }
        };
        (self.position, self.live) = (filling.position, filling.live);
        if filling.chunk.is_empty() {
            self.pass_over_markers();
        } else {
            self.nothing_from = self.position;
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
