//! The order of publishing: events come in the order of a stable sort by `ts + uniform[0, 30 minutes)`, and each carrier keeps to one partition.
//!
//! Chance is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014), drawn for an event by its
//! number and not by its turn: so the order never changes, and leaving events out moves no other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use millstream_core::Result;

use super::events::Flight;

/// The greatest delay between a flight's scheduled departure and its publication, in microseconds of event time.
const JITTER_MICROS: u64 = 30 * 60 * 1_000_000;

/// The seed of the order. Another one is another order, on which a half-finished demo could not go on.
const ORDER_SEED: u64 = 2013;

/// The `index`th number of the SplitMix64 generator that starts at `seed`.
pub fn split_mix_64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number of `[0, below)`, uniform to within one part in 2^64 / `below`.
fn uniform(random: u64, below: u64) -> i64 {
    let scaled = (u128::from(random) * u128::from(below)) >> 64;
    i64::try_from(scaled).unwrap_or(0)
}

/// The partition of a record key, as Kafka's default partitioner gives it (murmur2 over the key, sign bit cleared, modulo).
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff).cast_signed() % partitions
}

/// MurmurHash2 with the seed of Kafka's clients (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let words = data.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Flights in the order of publishing, from flights in the order of their schedule. Holds half an hour of them.
pub struct Jittered<I> {
    scheduled: I,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// No flight that is still to come is published before this.
    reached: i64,
    ended: bool,
}

impl<I: Iterator<Item = Result<Flight>>> Jittered<I> {
    /// Over `scheduled`, whose flights have rising `ts`.
    pub fn new(scheduled: I) -> Self {
        Self { scheduled, waiting: BinaryHeap::new(), reached: i64::MIN, ended: false }
    }
}

impl<I: Iterator<Item = Result<Flight>>> Iterator for Jittered<I> {
    type Item = Result<Flight>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // A flight to come is published at `reached` at the earliest, and after this one if at the same time: the sort is stable.
            if self.waiting.peek().is_some_and(|Reverse(first)| self.ended || first.at <= self.reached) {
                return self.waiting.pop().map(|Reverse(first)| Ok(first.flight));
            }
            if self.ended {
                return None;
            }
            match self.scheduled.next() {
                None => self.ended = true,
                Some(Err(e)) => {
                    self.ended = true;
                    self.waiting.clear();
                    return Some(Err(e));
                }
                Some(Ok(flight)) => {
                    self.reached = flight.ts;
                    let at = flight.ts + uniform(split_mix_64(ORDER_SEED, flight.event_id), JITTER_MICROS);
                    self.waiting.push(Reverse(Waiting { at, event_id: flight.event_id, flight }));
                }
            }
        }
    }
}

/// A flight that waits for its turn; ordered by turn, then by schedule.
struct Waiting {
    at: i64,
    event_id: u64,
    flight: Flight,
}

impl Waiting {
    fn turn(&self) -> (i64, u64) {
        (self.at, self.event_id)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.turn() == other.turn()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.turn().cmp(&other.turn())
    }
}
