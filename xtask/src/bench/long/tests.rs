use serde_json::json;

use super::*;

fn minute(megabytes: u64, p99_ms: f64) -> Minute {
    let latency = |events: u64| Latency::read(&json!({ "events": events, "p50_ms": 1.0, "p99_ms": p99_ms })).unwrap();
    Minute { bytes: megabytes * 1_000_000, counts: latency(600_000), pairs: latency(600_001) }
}

#[test]
fn each_minute_is_a_row() {
    let text = text(&[minute(100, 7.0)]);
    assert_eq!(text.lines().nth(2), Some("| 1 | 600000 | 100 MB | 1.0 ms | 7.0 ms | 1.0 ms | 7.0 ms |"));
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn the_first_minutes_do_not_count_for_whether_memory_is_flat() {
    let minutes: Vec<_> = [900, 900, 900, 100, 120, 110].into_iter().map(|megabytes| minute(megabytes, 7.0)).collect();
    let text = text(&minutes);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("After the first 3 minutes: memory 100 to 120 MB (100 at first, 110 at last); "), "{last}");
}
