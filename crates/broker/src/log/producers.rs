//! What a partition remembers of its idempotent producers (KIP-98): pure, and rebuilt from batch headers alone.

use std::collections::{HashMap, VecDeque};

use crate::batch::{BatchHeader, sequence_after};

/// A producer may have this many requests in flight, so this many batches may come a second time.
const REMEMBERED_BATCHES: usize = 5;
/// Producers that a partition remembers; beyond that the one that has been silent longest is forgotten.
const PRODUCERS_MAX: usize = 10_000;

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: append it.
    New,
    /// It is here already: acknowledge it with these offsets.
    Duplicate { base_offset: i64, next_offset: i64 },
}

/// Why a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// A batch is missing in between, or this one is older than what is remembered.
    OutOfOrder { expected: i32 },
    /// A newer incarnation of the producer has written.
    StaleEpoch { current: i16 },
}

#[derive(Clone, Debug)]
struct Producer {
    epoch: i16,
    recent: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    first: i32,
    last: i32,
    base_offset: i64,
    next_offset: i64,
}

/// The producers of one partition.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    by_id: HashMap<i64, Producer>,
}

impl Producers {
    /// Judges a batch before it is appended. A producer that is not remembered may begin at any sequence: what it sent before has
    /// been removed by retention.
    pub fn judge(&self, batch: &BatchHeader) -> Result<Verdict, SequenceError> {
        let (true, Some(producer)) = (batch.is_idempotent(), self.by_id.get(&batch.producer_id)) else {
            return Ok(Verdict::New);
        };
        if batch.producer_epoch < producer.epoch {
            return Err(SequenceError::StaleEpoch { current: producer.epoch });
        }
        if batch.producer_epoch > producer.epoch {
            return if batch.base_sequence == 0 { Ok(Verdict::New) } else { Err(SequenceError::OutOfOrder { expected: 0 }) };
        }
        let same = |s: &&Sent| s.first == batch.base_sequence && s.last == batch.last_sequence();
        if let Some(sent) = producer.recent.iter().find(same) {
            return Ok(Verdict::Duplicate { base_offset: sent.base_offset, next_offset: sent.next_offset });
        }
        let expected = producer.recent.back().map_or(0, |s| sequence_after(s.last, 1));
        if batch.base_sequence == expected { Ok(Verdict::New) } else { Err(SequenceError::OutOfOrder { expected }) }
    }

    /// Remembers a batch that was appended.
    pub fn record(&mut self, batch: &BatchHeader) {
        if !batch.is_idempotent() {
            return;
        }
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&batch.producer_id) {
            self.forget_longest_silent();
        }
        let fresh = || Producer { epoch: batch.producer_epoch, recent: VecDeque::with_capacity(REMEMBERED_BATCHES) };
        let producer = self.by_id.entry(batch.producer_id).or_insert_with(fresh);
        if producer.epoch != batch.producer_epoch {
            *producer = fresh();
        }
        if producer.recent.len() == REMEMBERED_BATCHES {
            producer.recent.pop_front();
        }
        producer.recent.push_back(Sent {
            first: batch.base_sequence,
            last: batch.last_sequence(),
            base_offset: batch.base_offset,
            next_offset: batch.next_offset(),
        });
    }

    fn forget_longest_silent(&mut self) {
        let last_offset = |p: &Producer| p.recent.back().map_or(-1, |s| s.base_offset);
        let silent = self.by_id.iter().min_by_key(|(_, p)| last_offset(p)).map(|(id, _)| *id);
        if let Some(id) = silent {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
