//! Tables of joined streams: the whole streams are joined again, without letting go of anything, and the rows compared by key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::Int64Array;
use futures::StreamExt as _;
use millstream_core::{ChangeBatch, Error, Result, Size, TableSpec, Timestamp};
use millstream_pipeline::graph::Flow;

use super::aggregated::late_of;
use super::joined_data::Sure;
use super::stored::Stored;
use super::{Check, digest};
use crate::engine::Engine;
use crate::flow::checkpoint::Checkpoint;
use crate::flow::process::Lateness;

/// What a key may hold: one of these contents, for which of several joined rows with the same key comes last is not defined.
#[derive(Default)]
struct Expected {
    contents: HashSet<u64>,
    seen: bool,
}

impl Engine {
    /// Checks a table that has a key, and flows that join streams.
    pub(super) async fn verify_joined(&self, spec: &Arc<TableSpec>, stored: &Stored) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let key = spec.key.indices(&spec.schema)?;
        let width = spec.schema.fields().len();
        let mut expected: HashMap<digest::KeyDigest, Expected> = HashMap::new();
        let mut whole = true;
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            let Some(checkpoint) = self.committed_state(&flow.id, stored.epochs.get(&flow.id)).await? else { continue };
            let mut take = |changes: &ChangeBatch| -> Result<u64> {
                let contents = digest::contents(changes.rows(), width)?;
                let mut superseded = 0;
                for (digest, content) in digest::keys(changes.rows(), &key)?.into_iter().zip(contents) {
                    let known = expected.entry(digest).or_default();
                    superseded += u64::from(!known.contents.is_empty());
                    known.contents.insert(content);
                }
                Ok(superseded)
            };
            let found = match flow.join {
                Some(_) => self.expect_joined(flow, &checkpoint, &mut take, &mut check).await?,
                None => {
                    let mut take = |changes: &ChangeBatch, _: &Int64Array, _: Sure| take(changes);
                    let found = self.expect_rows(flow, &checkpoint.header, &mut take, &mut check).await?;
                    Some(found.whole && !found.is_of_before)
                }
            };
            let Some(found) = found else { return Ok(check) };
            whole &= found;
        }
        let mut stream = stored.scan().await?;
        let mut beyond_log = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            check.count("rows", batch.num_rows() as u64);
            let contents = digest::contents(&batch, width)?;
            for (row, (digest, content)) in digest::keys(&batch, &key)?.into_iter().zip(contents).enumerate() {
                match expected.get_mut(&digest) {
                    Some(known) => {
                        known.seen = true;
                        if whole && !known.contents.contains(&content) {
                            check.problem(format!("row {} holds other values than its events give", digest::describe(&batch, &key, row)));
                        }
                    }
                    None if whole => check.problem(format!("row {} is explained by no events", digest::describe(&batch, &key, row))),
                    None => beyond_log += 1,
                }
            }
        }
        if beyond_log > 0 || !whole {
            check.note(format!("{beyond_log} rows are of events that the log no longer keeps, and values were not compared"));
        }
        let missing = expected.values().filter(|known| !known.seen).count() as u64;
        if spec.ttl.is_some() {
            check.count("expired", missing);
        } else if missing > 0 && whole {
            check.problem(format!("{missing} joined rows are missing"));
        }
        Ok(check)
    }

    /// Hands what a flow that joins streams should have written at `checkpoint` to `take`, and checks its dead letters. Returns whether the sources
    /// still hold all events; `None`, with a note, where they hold more than the state's budget lets be joined at once, or where rows were joined with reports
    /// or reference data as they were before.
    pub(super) async fn expect_joined(
        &self,
        flow: &Flow,
        checkpoint: &Checkpoint,
        take: &mut (dyn FnMut(&ChangeBatch) -> Result<u64> + Send),
        check: &mut Check,
    ) -> Result<Option<bool>> {
        let until = &checkpoint.header.source;
        let late = late_of(&self.ports.system.late_rows().await?, flow, until);
        let mut processor = self.processor(flow)?;
        processor.refresh(&self.references, &self.spark).await?;
        if self.same_reports_from(flow, &checkpoint.header, check).is_some() {
            return Ok(None);
        }
        if self.before_change(flow, &checkpoint.header, check)?.is_some() {
            check.note(format!("flow {}: what its streams give joined was not compared", flow.id));
            return Ok(None);
        }
        processor.decide_lateness(Lateness::Exactly(late.clone()));
        let (mut events, mut met, mut superseded) = (0, 0, 0);
        let mut dead = HashSet::new();
        let budget = self.settings.state_memory_bytes_max;
        let mut outgrown = false;
        let replayed = self
            .replay_source(flow, None, until, &mut |chunk| {
                let processed = processor.process(chunk, Timestamp(0))?;
                events += chunk.records_for(&flow.id) as u64;
                met += processed.late.len();
                superseded += take(&processed.changes)?;
                dead.extend(chunk.rejected.iter().filter(|r| r.is_for(&flow.id)).map(|r| r.position));
                dead.extend(processed.rejected.iter().map(|(position, ..)| *position));
                if processor.state().size().memory > budget {
                    outgrown = true;
                    return Err(Error::exhausted("the streams are larger than the budget of state"));
                }
                Ok(())
            })
            .await;
        let whole = match replayed {
            Err(_) if outgrown => {
                check.note(format!(
                    "flow {}: its streams hold more than engine.state_memory_bytes_max ({}), so what they give joined was not compared",
                    flow.id,
                    Size::of(budget)
                ));
                return Ok(None);
            }
            replayed => replayed?,
        };
        let watermark = checkpoint.header.watermark.as_ref().and_then(|w| w.current());
        if let Some(changes) = processor.settle(watermark)? {
            superseded += take(&changes)?;
        }
        if met < late.len() && whole {
            check.problem(format!("{} late rows of flow {} are of no event", late.len() - met, flow.id));
        }
        self.check_dead_letters(flow, until, &dead, check).await?;
        check.count("events", events);
        check.count("late", late.len() as u64);
        check.count("superseded", superseded);
        Ok(Some(whole))
    }
}
