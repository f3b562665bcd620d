//! `cargo xtask e2e`: the program from outside, with the clients that people use: kcat, psql, curl's protocol, the Java client.
//!
//! Each check is a function that starts what it needs in a folder of its own. A client that is not on the machine is a skip that the
//! final table shows, and a failure when `MILLSTREAM_REQUIRE` names it (as CI does). Nothing here knows the program's inside.

mod clients;
mod demo;
pub mod engines;
mod figures;
mod grid;
mod java;
mod live;
pub mod process;
mod refusals;
mod report;

use anyhow::Result;

use crate::ci::Report;
use crate::workspace;

/// A check by name, with the clients and systems that it needs.
struct Check {
    name: String,
    needs: &'static [&'static str],
    run: Box<dyn Fn() -> Result<()>>,
}

fn check(name: &str, needs: &'static [&'static str], run: fn() -> Result<()>) -> Check {
    Check { name: name.to_owned(), needs, run: Box::new(run) }
}

/// The checks on built-in engines.
fn built_in() -> Vec<Check> {
    vec![
        check("refusals: what must not start doesn't", &[], refusals::run),
        check("demo: ends by itself, in time and memory", &[], demo::run),
        check("faults: malformed, doubled and late events", &[], demo::with_faults),
        check("without: one carrier left out", &[], demo::without_a_carrier),
        check("live: the serving demo with kcat, psql and HTTP", &["kcat", "psql"], live::run),
        check("report: read while it is refreshed under ingest", &["psql"], report::run),
        check("grid: another schema", &["kcat", "psql"], grid::run),
        check("java: Kafka's own client", &["java", "mvn"], java::run),
    ]
}

/// Builds, then runs the checks whose name contains `filter`; with `all` those too that take long.
pub fn run(filter: Option<&str>, all: bool) -> Result<()> {
    workspace::build()?;
    let mut report = Report::default();
    let checks = built_in().into_iter().chain(engines::checks(all));
    for check in checks.filter(|check| filter.is_none_or(|filter| check.name.contains(filter))) {
        match clients::missing(check.needs)? {
            None => report.add(&check.name, check.run),
            Some(missing) => report.skip(&check.name, &format!("there is no {missing} on this machine")),
        }
    }
    report.finish()
}
