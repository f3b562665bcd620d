#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::*;

#[test]
fn the_ranges_are_the_whole_ring_once() {
    for ranges in [1, 2, 32, 1_000] {
        let parts: Vec<_> = split(ranges).collect();
        assert_eq!(parts.len() as u64, ranges);
        // No token is the smallest number: Murmur3Partitioner turns it into the greatest.
        assert_eq!(parts.first().map(|p| p.0), Some(i64::MIN));
        assert_eq!(parts.last().map(|p| p.1), Some(i64::MAX));
        assert!(parts.windows(2).all(|w| w[0].1 == w[1].0 && w[0].0 < w[0].1), "{ranges}");
    }
}
