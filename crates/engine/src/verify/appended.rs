//! Tables that flows only append to: files and topics. Each event that is a row is there once, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use millstream_core::{ChangeBatch, Result, TableSpec};

use super::aggregated::late_of;
use super::stored::Stored;
use super::{Check, digest};
use crate::engine::Engine;

impl Engine {
    /// Checks a table without keys: the rows of its flows and those that are stored, each as often.
    pub(super) async fn verify_appended(&self, spec: &Arc<TableSpec>, stored: &Stored) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let width = spec.schema.fields().len();
        let (mut expected, mut whole, mut by_value) = (0_u64, true, stored.is_readable());
        let mut contents: HashMap<u64, i64> = HashMap::new();
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            let Some(checkpoint) = self.committed_state(&flow.id, stored.epochs.get(&flow.id)).await? else { continue };
            if flow.window.is_some() {
                // Sums of floating-point numbers depend on the order of their terms: windows are counted.
                by_value = false;
                let late = late_of(&self.ports.system.late_rows().await?, flow, &checkpoint.header.source);
                let windows = self.expect_windows(flow, &checkpoint, &late, &mut check).await?;
                expected += windows.rows.num_rows() as u64;
                whole &= windows.whole && windows.is_of_one_query;
            } else {
                let mut take = |changes: &ChangeBatch| -> Result<u64> {
                    expected += changes.len() as u64;
                    for content in digest::contents(changes.rows(), width)? {
                        *contents.entry(content).or_default() += 1;
                    }
                    Ok(0)
                };
                let found = match flow.join {
                    Some(_) => self.expect_joined(flow, &checkpoint, &mut take, &mut check).await?,
                    None => Some(self.expect_rows(flow, &checkpoint.header, &mut take, &mut check).await?),
                };
                let Some(found) = found else { return Ok(check) };
                whole &= found;
            }
        }
        let mut rows = 0;
        if by_value {
            let mut stream = stored.scan().await?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                for content in digest::contents(&batch, width)? {
                    *contents.entry(content).or_default() -= 1;
                }
            }
            let missing: i64 = contents.values().filter(|n| **n > 0).sum();
            let unexplained: i64 = contents.values().filter(|n| **n < 0).sum();
            if missing > 0 {
                check.problem(format!("{missing} rows are missing"));
            }
            if unexplained < 0 && whole {
                check.problem(format!("{} rows are explained by no event, or are there twice", -unexplained));
            }
        } else {
            match stored.records().await? {
                Some(records) => rows = records,
                None => {
                    let mut stream = stored.scan().await?;
                    while let Some(batch) = stream.next().await {
                        rows += batch?.num_rows() as u64;
                    }
                }
            }
            check.note("its rows were counted, not compared value by value");
            if rows != expected && whole {
                check.problem(format!("it holds {rows} rows, and its events give {expected}"));
            }
        }
        if !whole {
            check.note("the log no longer keeps all events, or an earlier query took them: what is older could not be explained");
        }
        check.count("rows", rows);
        Ok(check)
    }
}
