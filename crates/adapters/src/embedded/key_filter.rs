//! Which keys a table surely doesn't hold: a Bloom filter in memory that spares most new rows the search for a row that they
//! replace, which would cost as much as writing them. It is never wrong about "surely new", and forgets nothing while it lives.
//!
//! Split-block Bloom filters (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters, 2007), in layers that grow with
//! the table. A table that outgrows it goes without.

use super::database::Store;
use super::error::During;
use fjall::{Keyspace, Readable};
use millstream_core::Result;

/// Keys of the first layer; each next one holds four times as many.
const FIRST_LAYER_KEYS: usize = 1 << 16;
/// Layers at most: 5.6 million keys, in 8.5 MB.
const LAYERS_MAX: usize = 4;
/// A table that holds more keys than this when it is opened goes without a filter: reading them all would take too long.
const KEYS_MAX_AT_OPEN: usize = 2_000_000;
const WORDS_A_BLOCK: usize = 8;
/// 256 bits for 21 keys: about 12 bits a key, and one false alarm in some 200.
const KEYS_A_BLOCK: usize = 21;
/// Odd numbers that spread a hash over the words of a block.
const SALTS: [u32; WORDS_A_BLOCK] =
    [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1, 0xB529_7A4D, 0x68E3_1DA5, 0x1B56_C4E9];

/// The filter of one table.
#[derive(Debug, Default)]
pub(super) enum KeyFilter {
    /// What the table holds has not been read yet.
    #[default]
    Unread,
    /// All keys of the table are in it.
    Ready(Layers),
    /// The table has too many keys.
    Without,
}

impl KeyFilter {
    /// Reads the table's keys (those that begin with `prefix`) the first time. Nobody may write to the table meanwhile.
    pub fn prepare(&mut self, store: &Store, keyspace: &Keyspace, prefix: &[u8]) -> Result<()> {
        if !matches!(self, Self::Unread) {
            return Ok(());
        }
        let mut layers = Layers::default();
        for (count, entry) in store.snapshot().prefix(keyspace, prefix).enumerate() {
            if count == KEYS_MAX_AT_OPEN {
                *self = Self::Without;
                return Ok(());
            }
            layers.add(&entry.key().during("reading the keys of a table")?);
        }
        *self = Self::Ready(layers);
        Ok(())
    }

    /// Whether the table surely holds no such key.
    pub fn is_surely_new(&self, key: &[u8]) -> bool {
        matches!(self, Self::Ready(layers) if !layers.may_hold(key))
    }

    /// Takes a key in that is about to be written.
    pub fn add(&mut self, key: &[u8]) {
        if let Self::Ready(layers) = self
            && !layers.add(key)
        {
            *self = Self::Without;
        }
    }
}

/// Filters of growing size.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    blocks: Vec<[u32; WORDS_A_BLOCK]>,
    room: usize,
}

impl Layer {
    fn new(keys: usize) -> Self {
        Self { blocks: vec![[0; WORDS_A_BLOCK]; keys.div_ceil(KEYS_A_BLOCK)], room: keys }
    }

    fn place(&self, hash: u64) -> usize {
        // The upper half of the hash, scaled to the number of blocks.
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

fn bits(hash: u64) -> impl Iterator<Item = u32> {
    SALTS.iter().map(move |salt| 1 << ((hash as u32).wrapping_mul(*salt) >> 27))
}

fn hash(key: &[u8]) -> u64 {
    let mixed = u64::from(crc32c::crc32c(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

impl Layers {
    fn may_hold(&self, key: &[u8]) -> bool {
        let hash = hash(key);
        self.0.iter().any(|layer| layer.blocks[layer.place(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0))
    }

    /// `false` when there is no room any more.
    fn add(&mut self, key: &[u8]) -> bool {
        if self.0.last().is_none_or(|layer| layer.room == 0) {
            if self.0.len() == LAYERS_MAX {
                return false;
            }
            self.0.push(Layer::new(FIRST_LAYER_KEYS << (2 * self.0.len())));
        }
        let hash = hash(key);
        if let Some(layer) = self.0.last_mut() {
            layer.room -= 1;
            let place = layer.place(hash);
            layer.blocks[place].iter_mut().zip(bits(hash)).for_each(|(word, bit)| *word |= bit);
        }
        true
    }
}

#[cfg(test)]
mod tests;
