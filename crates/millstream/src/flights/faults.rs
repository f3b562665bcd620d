//! What is published, one record after the other: the flights, and with `--faults` the records that a pipeline has to survive.

use std::io::Write;

use bytes::Bytes;
use millstream_core::Result;

use super::events::{Flight, Flights};
use super::order::{Jittered, partition_of, split_mix_64};
use super::{PARTITIONS, order};

/// One event in so many gets a malformed copy, one a duplicate, one a late copy.
const ONE_IN: u64 = 1_000;

/// The seed of the faults.
const FAULT_SEED: u64 = 41;

/// Late copies are made of flights up to this number (late November): hours that every partition has left behind by the year's end.
const LATE_UP_TO: u64 = 300_000;

/// A late copy's number is its flight's plus this, so that it is a row of its own.
const LATE_NUMBERS_FROM: u64 = 1_000_000;

/// Which sequence is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SequenceOptions {
    /// Whether faults are among the flights.
    pub faults: bool,
    /// The carrier whose flights are left out.
    pub without_carrier: Option<String>,
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A flight.
    Flight,
    /// A record that can't become a row: broken JSON, text in an integer column, or a missing NOT NULL column.
    Malformed,
    /// The record before it in its partition's flights, byte for byte.
    Duplicate,
    /// A flight with a number of its own and an hour that is long over. All late ones come last.
    Late,
}

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// What it is for.
    pub kind: Kind,
    /// The carrier.
    pub key: Bytes,
    /// The partition that this key belongs to.
    pub partition: i32,
    /// JSON, mostly.
    pub value: Bytes,
}

/// Everything that is published, in order. The same options give the same sequence, always.
pub struct Sequence {
    flights: Jittered<Flights>,
    options: SequenceOptions,
    /// What follows the flight that was given last.
    extra: std::collections::VecDeque<Publication>,
    late: std::collections::VecDeque<Publication>,
    skip: Vec<u64>,
    counts: Counts,
}

/// What was met so far, held records included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Flights.
    pub flights: u64,
    /// Malformed records.
    pub malformed: u64,
    /// Duplicates.
    pub duplicates: u64,
    /// Late events.
    pub late: u64,
    /// Of all these, those that the topic held already.
    pub held: u64,
}

impl Counts {
    /// Whether there was any fault.
    pub fn has_faults(&self) -> bool {
        self.malformed + self.duplicates + self.late > 0
    }

    fn count(&mut self, kind: Kind) {
        let of = match kind {
            Kind::Flight => &mut self.flights,
            Kind::Malformed => &mut self.malformed,
            Kind::Duplicate => &mut self.duplicates,
            Kind::Late => &mut self.late,
        };
        *of += 1;
    }
}

impl Sequence {
    /// The sequence over `flights`.
    pub fn new(flights: Flights, options: SequenceOptions) -> Self {
        Self { flights: Jittered::new(flights), options, extra: [].into(), late: [].into(), skip: Vec::new(), counts: Counts::default() }
    }

    /// The rest of the sequence, where partition `p` already holds its first `held[p]` records.
    #[must_use]
    pub fn after(mut self, held: &[u64]) -> Self {
        self.skip = held.to_vec();
        self
    }

    /// What was met so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn plan(&mut self, flight: Flight) {
        let make =
            |kind, value| Publication { kind, partition: partition_of(&flight.carrier, PARTITIONS), key: flight.carrier.clone(), value };
        self.extra.push_back(make(Kind::Flight, flight.json.clone()));
        if !self.options.faults {
            return;
        }
        match split_mix_64(FAULT_SEED, flight.event_id) % ONE_IN {
            0 => self.extra.push_back(make(Kind::Malformed, malformed(&flight))),
            1 => self.extra.push_back(make(Kind::Duplicate, flight.json.clone())),
            2 if flight.event_id <= LATE_UP_TO => self.late.push_back(make(Kind::Late, renumbered(&flight))),
            _ => {}
        }
    }

    fn is_held(&mut self, publication: &Publication) -> bool {
        let place = usize::try_from(publication.partition).unwrap_or(usize::MAX);
        match self.skip.get_mut(place) {
            Some(left) if *left > 0 => {
                *left -= 1;
                self.counts.held += 1;
                true
            }
            _ => false,
        }
    }

    fn following(&mut self) -> Option<Result<Publication>> {
        loop {
            if let Some(publication) = self.extra.pop_front() {
                return Some(Ok(publication));
            }
            match self.flights.next() {
                Some(Ok(flight)) => {
                    let left_out = self.options.without_carrier.as_deref().is_some_and(|c| c.as_bytes() == flight.carrier);
                    if !left_out {
                        self.plan(flight);
                    }
                }
                Some(Err(e)) => return Some(Err(e)),
                None => return self.late.pop_front().map(Ok),
            }
        }
    }
}

impl Iterator for Sequence {
    type Item = Result<Publication>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let publication = match self.following()? {
                Ok(publication) => publication,
                Err(e) => return Some(Err(e)),
            };
            self.counts.count(publication.kind);
            if !self.is_held(&publication) {
                return Some(Ok(publication));
            }
        }
    }
}

/// The flight's JSON after `{"event_id":N,`.
fn rest(flight: &Flight) -> &[u8] {
    let head = head(flight.event_id).len();
    flight.json.get(head..).unwrap_or_default()
}

fn head(event_id: u64) -> String {
    format!("{{\"event_id\":{event_id},")
}

/// The three ways to be malformed, in turn.
fn malformed(flight: &Flight) -> Bytes {
    match order::split_mix_64(FAULT_SEED + 1, flight.event_id) % 3 {
        0 => flight.json.slice(..flight.json.len() / 2),
        1 => joined("{\"event_id\":\"unknown\",", flight),
        _ => joined("{", flight),
    }
}

fn renumbered(flight: &Flight) -> Bytes {
    joined(&head(LATE_NUMBERS_FROM + flight.event_id), flight)
}

fn joined(head: &str, flight: &Flight) -> Bytes {
    let mut json = Vec::with_capacity(head.len() + flight.json.len());
    // Writing to a Vec can't fail.
    let _ = json.write_all(head.as_bytes());
    let _ = json.write_all(rest(flight));
    Bytes::from(json)
}
