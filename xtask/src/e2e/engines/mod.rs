//! The flights pipeline on real engines: the same figures by configuration alone, through outages, kills and a rotated secret.
//!
//! Needs an instance of `cargo xtask services`: the one that `MILLSTREAM_SERVICES` names, or the user's own. It pauses and kills its
//! systems, so nobody else should use it meanwhile.

mod bed;
mod demos;
mod kills;
mod outages;
mod rotation;
pub mod watch;

use anyhow::{Context, Result, bail};
use bed::{ALL, MIXES};
use outages::Outage;

use super::Check;
use crate::services;

/// Runs of a mix in which Millstream is killed.
const KILL_RUNS: u64 = 10;

/// The checks: the demo by the example's configuration, and with `all` the mixes, outages, kills and the rotation, which take an hour or more.
pub(super) fn checks(all: bool) -> Vec<Check> {
    let mut checks = vec![check("example: the demo by examples/flights/engines.toml".to_owned(), |site| demos::example(site, ALL))];
    if !all {
        return checks;
    }
    for mix in MIXES.into_iter().filter(|mix| mix.sections.len() < ALL.sections.len()) {
        checks.push(check(format!("mix {}: the demo", mix.name), move |site| demos::run(site, mix)));
    }
    let outages = outages::SYSTEMS.into_iter().flat_map(|system| [(system, Outage::Paused), (system, Outage::Killed)]);
    for (system, outage) in outages {
        checks.push(check(format!("outage: {system} {}", outage.name()), move |site| outages::run(site, system, outage)));
    }
    for mix in MIXES {
        checks.push(check(format!("kills: mix {}, {KILL_RUNS} runs", mix.name), move |site| kills::run_all(site, mix, KILL_RUNS)));
    }
    checks.push(check("rotation: PostgreSQL's password".to_owned(), |site| rotation::run(site)));
    checks
}

fn check(name: String, run: impl Fn(&mut services::Site) -> Result<()> + 'static) -> Check {
    let run = move || {
        let mut site = services::instance()?.context("no real systems run: start them with cargo xtask services up")?;
        for (name, _) in site.table().clone() {
            if name != "services" && !site.runs(&name) {
                bail!("{name} does not run: cargo xtask services up");
            }
        }
        run(&mut site)
    };
    Check { name: format!("engines: {name}"), needs: &["psql", "kafka"], run: Box::new(run) }
}
