//! `cargo xtask e2e`: the program from outside, with the clients that people use: kcat, psql, curl's protocol, the Java client.
//!
//! Each check is a function that starts what it needs in a folder of its own. A client that is not on the machine is a skip that the
//! final table shows, and a failure when `MILLSTREAM_REQUIRE` names it (as CI does). Nothing here knows the program's inside.

mod clients;
mod demo;
mod figures;
mod grid;
mod java;
mod live;
pub mod process;
mod refusals;

use anyhow::Result;

use crate::ci::Report;
use crate::workspace;

/// A check by name, with the clients that it needs.
struct Check {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn() -> Result<()>,
}

const CHECKS: [Check; 7] = [
    Check { name: "refusals: what must not start doesn't", needs: &[], run: refusals::run },
    Check { name: "demo: ends by itself, in time and memory", needs: &[], run: demo::run },
    Check { name: "faults: malformed, doubled and late events", needs: &[], run: demo::with_faults },
    Check { name: "without: one carrier left out", needs: &[], run: demo::without_a_carrier },
    Check { name: "live: the serving demo with kcat, psql and HTTP", needs: &["kcat", "psql"], run: live::run },
    Check { name: "grid: another schema", needs: &["kcat", "psql"], run: grid::run },
    Check { name: "java: Kafka's own client", needs: &["java", "mvn"], run: java::run },
];

/// Builds, then runs the checks whose name contains `filter`.
pub fn run(filter: Option<&str>) -> Result<()> {
    workspace::build()?;
    let mut report = Report::default();
    for check in CHECKS.iter().filter(|check| filter.is_none_or(|filter| check.name.contains(filter))) {
        match clients::missing(check.needs)? {
            None => report.add(check.name, check.run),
            Some(missing) => report.skip(check.name, &format!("there is no {missing} on this machine")),
        }
    }
    report.finish()
}
