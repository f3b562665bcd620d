//! The Java client's default partitioner: a key goes to partition `(murmur2(key) & 0x7fffffff) % partitions`
//! (`org.apache.kafka.common.utils.Utils.murmur2`), so that every producer of a topic puts a key into the same partition.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Kafka's 32-bit `MurmurHash2` of `bytes`.
#[must_use]
pub fn murmur2(bytes: &[u8]) -> u32 {
    let mut hash = SEED ^ u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut words = bytes.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of `key` in a topic of so many partitions (at least 1).
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or(0);
    positive % partitions.max(1)
}
