//! A seeded generator of changes: the same seed gives the same changes on every machine.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::changes::{Change, delete, insert, update};
use crate::tables::{event, event_key};

/// Makes changes of the table [`events`](crate::tables::events): few keys, so that they repeat, and versions that come out of order.
#[derive(Debug)]
pub struct Changes {
    random: StdRng,
    keys: i64,
    /// How many were made; `None`: versions may repeat.
    made: Option<i64>,
}

impl Changes {
    /// Changes over `keys` different keys in several partitions.
    #[must_use]
    pub fn seeded(seed: u64, keys: i64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), keys: keys.max(1), made: None }
    }

    /// The same with versions that never repeat, for a system that resolves equal ones by itself.
    #[must_use]
    pub fn with_distinct_versions(mut self, distinct: bool) -> Self {
        self.made = distinct.then_some(0);
        self
    }

    /// The next `count` changes: about a fifth are deletes, and about a fifth carry a version lower than what came before.
    pub fn next(&mut self, count: usize) -> Vec<Change> {
        (0..count).map(|_| self.one()).collect()
    }

    /// A number below `bound` (0 for 0).
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.random.random_range(0..bound) }
    }

    fn one(&mut self) -> Change {
        let key = self.random.random_range(0..self.keys);
        let (origin, day) = (["EWR", "JFK", "LGA"][usize::try_from(key % 3).unwrap_or(0)], i32::try_from(key % 2).unwrap_or(0));
        let (ts, id) = (key / 6 * 1_000_000, key);
        let mut version = self.random.random_range(1_000..1_200);
        if let Some(made) = &mut self.made {
            *made += 1;
            version = version * 1_000_000 + *made;
        }
        match self.random.random_range(0..10) {
            0 | 1 => delete(version, event_key(origin, day, ts, id)),
            2..=5 => insert(version, event(origin, day, ts, id, self.random.random_range(0..1_000))),
            _ => update(version, event(origin, day, ts, id, self.random.random_range(0..1_000))),
        }
    }
}
