//! Tables that flows only append to: files and topics. Each event that is a row is there once, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Int64Array;
use futures::StreamExt as _;
use millstream_core::{ChangeBatch, Result, TableSpec};

use super::aggregated::late_of;
use super::joined_data::{Otherwise, Sure};
use super::stored::Stored;
use super::{Check, digest};
use crate::engine::Engine;

/// By content, how often the flows give it, and how often it is stored.
type Counted = HashMap<u64, [u64; 2]>;

fn count(counted: &mut Counted, contents: Vec<u64>, which: usize) {
    for content in contents {
        counted.entry(content).or_default()[which] += 1;
    }
}

impl Engine {
    /// Checks a table without keys: the rows of its flows and those that are stored, each as often.
    pub(super) async fn verify_appended(&self, spec: &Arc<TableSpec>, stored: &Stored) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let width = spec.schema.fields().len();
        let (mut expected, mut whole, mut by_value) = (0_u64, true, stored.is_readable());
        // How often the flows give a content, and how often it is stored: of all columns, and of those of events.
        let (mut contents, mut of_events_alone) = (Counted::new(), Counted::new());
        let of_events = self.columns_of_events(spec);
        let (mut is_of_before, mut is_doubtful) = (false, false);
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
                    count(&mut contents, digest::contents(changes.rows(), width)?, 0);
                    if let Some(columns) = &of_events {
                        count(&mut of_events_alone, digest::contents_at(changes.rows(), columns)?, 0);
                    }
                    Ok(0)
                };
                if flow.join.is_some() {
                    let Some(found) = self.expect_joined(flow, &checkpoint, &mut take, &mut check).await? else { return Ok(check) };
                    whole &= found;
                } else {
                    let mut take = |changes: &ChangeBatch, _: &Int64Array, _: Sure| take(changes);
                    let found = self.expect_rows(flow, &checkpoint.header, &mut take, &mut check).await?;
                    whole &= found.whole;
                    is_of_before |= found.is_of_before;
                    is_doubtful |= found.is_doubtful;
                }
            }
        }
        let mut rows = 0;
        if by_value {
            let mut stream = stored.scan().await?;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                rows += batch.num_rows() as u64;
                count(&mut contents, digest::contents(&batch, width)?, 1);
                if let Some(columns) = of_events.as_ref().filter(|_| is_of_before) {
                    count(&mut of_events_alone, digest::contents_at(&batch, columns)?, 1);
                }
            }
            let (missing, unexplained) = if is_of_before {
                // An event may have had another number of matches, but not none.
                let of_none = |one: usize, other: usize| of_events_alone.values().filter(|n| n[one] == 0).map(|n| n[other]).sum::<u64>();
                (of_none(1, 0), of_none(0, 1))
            } else {
                let more = |one: usize, other: usize| contents.values().map(|n| n[one].saturating_sub(n[other])).sum::<u64>();
                (more(0, 1), more(1, 0))
            };
            if is_doubtful {
                Otherwise { missing, others: unexplained, differing: 0 }.tell(&mut check);
            } else {
                if missing > 0 {
                    check.problem(format!("{missing} rows are missing"));
                }
                if unexplained > 0 && whole {
                    check.problem(format!("{unexplained} rows are explained by no event, or are there twice"));
                }
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
            if rows != expected && whole && !is_of_before {
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
