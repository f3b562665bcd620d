//! A rotated secret is picked up without a restart: PostgreSQL's password changes while the demo runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bed::{ALL, Bed};
use super::watch;
use crate::e2e::figures;
use crate::services::{Site, postgresql};

const LIMIT: Duration = Duration::from_secs(400);

/// Changes the password when a third of the events is processed, and ends the connections that were made with the old one.
pub fn run(site: &Site) -> Result<()> {
    let bed = Bed::make(site, ALL, "rotation")?;
    let mut demo = bed.start(&["demo", "--rate", "25000"])?;
    watch::wait_until_processed(&mut demo, 100_000, LIMIT)?;
    postgresql::rotate_password(site)?;
    // A connection outlives its password; the pool has to make new ones.
    postgresql::end_connections(site)?;
    demo.wait_for_line(LIMIT, "psql").with_context(|| demo.log())?;
    figures::compare(&demo.sql)?;
    demo.command(&["refresh", "carrier_daily"])?;
    watch::wait_until_ready(&mut demo, Duration::from_secs(60))?;
    eprintln!("{}", demo.command(&["verify"]).context("verify does not reconcile")?);
    let log = demo.whole_log();
    ensure!(!log.contains("password authentication failed"), "the old password was tried again:\n{}", demo.log());
    Ok(())
}
