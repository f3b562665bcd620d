//! Redis tables: each row is what its query makes of its base row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch, UInt8Array};
use arrow::datatypes::Int64Type;
use futures::StreamExt as _;
use millstream_core::ports::{CriticalLoader as _, Scan, SystemProperty};
use millstream_core::{ChangeBatch, ChangeKind, Result, TableSpec, Timestamp, Value, Version};
use millstream_pipeline::graph::{Binding, Flow};

use super::joined_data::{Otherwise, Sure};
use super::stateless::{Ledger, apply};
use super::{Check, digest};
use crate::engine::Engine;
use crate::source::{Chunk, SourceState};

impl Engine {
    /// Checks a redis table against the base table that its flow reads.
    pub(super) async fn verify_critical(&self, spec: &Arc<TableSpec>) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let Some(Binding::Critical(critical)) = self.pipeline.tables.get(&spec.name).map(|t| &t.binding) else { return Ok(check) };
        let Some(base) = &critical.base else {
            check.note("it is fed by a topic: its rows were not compared");
            return Ok(check);
        };
        let report = |flow: &Flow| self.references.runs(&flow.references).into_keys().next();
        if let Some(report) = self.pipeline.flows.iter().filter(|f| f.target == spec.name).find_map(report) {
            check.note(format!("its flow joins report {report}, which is published anew again and again: its rows were not compared"));
            return Ok(check);
        }
        let key = spec.key.indices(&spec.schema)?;
        let mut expected = self.expected_critical(spec, &base.table, &key, &mut check).await?;
        let stored = self.stored_critical(spec, &key).await?;
        check.count("rows", stored.values().map(|_| 1).sum());
        if stored.is_empty() && !expected.is_empty() {
            check.note("the cache is empty: its rows are loaded from the event store when they are asked for");
            return Ok(check);
        }
        let mut doubtful: Vec<Vec<Value>> = Vec::new();
        for (digest, (values, content)) in &stored {
            match expected.remove(digest) {
                Some((_, should)) if should == *content => {}
                _ => doubtful.push(values.clone()),
            }
        }
        doubtful.extend(expected.into_values().map(|(values, _)| values));
        let evicted = self.ports.system.property(SystemProperty::Evicted(&spec.name)).await?;
        let evicted = evicted.and_then(|at| at.parse().ok()).map(Version);
        let before = self.critical_before_change(spec, &mut check).await?;
        let is_sure = before.is_none_or(|sure| sure == Sure::OfEvent);
        let of_events =
            self.columns_of_events(spec).filter(|_| before.is_some()).unwrap_or_else(|| (0..spec.schema.fields().len()).collect());
        let mut otherwise = Otherwise::default();
        // The table moves on while it is read: what differed is looked at once more, row by row.
        for values in doubtful {
            let should = self.load(&spec.name, &values).await?;
            let is = self.ports.critical.get(&spec.name, &values).await?;
            let name = spec.key.columns().zip(&values).map(|(c, v)| format!("{c}={v}")).collect::<Vec<_>>().join(", ");
            match (should, is) {
                (Some(should), Some(is)) if of_events.iter().all(|column| should.row.column(*column) == is.row.column(*column)) => {}
                (None, None) => {}
                (Some(_), Some(_)) if !is_sure => otherwise.differing += 1,
                (Some(_), Some(_)) => check.problem(format!("row {name} holds other values than its base row gives")),
                (Some(should), None) if evicted.is_some_and(|at| should.version <= at) => check.count("evicted", 1),
                (Some(_), None) if !is_sure => otherwise.missing += 1,
                (Some(_), None) => check.problem(format!("row {name} is missing")),
                (None, Some(_)) if !is_sure => otherwise.others += 1,
                (None, Some(_)) => check.problem(format!("row {name} should not be there")),
            }
        }
        otherwise.tell(&mut check);
        Ok(check)
    }

    /// How sure rows are that were made with reference data as it was before; `None`: none were. Where it can't be said which these are, all of them are.
    async fn critical_before_change(&self, spec: &TableSpec, check: &mut Check) -> Result<Option<Sure>> {
        let mut before = None;
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            let last = self.ports.checkpoints.epochs(&flow.id).await?.last().copied();
            let Some(checkpoint) = self.committed_state(&flow.id, last.as_ref()).await? else { continue };
            if let Some(found) = self.before_change(flow, &checkpoint.header, check)? {
                let is_certain = found.sure == Sure::OfEvent && found.same_failures && before != Some(Sure::Nothing);
                before = Some(if is_certain { Sure::OfEvent } else { Sure::Nothing });
            }
        }
        Ok(before)
    }

    /// What the query makes of the base table's rows: by key digest, the key and the content.
    async fn expected_critical(
        &self,
        spec: &TableSpec,
        base: &str,
        key: &[usize],
        check: &mut Check,
    ) -> Result<HashMap<u128, (Vec<Value>, u64)>> {
        let mut expected = HashMap::new();
        let now = self.ports.clock.now();
        let snapshot = self.ports.event_store.snapshot().await?;
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name && f.source == base) {
            let mut processor = self.processor(flow)?;
            processor.refresh(&self.references, &self.spark).await?;
            let mut stream = snapshot.scan(base, &Scan { with_version: true, ..Scan::default() }).await?;
            while let Some(batch) = stream.next().await {
                let chunk = base_chunk(&batch?)?;
                check.count("base rows", chunk.changes.len() as u64);
                let made = tokio::task::block_in_place(|| processor.process(&chunk, Timestamp(0)))?.changes;
                let mut ledger = Ledger::new();
                apply(&mut ledger, &made, key)?;
                for (row, digest) in digest::keys(made.rows(), key)?.into_iter().enumerate() {
                    let expired = spec.ttl.is_some_and(|ttl| made.version(row).plus(ttl).0 <= now.0);
                    if expired {
                        check.count("expired", 1);
                    } else if let Some(row_expected) = ledger.get(&digest) {
                        expected.insert(digest, (key_values(made.rows(), key, row)?, row_expected.content));
                    }
                }
            }
        }
        Ok(expected)
    }

    async fn stored_critical(&self, spec: &TableSpec, key: &[usize]) -> Result<HashMap<u128, (Vec<Value>, u64)>> {
        let mut stored = HashMap::new();
        let mut stream = self.ports.critical.scan(&spec.name, None).await?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let contents = digest::contents(&batch, spec.schema.fields().len())?;
            for (row, (digest, content)) in digest::keys(&batch, key)?.into_iter().zip(contents).enumerate() {
                stored.insert(digest, (key_values(&batch, key, row)?, content));
            }
        }
        Ok(stored)
    }
}

fn key_values(rows: &RecordBatch, key: &[usize], row: usize) -> Result<Vec<Value>> {
    let values = key.iter().map(|c| Value::at(rows.column(*c), row)).collect::<Result<Vec<_>>>()?;
    Ok(values.into_iter().flatten().collect())
}

/// Base rows with their version column, as a chunk of inserts.
fn base_chunk(rows: &RecordBatch) -> Result<Chunk> {
    let n = rows.num_rows();
    let width = rows.num_columns() - 1;
    let versions: Int64Array = rows.column(width).as_primitive::<Int64Type>().clone();
    let columns: Vec<usize> = (0..width).collect();
    let kinds = UInt8Array::from_value(ChangeKind::Insert.code(), n);
    let changes =
        ChangeBatch::try_new(rows.project(&columns)?, kinds, versions, Int32Array::from_value(-1, n), Int64Array::from_value(-1, n))?;
    let state = SourceState::default();
    Ok(Chunk {
        start: state.clone(),
        end: state,
        changes,
        further: Vec::new(),
        rejected: Vec::new(),
        directed: Vec::new(),
        at_end: Vec::new(),
        seen_at: Timestamp(0),
        lag: 0,
        bytes: 0,
    })
}
