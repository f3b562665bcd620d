//! `millstream demo --exit`: ends by itself with the year's figures, in time and memory.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::process::{Millstream, folder};
use crate::ci::now;

/// The promise for a quiet machine with 2 cores. A machine that also does other work gets three times as long.
const PROMISED: Duration = Duration::from_secs(10);
/// The publisher is inside.
const MEMORY_BYTES_MAX: u64 = 600_000_000;

/// What the summary has to say; how it is laid out is the program's affair.
const WORDS: [&str; 12] =
    ["departures", "hourly_delays", "critical_delays", "carrier_daily", "F9", "20.22", "EV", "19.96", "YV", "19.00", "late", "dead"];
const NUMBERS: [&str; 4] = ["336776", "19486", "9888", "5432"];

/// Runs the demo once.
pub fn run() -> Result<()> {
    let start = now();
    let demo = Millstream::start(&folder("demo")?, &["demo", "--exit"])?;
    let (_, summary, peak) = demo.wait_for_end(PROMISED * 12)?;
    let took = start.elapsed();
    println!("{summary}");
    let plain = summary.replace([',', '_', '\u{202f}'], "");
    for word in WORDS {
        ensure!(summary.contains(word), "the summary says nothing of {word}");
    }
    for number in NUMBERS {
        ensure!(plain.contains(number), "the summary has no {number}");
    }
    eprintln!(
        "{:.1} s, {} MB (promised: {} s, {} MB)",
        took.as_secs_f64(),
        peak / 1_000_000,
        PROMISED.as_secs(),
        MEMORY_BYTES_MAX / 1_000_000
    );
    ensure!(took < PROMISED * 3, "the demo took {:.1} s", took.as_secs_f64());
    ensure!(peak < MEMORY_BYTES_MAX, "the demo took {} MB", peak / 1_000_000);
    Ok(())
}
