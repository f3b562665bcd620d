//! Events that were sent and are not yet seen at a pipeline's output: when each was sent, and which of them a record makes visible. It knows no client.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// How many values the events' key `k` has.
pub const KEYS: usize = 1_000;

/// An event that has become visible.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number among all events.
    pub id: usize,
    /// When it was handed to the producer.
    pub sent: Instant,
}

/// What an output still owes.
pub enum Pending {
    /// A record with `k` and `n` for each change of a count: it makes all events of `k` visible up to the one of that number. Of each key, how many have been
    /// seen, and when the next ones were sent.
    Counts(Vec<(usize, VecDeque<Instant>)>),
    /// A record with `id` for each event. The lowest id that is missing, and when it and those after it were sent, without those that have been seen.
    Rows(usize, VecDeque<Option<Instant>>),
}

impl Pending {
    /// Nothing was sent yet; `what` is `counts` or `rows`.
    pub fn new(what: &str) -> Result<Self> {
        match what {
            "counts" => Ok(Self::Counts(vec![(0, VecDeque::new()); KEYS])),
            "rows" => Ok(Self::Rows(0, VecDeque::new())),
            other => anyhow::bail!("{other} is neither counts nor rows"),
        }
    }

    /// Event `id`, the one after the last, is being sent.
    pub fn add(&mut self, id: usize, sent: Instant) {
        match self {
            Self::Counts(keys) => keys.get_mut(id % KEYS).into_iter().for_each(|(_, queue)| queue.push_back(sent)),
            Self::Rows(_, queue) => queue.push_back(Some(sent)),
        }
    }

    /// The events that a record makes visible; an error if one of them was never sent, or was visible before.
    pub fn see(&mut self, record: &Value) -> Result<Vec<Seen>> {
        let number = |name: &str| {
            let value = record[name].as_u64().and_then(|number| usize::try_from(number).ok());
            value.with_context(|| format!("{record} has no {name}"))
        };
        match self {
            Self::Counts(keys) => {
                let key: usize =
                    record["k"].as_str().and_then(|k| k.strip_prefix('k')?.parse().ok()).with_context(|| format!("{record} has no k"))?;
                let (seen, queue) = keys.get_mut(key).with_context(|| format!("{record} has another k"))?;
                let (before, n) = (*seen, number("n")?);
                ensure!(n >= before, "the count of k{key} went back from {before} to {n}");
                ensure!(n - before <= queue.len(), "the count of k{key} is {n}, but only {} were sent", before + queue.len());
                *seen = n;
                Ok((before..n).zip(queue.drain(..n - before)).map(|(number, sent)| Seen { id: number * KEYS + key, sent }).collect())
            }
            Self::Rows(first, queue) => {
                let id = number("id")?;
                let slot = id.checked_sub(*first).and_then(|place| queue.get_mut(place));
                let sent = slot.and_then(Option::take).with_context(|| format!("event {id} was never sent, or was visible before"))?;
                while queue.front().is_some_and(Option::is_none) {
                    queue.pop_front();
                    *first += 1;
                }
                Ok(vec![Seen { id, sent }])
            }
        }
    }
}

#[cfg(test)]
mod tests;
