//! What the toys with tables share: keys in their order, versions, expiry, epochs, projections.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{EpochWrite, VERSION_COLUMN};
use millstream_core::table::project_schema;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, SortOrder, TableSpec, Timestamp, Value, Version};

use crate::rows::{Cell, Row, stream_of};

/// A value of a key column, ordered in the column's direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPart {
    Ascending(Value),
    Descending(Reverse<Value>),
}

impl KeyPart {
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Ascending(v) | Self::Descending(Reverse(v)) => v,
        }
    }
}

/// A row's place in its table: partition columns, then clustering columns.
pub(super) type Key = Vec<KeyPart>;

/// The key with these values, one for each key column of `spec` from the first on.
pub(super) fn key(spec: &TableSpec, values: impl IntoIterator<Item = Value>) -> Key {
    let orders = spec.key.partition.iter().map(|_| SortOrder::Asc).chain(spec.key.clustering.iter().map(|c| c.order));
    values
        .into_iter()
        .zip(orders)
        .map(|(v, order)| match order {
            SortOrder::Asc => KeyPart::Ascending(v),
            SortOrder::Desc => KeyPart::Descending(Reverse(v)),
        })
        .collect()
}

/// The key of `row`. A null in it is refused, and the message names the key.
pub(super) fn key_of(spec: &TableSpec, row: &Row) -> Result<Key> {
    let cells: Vec<&Cell> = spec.key.indices(&spec.schema)?.into_iter().map(|i| &row[i]).collect();
    let values: Option<Vec<Value>> = cells.iter().map(|cell| cell.to_value()).collect();
    let values = values.ok_or_else(|| Error::invalid(format!("table {} got a row with a null in its key: {cells:?}", spec.name)))?;
    Ok(key(spec, values))
}

/// Checks that `values` fit the first of `columns`, one each.
pub(super) fn check_values(spec: &TableSpec, columns: &[String], values: &[Value]) -> Result<()> {
    if values.len() > columns.len() {
        return Err(Error::invalid(format!("{} values for {} key columns of table {}", values.len(), columns.len(), spec.name)));
    }
    for (column, value) in columns.iter().zip(values) {
        value.to_array(spec.schema.field_with_name(column)?.data_type()).map_err(|e| e.context(format!("key column {column}")))?;
    }
    Ok(())
}

/// Checks that `values` are one for each of `columns`.
pub(super) fn check_all_values(spec: &TableSpec, columns: &[String], values: &[Value]) -> Result<()> {
    if values.len() < columns.len() {
        return Err(Error::invalid(format!("{} values for {} key columns of table {}", values.len(), columns.len(), spec.name)));
    }
    check_values(spec, columns, values)
}

/// When a row of this version expires.
pub(super) fn expiry(spec: &TableSpec, version: i64) -> Option<Timestamp> {
    spec.ttl.map(|ttl| Timestamp(Version(version).plus(ttl).0))
}

/// Refuses a table that exists with another shape.
pub(super) fn same_shape(present: &TableSpec, asked: &TableSpec) -> Result<()> {
    if present.fingerprint() == asked.fingerprint() {
        return Ok(());
    }
    Err(Error::already_exists(format!("table {} exists as {}, not as {}", asked.name, present.fingerprint(), asked.fingerprint())))
}

/// Refuses rows of other columns than the table's.
pub(super) fn check_columns(spec: &TableSpec, schema: &SchemaRef) -> Result<()> {
    let shape = |s: &SchemaRef| s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
    if shape(schema) == shape(&spec.schema) {
        return Ok(());
    }
    Err(Error::invalid(format!("rows of other columns than those of table {}", spec.name)))
}

/// Each flow's highest attempt and last committed epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs(BTreeMap<FlowId, (Attempt, Epoch)>);

/// What to do with a write.
pub(super) enum Due {
    Now,
    CommittedAlready,
}

impl Epochs {
    pub(super) fn begin(&mut self, flow: &FlowId, attempt: Attempt) -> Epoch {
        let (highest, epoch) = self.0.entry(flow.clone()).or_default();
        *highest = attempt.max(*highest);
        *epoch
    }

    pub(super) fn check(&self, write: &EpochWrite, fencing: bool, gaps: bool) -> Result<Due> {
        let (highest, committed) = self.0.get(&write.flow).copied().unwrap_or_default();
        if fencing && write.attempt < highest {
            return Err(Error::fenced(format!("attempt {} of flow {} is fenced by {highest}", write.attempt, write.flow)));
        }
        if write.epoch <= committed {
            return Ok(Due::CommittedAlready);
        }
        if !gaps && write.epoch != committed.next() {
            return Err(Error::invalid(format!("epoch {} of flow {} leaves a gap after {committed}", write.epoch, write.flow)));
        }
        Ok(Due::Now)
    }

    pub(super) fn commit(&mut self, write: &EpochWrite) {
        self.0.entry(write.flow.clone()).or_default().1 = write.epoch;
    }

    pub(super) fn committed(&self) -> BTreeMap<FlowId, Epoch> {
        self.0.iter().map(|(flow, (_, epoch))| (flow.clone(), *epoch)).collect()
    }
}

/// `rows` with the columns at `columns` (or all), and the version as the last cell already taken off or left by the caller.
pub(super) fn project(
    schema: &SchemaRef,
    columns: Option<&[usize]>,
    version: bool,
    rows: impl Iterator<Item = (Row, i64)>,
) -> Result<(SchemaRef, Vec<Row>)> {
    let mut schema = project_schema(schema, columns)?;
    if version {
        schema = with_version(&schema);
    }
    let rows = rows.map(|(row, v)| {
        let mut row = match columns {
            None => row,
            Some(columns) => columns.iter().map(|i| row[*i].clone()).collect(),
        };
        if version {
            row.push(Cell::Int(v));
        }
        row
    });
    Ok((schema, rows.collect()))
}

/// The same as a stream of small batches.
pub(super) fn project_stream(
    schema: &SchemaRef,
    columns: Option<&[usize]>,
    version: bool,
    rows: impl Iterator<Item = (Row, i64)>,
) -> Result<BatchStream> {
    let (schema, rows) = project(schema, columns, version, rows)?;
    stream_of(&schema, &rows, 16)
}

/// `schema` and the version column.
pub(super) fn with_version(schema: &SchemaRef) -> SchemaRef {
    let version = Arc::new(Field::new(VERSION_COLUMN, DataType::Int64, false));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([version]).collect::<Vec<_>>()))
}
