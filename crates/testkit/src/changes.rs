//! Changes as plain values, and a writer that commits them epoch by epoch.

use arrow::array::{Int32Array, Int64Array, UInt8Array};
use arrow::datatypes::SchemaRef;
use millstream_core::ports::{EpochSink, EpochWrite};
use millstream_core::{Attempt, ChangeBatch, ChangeKind, Epoch, FlowId, Result, RowPosition, TableSpec, Version};

use crate::rows::{Row, batch, rows_of};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it does.
    pub kind: ChangeKind,
    /// Which write wins, in microseconds.
    pub version: i64,
    /// Where it came from.
    pub position: RowPosition,
    /// The row after it; of a delete only the key columns mean anything.
    pub row: Row,
}

fn change(kind: ChangeKind, version: i64, row: Row) -> Change {
    Change { kind, version, position: RowPosition { partition: -1, offset: -1 }, row }
}

/// An insert of `row`.
#[must_use]
pub fn insert(version: i64, row: Row) -> Change {
    change(ChangeKind::Insert, version, row)
}

/// An update to `row`.
#[must_use]
pub fn update(version: i64, row: Row) -> Change {
    change(ChangeKind::Update, version, row)
}

/// A delete of the row with `key`'s key columns.
#[must_use]
pub fn delete(version: i64, key: Row) -> Change {
    change(ChangeKind::Delete, version, key)
}

/// `changes` as one batch of rows of `schema`.
pub fn change_batch(schema: &SchemaRef, changes: &[Change]) -> Result<ChangeBatch> {
    let rows: Vec<Row> = changes.iter().map(|c| c.row.clone()).collect();
    ChangeBatch::try_new(
        batch(schema, &rows)?,
        UInt8Array::from_iter_values(changes.iter().map(|c| c.kind.code())),
        Int64Array::from_iter_values(changes.iter().map(|c| c.version)),
        Int32Array::from_iter_values(changes.iter().map(|c| c.position.partition)),
        Int64Array::from_iter_values(changes.iter().map(|c| c.position.offset)),
    )
}

/// The changes of `batch`.
pub fn changes_of(batch: &ChangeBatch) -> Result<Vec<Change>> {
    let rows = rows_of(batch.rows())?;
    let one = |(i, row): (usize, Row)| Change { kind: batch.kind(i), version: batch.version(i).0, position: batch.position(i), row };
    Ok(rows.into_iter().enumerate().map(one).collect())
}

/// Writes epochs of one flow into one table, one after the other.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The flow.
    pub flow: FlowId,
    /// Its attempt.
    pub attempt: Attempt,
    /// The last committed epoch.
    pub epoch: Epoch,
    spec: TableSpec,
}

impl Writer {
    /// Begins `attempt` of `flow` into the table of `spec`, which `sink` must know.
    pub async fn begin<S: EpochSink + ?Sized>(sink: &S, spec: &TableSpec, flow: &str, attempt: u64) -> Result<Self> {
        let (flow, attempt) = (FlowId::new(flow), Attempt(attempt));
        let epoch = sink.begin(&flow, attempt, &spec.name).await?;
        Ok(Self { flow, attempt, epoch, spec: spec.clone() })
    }

    /// The write of `changes` as `epoch`, in batches of at most `size`.
    pub fn write(&self, epoch: Epoch, changes: &[Change], size: usize) -> Result<EpochWrite> {
        let batches = changes.chunks(size.max(1)).map(|c| change_batch(&self.spec.schema, c)).collect::<Result<_>>()?;
        Ok(EpochWrite { flow: self.flow.clone(), attempt: self.attempt, epoch, table: self.spec.name.clone(), changes: batches })
    }

    /// Commits `changes` as the next epoch; returns how many rows stand differently.
    pub async fn commit<S: EpochSink + ?Sized>(&mut self, sink: &S, changes: &[Change]) -> Result<u64> {
        let next = self.epoch.next();
        let changed = sink.commit(self.write(next, changes, 7)?).await?;
        self.epoch = next;
        Ok(changed)
    }
}

/// Inserts of `rows`, all with `version`.
#[must_use]
pub fn inserts(version: Version, rows: &[Row]) -> Vec<Change> {
    rows.iter().map(|row| insert(version.0, row.clone())).collect()
}
