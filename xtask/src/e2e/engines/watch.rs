//! What a running `millstream` says of itself over HTTP: how far it is, whether it waits, and for whom.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::e2e::clients;
use crate::e2e::process::{Millstream, until};

/// `/v1/status`.
pub fn status(http: &str) -> Result<Value> {
    let answer = clients::get(http, "/v1/status")?;
    ensure!(answer.status == 200, "/v1/status: {}", answer.status);
    let mut whole: Value = serde_json::from_str(&answer.body)?;
    Ok(whole.get_mut("status").context("/v1/status has no status")?.take())
}

/// The flows; none while nobody answers. An error when one has failed.
fn flows(http: &str) -> Result<Vec<Value>> {
    let Ok(status) = status(http) else { return Ok(Vec::new()) };
    let flows = status.get("flows").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(failed) = flows.iter().find(|flow| flow["phase"] == "failed") {
        bail!("a flow has failed: {failed}");
    }
    Ok(flows)
}

/// Source rows that `flow` has processed since Millstream started.
pub fn processed(http: &str, flow: &str) -> Result<u64> {
    let flows = flows(http)?;
    let first = flows.iter().find(|of| of["flow"] == flow);
    Ok(first.and_then(|flow| flow["rows_in"].as_u64()).unwrap_or(0))
}

/// Whether every flow runs and has nothing left to read.
pub fn caught_up(http: &str) -> Result<bool> {
    let flows = flows(http)?;
    Ok(!flows.is_empty() && flows.iter().all(|flow| flow["phase"] == "running" && flow["lag"] == 0))
}

/// Waits until `departures` has processed `rows`. A Millstream that doesn't answer yet is waited for.
pub fn wait_until_processed(millstream: &mut Millstream, rows: u64, limit: Duration) -> Result<()> {
    let http = millstream.http.clone();
    until(limit, &format!("{rows} events are processed"), || {
        millstream.must_run()?;
        Ok(processed(&http, "departures")? >= rows)
    })
    .with_context(|| millstream.log())
}

/// Waits until `/readyz` says that `system` is away, and looks for it on the status page and in the log.
pub fn wait_until_away(millstream: &mut Millstream, system: &str, limit: Duration) -> Result<()> {
    let http = millstream.http.clone();
    until(limit, &format!("/readyz says that {system} is away"), || {
        millstream.must_run()?;
        let answer = clients::get(&http, "/readyz")?;
        Ok(answer.status == 503 && names(&answer.body, system))
    })
    .with_context(|| millstream.log())?;
    let page = clients::get(&http, "/")?.body;
    ensure!(names(&page, system) && page.contains("away"), "the status page does not say that {system} is away");
    until(Duration::from_secs(10), &format!("the log says that {system} is away"), || {
        Ok(millstream.whole_log().lines().any(|line| line.contains("WARN") && names(line, system)))
    })
}

/// Whether `text` speaks of the system: by its section's name, or by its own.
fn names(text: &str, system: &str) -> bool {
    text.to_lowercase().contains(system)
}

/// Waits until `/readyz` says yes.
pub fn wait_until_ready(millstream: &mut Millstream, limit: Duration) -> Result<()> {
    millstream.wait_until_ready(limit).with_context(|| match clients::get(&millstream.http, "/readyz") {
        Ok(answer) => format!("/readyz: {}\n{}", answer.body, millstream.log()),
        Err(error) => format!("{error:#}\n{}", millstream.log()),
    })
}
