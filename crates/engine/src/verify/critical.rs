//! Redis tables: each row is what its query makes of its base row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch, UInt8Array};
use arrow::datatypes::Int64Type;
use futures::StreamExt as _;
use millstream_core::ports::{Scan, SystemProperty};
use millstream_core::{ChangeBatch, ChangeKind, Result, RowPosition, TableSpec, Timestamp, Value, Version};
use millstream_pipeline::graph::{Binding, Flow};

use super::joined_data::{Otherwise, Sure};
use super::stateless::{Ledger, apply};
use super::{Check, digest};
use crate::engine::Engine;
use crate::source::{Chunk, SourceState};

/// What a key should hold.
struct Expected {
    key: Vec<Value>,
    content: u64,
    /// Whether its time is over by the version of its base row. The version that the flow has given it may be later, and then it may be there all the same.
    expired: bool,
}

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
        let expired = expected.values().filter(|should| should.expired).count();
        if stored.is_empty() && expired < expected.len() {
            check.count("expired", expired as u64);
            check.note("the cache is empty: its rows are loaded from the event store when they are asked for");
            return Ok(check);
        }
        let mut doubtful: Vec<Vec<Value>> = Vec::new();
        for (digest, (values, content)) in &stored {
            match expected.remove(digest) {
                Some(should) if should.content == *content => {}
                _ => doubtful.push(values.clone()),
            }
        }
        let (expired, missing): (Vec<_>, Vec<_>) = expected.into_values().partition(|should| should.expired);
        check.count("expired", expired.len() as u64);
        doubtful.extend(missing.into_iter().map(|should| should.key));
        let evicted = self.ports.system.property(SystemProperty::Evicted(&spec.name)).await?;
        let evicted = evicted.and_then(|at| at.parse().ok()).map(Version);
        let before = self.critical_before_change(spec, &mut check).await?;
        let is_sure = before.is_none_or(|sure| sure == Sure::OfEvent);
        let of_events =
            self.columns_of_events(spec).filter(|_| before.is_some()).unwrap_or_else(|| (0..spec.schema.fields().len()).collect());
        let mut otherwise = Otherwise::default();
        // The table moves on while it is read: what differed is looked at once more, row by row.
        for values in doubtful {
            let should = self.critical.make(&spec.name, &values).await?;
            let is = self.ports.critical.get(&spec.name, &values).await?;
            let now = self.ports.clock.now();
            let name = spec.key.columns().zip(&values).map(|(c, v)| format!("{c}={v}")).collect::<Vec<_>>().join(", ");
            match (should, is) {
                (Some(should), Some(is)) if of_events.iter().all(|column| should.row.column(*column) == is.row.column(*column)) => {}
                (None, None) => {}
                (Some(_), Some(_)) if !is_sure => otherwise.differing += 1,
                (Some(_), Some(_)) => check.problem(format!("row {name} holds other values than its base row gives")),
                (Some(should), None) if should.expires.is_some_and(|at| at <= now) => check.count("expired", 1),
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
    async fn expected_critical(&self, spec: &TableSpec, base: &str, key: &[usize], check: &mut Check) -> Result<HashMap<u128, Expected>> {
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
                    let Some(should) = ledger.get(&digest) else { continue };
                    // Of the base row: a flow that joins reference data draws its own versions, and has drawn others.
                    let version = base_version(&chunk, made.position(row)).unwrap_or(made.version(row));
                    let expired = spec.ttl.is_some_and(|ttl| version.plus(ttl).0 <= now.0);
                    expected.insert(digest, Expected { key: key_values(made.rows(), key, row)?, content: should.content, expired });
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

/// The version of the row of `chunk` that a row at `position` was made of.
fn base_version(chunk: &Chunk, position: RowPosition) -> Option<Version> {
    let row = usize::try_from(position.offset).ok().filter(|row| *row < chunk.changes.len())?;
    Some(chunk.changes.version(row))
}

/// Base rows with their version column, as a chunk of inserts. The position of each is its number.
fn base_chunk(rows: &RecordBatch) -> Result<Chunk> {
    let n = rows.num_rows();
    let width = rows.num_columns() - 1;
    let versions: Int64Array = rows.column(width).as_primitive::<Int64Type>().clone();
    let columns: Vec<usize> = (0..width).collect();
    let kinds = UInt8Array::from_value(ChangeKind::Insert.code(), n);
    let numbers = Int64Array::from_iter_values(0..i64::try_from(n).unwrap_or(i64::MAX));
    let changes = ChangeBatch::try_new(rows.project(&columns)?, kinds, versions, Int32Array::from_value(0, n), numbers)?;
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
