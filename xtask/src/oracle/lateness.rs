//! Measures that come in batches, of which each begins with some that are late.
//!
//! Spark's watermark moves between micro-batches, and what is late follows from the batch before the last one; here it moves with every
//! row. So a batch brings rows that are late by either rule or by none, and, marked as such, rows that are late only here.

use serde_json::json;

use super::events::time;
use crate::chance::Chance;

const BATCHES: u64 = 12;
/// How many rows a batch has.
pub(super) const BATCH: u64 = 40;
const BATCH_MS: u64 = 30 * 60_000;
const MINUTE_MS: u64 = 60_000;

/// Rows in the order in which they come; their watermark is to be ten minutes behind.
pub(super) fn measures() -> Vec<String> {
    let mut chance = Chance::seeded(1988);
    let row = |n: u64| {
        let (batch, within) = (n / BATCH, n % BATCH);
        let begin = 5 * BATCH_MS + batch * BATCH_MS;
        let (ms, how) = match within {
            0 | 1 => (begin - 5 * MINUTE_MS, "in time"),
            2 | 3 if batch > 2 => (begin - 100 * MINUTE_MS, "late"),
            4 if batch > 2 => (begin - 35 * MINUTE_MS, "a little late"),
            _ => (begin + within * BATCH_MS / BATCH, "in order"),
        };
        let sensor = chance.of(&["a", "b", "c"]);
        json!({"id": n, "ts": time(ms + chance.below(20) * 1_000), "sensor": sensor, "value": chance.below(100), "how": how}).to_string()
    };
    (0..BATCHES * BATCH).map(row).collect()
}
