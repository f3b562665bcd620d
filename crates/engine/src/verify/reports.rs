//! Reports: their query, run again on a snapshot, must give the published rows, if the snapshot is of the epochs that the report was made of.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use millstream_core::ports::JobRunState;
use millstream_core::{Result, TableSpec};

use super::{Check, digest};
use crate::batch;
use crate::engine::Engine;

impl Engine {
    /// Checks a published report.
    pub(super) async fn verify_report(&self, spec: &Arc<TableSpec>) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let Some(job) = self.pipeline.jobs.iter().find(|j| j.report == spec.name) else { return Ok(check) };
        let Some(published) = self.ports.reports.published_run(&spec.name).await? else {
            check.note("it was never refreshed");
            return Ok(check);
        };
        let runs = self.ports.system.runs().await?;
        let run = runs.iter().find(|r| r.report == spec.name && r.run == published && r.state == JobRunState::Succeeded);
        let snapshot = self.ports.event_store.snapshot().await?;
        let input = batch::input(job, &self.pipeline, snapshot.as_ref()).await?;
        let mut stored: HashMap<u128, u64> = HashMap::new();
        let key = spec.key.indices(&spec.schema)?;
        let width = spec.schema.fields().len();
        let mut stream = self.ports.reports.snapshot().await?.scan(&spec.name, None).await?;
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            stored.extend(digest::keys(&rows, &key)?.into_iter().zip(digest::contents(&rows, width)?));
        }
        check.count("rows", stored.len() as u64);
        if run.is_none_or(|r| r.input.as_deref() != Some(input.as_str())) {
            check.note("its tables have changed since it was made: refresh it to compare its rows");
            return Ok(check);
        }
        let mut stream = batch::execute(job, &self.pipeline, &self.ports, &self.references, snapshot).await?;
        while let Some(rows) = stream.next().await {
            let rows = rows?;
            let contents = digest::contents(&rows, width)?;
            for (row, (digest, content)) in digest::keys(&rows, &key)?.into_iter().zip(contents).enumerate() {
                match stored.remove(&digest) {
                    Some(is) if is == content => {}
                    Some(_) => check.problem(format!("row {} holds other values than the query gives", digest::describe(&rows, &key, row))),
                    None => check.problem(format!("row {} is missing", digest::describe(&rows, &key, row))),
                }
            }
        }
        if !stored.is_empty() {
            check.problem(format!("{} rows are not in the query's result", stored.len()));
        }
        Ok(check)
    }
}
