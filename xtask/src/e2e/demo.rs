//! `millstream demo --exit`: ends by itself with the year's figures, in time and memory; and the same with events that are wrong or missing.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::process::{Millstream, folder};
use crate::ci::now;

/// The promise for a quiet machine with 2 cores. A machine that also does other work gets three times as long.
const PROMISED: Duration = Duration::from_secs(10);
/// The publisher is inside.
const MEMORY_BYTES_MAX: u64 = 600_000_000;

const VERIFIED: &str = "everything is accounted for";

/// Runs the demo once, and measures it.
pub fn run() -> Result<()> {
    let start = now();
    let demo = Millstream::start(&folder("demo")?, &["demo", "--exit"])?;
    let (_, summary, peak) = demo.wait_for_end(PROMISED * 12)?;
    let took = start.elapsed();
    println!("{summary}");
    let worst = ["F9", "20.22", "EV", "19.96", "YV", "19.00"];
    says(&summary, &worst)?;
    says(&summary, &["departures", "336776", "hourly_delays", "19486", "critical_delays", "9888", "carrier_daily", "5432", VERIFIED])?;
    let megabytes = peak / 1_000_000;
    eprintln!("{:.1} s, {megabytes} MB (promised: {} s, {} MB)", took.as_secs_f64(), PROMISED.as_secs(), MEMORY_BYTES_MAX / 1_000_000);
    ensure!(took < PROMISED * 3, "the demo took {:.1} s", took.as_secs_f64());
    ensure!(peak < MEMORY_BYTES_MAX, "the demo took {megabytes} MB");
    Ok(())
}

/// Malformed, doubled and late events: none of them vanishes, and the summary says where each went.
pub fn with_faults() -> Result<()> {
    let demo = Millstream::start(&folder("demo-faults")?, &["demo", "--exit", "--faults"])?;
    let (_, summary, _) = demo.wait_for_end(PROMISED * 12)?;
    println!("{summary}");
    says(&summary, &["malformed", "duplicates", "system.dead_letters", "system.late_rows", VERIFIED])?;
    ensure!(!summary.contains("dead letters     0"), "malformed events are no dead letters");
    ensure!(!summary.contains("late rows        0"), "late events are no late rows");
    Ok(())
}

/// With one carrier's events left out every figure follows: no figure is written down in the program.
pub fn without_a_carrier() -> Result<()> {
    let demo = Millstream::start(&folder("demo-without")?, &["demo", "--exit", "--without-carrier", "UA"])?;
    let (_, summary, _) = demo.wait_for_end(PROMISED * 12)?;
    println!("{summary}");
    // Counted in the data by another program.
    says(&summary, &["278111", "19147", "8503", "5067", VERIFIED])?;
    ensure!(!summary.contains("United Air Lines"), "the flights of UA are still there");
    Ok(())
}

/// Whether the summary has all `words`; numbers without the marks that group digits. How it is laid out is the program's affair.
pub fn says(summary: &str, words: &[&str]) -> Result<()> {
    let plain = summary.replace(',', "");
    for word in words {
        ensure!(plain.contains(word), "the summary says nothing of {word}");
    }
    Ok(())
}
