//! [`TopicReaders`]: the consumers that read one topic, and the places in its partitions at which they stand.
//!
//! Flows that read side by side share a place. One that fell behind needs a place of its own in the same partition, and so another
//! consumer: at most [`READERS_MAX`] of them, whose places are taken over by whoever needs one when nobody has read there for a while.
//!
//! Nothing here waits for anything but a consumer being made; all of it runs on threads that may block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream_core::ports::LogBounds;
use millstream_core::time::micros_of;
use millstream_core::{Offset, Result, Timestamp};
use rdkafka::consumer::BaseConsumer;
use tokio::sync::watch;

use super::super::client::{Cluster, Context, Served};
use super::lane::Lane;

/// Consumers of one topic.
const READERS_MAX: usize = 4;
/// A place where nobody has read for so long may be taken over before another consumer is made.
const IDLE: Duration = Duration::from_secs(10);
/// Bounds that were asked for so long ago are asked for again by the next read.
const BOUNDS_AGE_MAX: Duration = Duration::from_secs(1);

/// The readers of one topic.
pub(super) struct TopicReaders {
    cluster: Arc<Cluster>,
    topic: String,
    partitions: i32,
    state: Mutex<State>,
    bounds: Mutex<Vec<Option<(LogBounds, Timestamp)>>>,
    /// Rings when a queue got something, and when the topic is gone.
    bell: watch::Sender<u64>,
    /// Rings when a lane was given back.
    returned: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    readers: Vec<Reader>,
    next_id: u64,
}

/// A consumer and its places, one a partition.
struct Reader {
    id: u64,
    served: Served,
    slots: Vec<Slot>,
}

enum Slot {
    /// The partition is not assigned to this consumer.
    Unused,
    /// Nobody reads here at the moment.
    Here(Box<Lane>, Timestamp),
    /// Somebody does.
    Out,
}

/// A place that somebody reads at. It is given back when this is dropped.
pub(super) struct OutLane {
    readers: Arc<TopicReaders>,
    reader: u64,
    consumer: Arc<BaseConsumer<Context>>,
    partition: i32,
    lane: Option<Box<Lane>>,
    broken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or(usize::MAX)
}

impl TopicReaders {
    pub(super) fn new(cluster: Arc<Cluster>, topic: &str, partitions: i32) -> Arc<Self> {
        let count = usize::try_from(partitions).unwrap_or(0);
        Arc::new(Self {
            cluster,
            topic: topic.to_owned(),
            partitions,
            state: Mutex::default(),
            bounds: Mutex::new(vec![None; count]),
            bell: watch::Sender::new(0),
            returned: watch::Sender::new(0),
        })
    }

    pub(super) fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Rings when something came for some partition, or the topic is gone.
    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Rings when a place was given back.
    pub(super) fn returned(&self) -> watch::Receiver<u64> {
        self.returned.subscribe()
    }

    /// The topic is deleted: everybody who waits is told, and the consumers end.
    pub(super) fn close(&self) {
        lock(&self.state).readers.clear();
        self.bell.send_modify(|n| *n += 1);
    }

    /// What is known of a partition's bounds, if it is not too old.
    pub(super) fn known_bounds(&self, partition: i32) -> Option<LogBounds> {
        let (bounds, at) = lock(&self.bounds).get(index(partition)).copied().flatten()?;
        let age = self.cluster.clock.now().micros().saturating_sub(at.micros());
        (age < micros_of(BOUNDS_AGE_MAX)).then_some(bounds)
    }

    /// The greatest end that was ever seen.
    pub(super) fn known_end(&self, partition: i32) -> Option<Offset> {
        lock(&self.bounds).get(index(partition)).copied().flatten().map(|(bounds, _)| bounds.end)
    }

    /// Remembers what the cluster said.
    pub(super) fn note_bounds(&self, partition: i32, bounds: LogBounds) {
        let now = self.cluster.clock.now();
        if let Some(slot) = lock(&self.bounds).get_mut(index(partition)) {
            *slot = Some((bounds, now));
        }
    }

    /// Remembers that the partition reaches to `end` at the least.
    pub(super) fn note_end(&self, partition: i32, end: Offset) {
        if let Some(Some((bounds, _))) = lock(&self.bounds).get_mut(index(partition)) {
            bounds.end = bounds.end.max(end);
        }
    }

    /// A place from which a read from `from` goes on without a seek, or else one that may be moved there. `None`: others read at all of
    /// them; wait for [`returned`](Self::returned).
    pub(super) fn check_out(self: &Arc<Self>, partition: i32, from: i64) -> Result<Option<OutLane>> {
        let mut state = lock(&self.state);
        state.readers.retain(|reader| !reader.served.is_spoiled());
        let p = index(partition);
        let now = self.cluster.clock.now();
        if let Some(r) = state.readers.iter().position(|r| matches!(&r.slots[p], Slot::Here(lane, _) if lane.serves(from))) {
            return Ok(Some(self.take(&mut state.readers[r], partition)));
        }
        if let Some(r) = state.readers.iter().position(|r| matches!(r.slots[p], Slot::Unused)) {
            return Ok(Some(self.take(&mut state.readers[r], partition)));
        }
        let last_used = |r: &Reader| match &r.slots[p] {
            Slot::Here(_, at) => Some(*at),
            _ => None,
        };
        let oldest = (0..state.readers.len()).filter_map(|r| last_used(&state.readers[r]).map(|at| (at, r))).min();
        if let Some((at, r)) = oldest
            && (at <= now.minus(IDLE) || state.readers.len() >= READERS_MAX)
        {
            return Ok(Some(self.take(&mut state.readers[r], partition)));
        }
        if state.readers.len() >= READERS_MAX {
            return Ok(None);
        }
        let id = state.next_id;
        state.next_id += 1;
        let slots = (0..self.partitions).map(|_| Slot::Unused).collect();
        state.readers.push(Reader { id, served: self.consumer()?, slots });
        let made = state.readers.len() - 1;
        Ok(Some(self.take(&mut state.readers[made], partition)))
    }

    /// Takes a place out of its slot.
    fn take(self: &Arc<Self>, reader: &mut Reader, partition: i32) -> OutLane {
        let lane = match std::mem::replace(&mut reader.slots[index(partition)], Slot::Out) {
            Slot::Here(lane, _) => Some(lane),
            Slot::Unused | Slot::Out => None,
        };
        let consumer = reader.served.consumer.clone();
        OutLane { readers: self.clone(), reader: reader.id, consumer, partition, lane, broken: false }
    }

    fn consumer(&self) -> Result<Served> {
        let settings = &self.cluster.settings;
        let partitions = u32::try_from(self.partitions).unwrap_or(1).max(1);
        let kib = (settings.prefetch_mib.saturating_mul(1024) / partitions).clamp(1024, 2_097_151);
        self.cluster.consumer(&[
            // No group is joined: librdkafka wants a name all the same.
            ("group.id", format!("{}.reader", settings.group_id_prefix)),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("auto.offset.reset", "error".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            ("isolation.level", "read_committed".to_owned()),
            ("check.crcs", "true".to_owned()),
            ("queued.max.messages.kbytes", kib.to_string()),
            // How soon a partition is fetched again after its queue was full, or an error: the defaults are made for idle clusters.
            ("fetch.queue.backoff.ms", "5".to_owned()),
            ("fetch.error.backoff.ms", "100".to_owned()),
        ])
    }
}

impl OutLane {
    /// Whether a read from `from` goes on here.
    pub(super) fn serves(&self, from: i64) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.serves(from))
    }

    /// The lane, put to `from` where it does not serve that already.
    pub(super) fn at(&mut self, from: i64) -> Result<&mut Lane> {
        // Until it has moved, nobody can tell where it stands.
        let lane = match self.lane.take() {
            Some(lane) if lane.serves(from) => lane,
            Some(mut lane) => {
                self.broken = true;
                lane.seek(from)?;
                lane
            }
            None => {
                self.broken = true;
                let (readers, place) = (&self.readers, (self.readers.topic.as_str(), self.partition));
                Box::new(Lane::open(readers.cluster.clone(), self.consumer.clone(), place, from, readers.bell.clone())?)
            }
        };
        self.broken = false;
        Ok(self.lane.insert(lane))
    }

    /// Its consumer had an error: it is not used any more.
    pub(super) fn give_up(mut self) {
        self.broken = true;
    }
}

impl Drop for OutLane {
    fn drop(&mut self) {
        let now = self.readers.cluster.clock.now();
        let mut state = lock(&self.readers.state);
        if self.broken {
            state.readers.retain(|reader| reader.id != self.reader);
        } else if let Some(reader) = state.readers.iter_mut().find(|reader| reader.id == self.reader) {
            reader.slots[index(self.partition)] = match self.lane.take() {
                Some(lane) => Slot::Here(lane, now),
                None => Slot::Unused,
            };
        }
        drop(state);
        self.readers.returned.send_modify(|n| *n += 1);
    }
}
