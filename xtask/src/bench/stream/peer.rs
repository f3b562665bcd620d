//! What the peers have in common: for how long they may run, what they say that they reached, and how the page shows it. It knows no peer.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::table::Line;
use crate::bench::build::number;
use crate::bench::page::grouped;
use crate::bench::watched::Watched;

/// A peer that doesn't end by itself when its time is over is ended so much later: it has to start first, and to report after.
pub const GRACE: Duration = Duration::from_secs(120);

/// What a peer says of a job.
#[derive(Debug, PartialEq)]
pub struct Reached {
    /// Rows of the topic that it got through, once it was warm,
    rows: f64,
    /// in so many seconds,
    seconds: f64,
    /// with so many of its cores.
    cpu_seconds: f64,
    /// Whether the job was done before its time was over.
    is_done: bool,
}

impl Reached {
    /// The last line that a peer printed; nothing reached if it printed none.
    pub fn read(lines: &[Value]) -> Result<Self> {
        let Some(line) = lines.last() else { return Ok(Self { rows: 0.0, seconds: 0.0, cpu_seconds: 0.0, is_done: false }) };
        let [rows, seconds, cpu_seconds] = ["rows", "seconds", "cpu_seconds"].map(|key| number(line, key));
        let is_done = line.get("done").and_then(Value::as_bool).with_context(|| format!("there is no done in {line}"))?;
        Ok(Self { rows: rows?, seconds: seconds?, cpu_seconds: cpu_seconds?, is_done })
    }

    /// The line of the page. Millstream got through `ours` rows a second; `limit` is how long the peer was given.
    pub fn line(&self, program: &str, watched: &Watched, ours: f64, goal: Option<f64>, limit: Duration) -> Line {
        let rates: Vec<f64> = if self.rows > 0.0 && self.seconds > 0.0 { vec![self.rows / self.seconds] } else { Vec::new() };
        let remark = match (self.is_done, rates.is_empty()) {
            (true, false) => None,
            (true, true) => Some("too few rows to be warm".to_owned()),
            (false, true) => Some(format!("none when it was warm; ended after {} s", limit.as_secs())),
            (false, false) => Some(format!("{} rows in {:.0} s, then ended after {} s", grouped(self.rows), self.seconds, limit.as_secs())),
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of bytes")]
        let peak_bytes = Some(watched.peak_bytes as f64);
        Line {
            program: program.to_owned(),
            remark,
            rate_per_core: (self.rows > 0.0 && self.cpu_seconds > 0.0).then(|| self.rows / self.cpu_seconds),
            peak_bytes,
            ratio: rates.first().map(|rate| ours / rate),
            goal,
            rates,
        }
    }
}

#[cfg(test)]
mod tests;
