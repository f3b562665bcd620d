//! The demo on real engines, and on mixes of real and built-in ones, prints what it prints on built-in engines.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bed::{Bed, Mix};
use crate::e2e::demo::says;
use crate::e2e::process::Millstream;
use crate::services::{Site, exports};

const LIMIT: Duration = Duration::from_secs(400);

/// `demo --exit` on `mix`.
pub fn run(site: &Site, mix: Mix) -> Result<()> {
    let bed = Bed::make(site, mix, "demo")?;
    ends_well(bed.start(&["demo", "--exit"])?)
}

/// `demo --exit` with the example's own file for real engines, where the environment says where they are, as `services env` prints it.
pub fn example(site: &Site, mix: Mix) -> Result<()> {
    let bed = Bed::make(site, mix, "example")?;
    let file = crate::workspace::root().join("examples/flights/engines.toml");
    ensure!(file.is_file(), "there is no {}", file.display());
    let variables = exports::variables(bed.sections())?;
    ends_well(bed.start_with(&file, &variables, &["demo", "--exit"])?)
}

fn ends_well(demo: Millstream) -> Result<()> {
    let (_, summary, peak) = demo.wait_for_end(LIMIT).context("the demo did not end well")?;
    println!("{summary}");
    eprintln!("peak memory {} MB", peak / 1_000_000);
    says(&summary, &["F9", "20.22", "EV", "19.96", "YV", "19.00"])?;
    says(&summary, &["departures", "336776", "hourly_delays", "19486", "critical_delays", "9888", "carrier_daily", "5432"])?;
    says(&summary, &["airports", "1458", "everything is accounted for"])
}
