//! Which keys a run surely does not have: a Bloom filter (Bloom, 1970). With 10 bits a key and 7 probes, one key in about 120 that is not there seems to
//! be. Pure.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::KeyRef;

const BITS_PER_KEY: usize = 10;
const PROBES: u64 = 7;

/// The filter of a run.
#[derive(Debug)]
pub(super) struct KeyFilter {
    words: Vec<u64>,
}

/// What the filter knows a key by.
pub(super) fn hash_of((end, row): KeyRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    end.0.hash(&mut hasher);
    hasher.write(row);
    hasher.finish()
}

impl KeyFilter {
    /// Without keys, for `keys` of them at most.
    pub(super) fn with_room_for(keys: usize) -> Self {
        Self { words: vec![0; keys.saturating_mul(BITS_PER_KEY).div_ceil(64).max(1)] }
    }

    pub(super) fn add(&mut self, hash: u64) {
        for bit in self.bits(hash) {
            if let Some(word) = self.words.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
    }

    /// `false`: the key was not added.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.bits(hash).all(|bit| self.words.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0))
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// The bits of a key: two halves of its hash give all probes (Kirsch and Mitzenmacher, 2006).
    fn bits(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (bits, step) = (self.words.len() as u64 * 64, (hash >> 32) | 1);
        (0..PROBES).map(move |probe| usize::try_from(hash.wrapping_add(probe.wrapping_mul(step)) % bits).unwrap_or(0))
    }
}
