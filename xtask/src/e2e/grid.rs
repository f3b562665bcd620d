//! `examples/grid`: a pipeline whose names the code has never heard, and the rows that its README promises.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::clients;
use super::process::{Millstream, folder, until};
use crate::workspace;

/// What its README says, as queries.
const EXPECTED: [(&str, &str); 8] = [
    ("select count(*) from meter_state", "5"),
    ("select seq from meter_state where meter_id = 'M-1001'", "5"),
    ("select count(*) from loads", "12"),
    ("select count(*) from loads where street is null", "1"),
    ("select count(*) from quarter_hours", "7"),
    ("select readings, peak_w from quarter_hours where meter_id = 'M-1001' and quarter = '2026-03-01 08:00:00'", "3 2870.25"),
    ("select count(*) from overloads", "3"),
    ("select count(*) > 0 from system.dead_letters", "t"),
];

/// Runs the example as its README shows.
pub fn run() -> Result<()> {
    let mut grid = Millstream::start(&folder("grid")?, &["run", "examples/grid/pipeline.sql"])?;
    grid.wait_until_ready(Duration::from_secs(30))?;
    let events = std::fs::read_to_string(workspace::root().join("examples/grid/events.jsonl")).context("no sample events")?;
    clients::produce(&grid.kafka, "meter-readings", &events)?;
    for (query, expected) in EXPECTED {
        let mut found = String::new();
        let arrived = until(Duration::from_secs(15), query, || {
            found = clients::psql(&grid.sql, query)?;
            Ok(found == expected)
        });
        if let Err(error) = arrived {
            bail!("{query}: expected {expected:?}, found {found:?} ({error:#})\n{}", grid.log());
        }
    }
    grid.command(&["refresh", "street_load"])?;
    let report = clients::psql(&grid.sql, "select count(*), sum(readings) from street_load")?;
    ensure!(report == "5 12", "street_load has (rows, readings) {report:?}");
    let answer = clients::get(&grid.http, "/v1/tables/overloads?meter_id=M-1002&seq=2")?;
    ensure!(answer.status == 200 && answer.body.contains("4380"), "the API answers {answer:?}");
    grid.command(&["verify"]).context("verify does not reconcile")?;
    Ok(())
}
