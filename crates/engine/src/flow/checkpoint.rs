//! The checkpoint of an epoch: all that a flow needs to go on after it.
//!
//! Format, version 1: a byte 1; the header's length in bytes, 4 bytes, big endian; the header, JSON ([`Header`]); window state rows in
//! the Arrow IPC stream format, or nothing. Version 2, for a checkpoint with changes to redo: a byte 2; the header's length and the
//! header as before; the length in bytes of the state, 8 bytes, big endian; the state; the changes in the Arrow IPC stream format, with
//! their hidden columns after their own. Version 3, for a flow of several aggregations: a byte 3; the header's length and the header as
//! before; how many states there are, a byte; each state's length in bytes, 8 bytes, big endian, and the state; the changes, or nothing.
//! Version 4, which is written now: a byte 4; the CRC-32C (RFC 3720) of all that follows, 4 bytes, big endian; then as in version 3. Up to version 3
//! a header names its query by the plan's text, from version 4 on by a signature.
//!
//! A checkpoint has the groups that its epoch changed and, where a round is under way (see the module `rounds`), a part of the others; a flow is restored from the
//! checkpoints since the beginning of the last whole round, in order. A round of one epoch is a full checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, UInt8Type};
use bytes::{BufMut, Bytes, BytesMut};
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{ChangeBatch, Epoch, Error, ErrorKind, Result, Version};
use millstream_pipeline::signature::Signature;
use serde::{Deserialize, Serialize};

use super::emission::Emitted;
use super::repetition::Repetition;
use super::watermark::WatermarkTracker;
use crate::source::SourceState;
use crate::window::Reach;

const FORMAT: u8 = 1;
const FORMAT_WITH_REDO: u8 = 2;
const FORMAT_OF_STAGES: u8 = 3;
const FORMAT_WITH_CHECKSUM: u8 = 4;

/// The format and the checksum.
const PREAMBLE_BYTES: usize = 5;

/// A checkpoint without its window state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The query that it was written by: what another one has to agree with to use this. `None` up to version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// That query's plan as text, up to version 3: a flow of another text can't use this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Where the flow stands in its source.
    pub source: SourceState,
    /// Its watermark, where it has one.
    pub watermark: Option<WatermarkTracker>,
    /// No row that the flow itself gave a version has a greater one.
    pub version_bound: Version,
    /// How far back rows can reach that are not late, where only the rows say so: sessions whose gaps differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// The epoch from whose checkpoint on all of the state is in the checkpoints up to this one; its own for a full one.
    pub base: Epoch,
    /// Since when rows are written by this query, where an earlier one wrote the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altered: Option<Altered>,
    /// The reports that it joins, where it joins some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<JoinedTables>,
    /// The reference data that it joins, where it joins some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<JoinedTables>,
    /// The epochs that are being done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition: Option<Repetition>,
    /// What the epoch's changes were made of, where a torn epoch is made again of its records (see the module `redo`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<MadeOf>,
    /// How far what the watermark has passed has come out, where not all has (see the module `emission`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emitted: Option<Emitted>,
}

/// The records that an epoch's changes follow from: those of a topic between two places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeOf {
    /// Where they begin; they end where the flow stands after the epoch.
    pub source: SourceState,
    /// How many they were.
    pub records: u64,
    /// How many changes were made of them.
    pub changes: u64,
}

/// Where a flow's query was changed in what follows its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Altered {
    /// The last epoch that was written by an earlier query.
    pub after: Epoch,
    /// Where the flow stood in its source then.
    pub source: SourceState,
}

/// The reports or the reference data that a flow joins, as they were when it took its last events: rows of before were made with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinedTables {
    /// What tells each from how it was before, by name: of a report the run that published it.
    #[serde(rename = "runs")]
    pub revisions: BTreeMap<String, String>,
    /// The last epoch that joined other ones; 0: there is none.
    pub after: Epoch,
    /// Where the flow stood in its source then.
    pub source: SourceState,
}

/// A checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Everything but the window state.
    pub header: Header,
    /// Window state rows, of each aggregation of the flow.
    pub state: Vec<RecordBatch>,
    /// The epoch's changes, where a torn epoch has to be written again as it was (see the module `redo`).
    pub redo: Option<ChangeBatch>,
}

impl Checkpoint {
    /// About how much memory its rows take, in bytes: those of state, and those to be done again.
    pub fn rows_bytes(&self) -> usize {
        let redo = self.redo.as_ref().map(ChangeBatch::rows);
        self.state.iter().chain(redo).map(RecordBatch::get_array_memory_size).sum()
    }

    /// As bytes.
    pub fn encode(&self) -> Result<Bytes> {
        let header = serde_json::to_vec(&self.header)?;
        let states = self.state.iter().map(ipc).collect::<Result<Vec<_>>>()?;
        let redo = self.redo.as_ref().map(|changes| ipc(&with_hidden(changes)?)).transpose()?.unwrap_or_default();
        let length = u32::try_from(header.len()).map_err(|_| Error::internal("a checkpoint's header is over 4 GB"))?;
        let count = u8::try_from(states.len()).map_err(|_| Error::internal("a flow has over 255 aggregations"))?;
        let state_bytes: usize = states.iter().map(|state| state.len() + 8).sum();
        let mut bytes = BytesMut::with_capacity(PREAMBLE_BYTES + 5 + header.len() + state_bytes + redo.len());
        bytes.put_u8(FORMAT_WITH_CHECKSUM);
        bytes.put_u32(0);
        bytes.put_u32(length);
        bytes.put_slice(&header);
        bytes.put_u8(count);
        states.iter().for_each(|state| put_sized(&mut bytes, state));
        bytes.put_slice(&redo);
        let checksum = crc32c::crc32c(&bytes[PREAMBLE_BYTES..]);
        bytes[1..PREAMBLE_BYTES].copy_from_slice(&checksum.to_be_bytes());
        Ok(bytes.freeze())
    }

    /// Reads what [`encode`](Self::encode) wrote, now or in an earlier version.
    /// [`Corrupt`](millstream_core::ErrorKind::Corrupt) for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (format, header, rest) = Header::split(bytes)?;
        Self::decode_rows(format, header, rest).map_err(as_corrupt)
    }

    /// Reads what follows the header.
    fn decode_rows(format: u8, header: Header, rest: &[u8]) -> Result<Self> {
        let mut state = Vec::new();
        let redo = match format {
            FORMAT => {
                state.extend(rows(rest)?);
                &[]
            }
            FORMAT_WITH_REDO => {
                let (one, rest) = take_sized(rest)?;
                state.extend(rows(one)?);
                rest
            }
            _ => {
                let (count, mut rest) = rest.split_first().ok_or_else(torn)?;
                for _ in 0..*count {
                    let (one, after) = take_sized(rest)?;
                    state.push(rows(one)?.ok_or_else(torn)?);
                    rest = after;
                }
                rest
            }
        };
        Ok(Self { header, state, redo: rows(redo)?.map(|rows| without_hidden(&rows)).transpose()? })
    }
}

impl Header {
    /// The header of a checkpoint alone; the whole checkpoint is held against its checksum, where it has one.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::split(bytes).map(|(_, header, _)| header)
    }

    /// The format of a checkpoint, its header, and the bytes that follow it.
    fn split(bytes: &[u8]) -> Result<(u8, Self, &[u8])> {
        let (format, rest) = bytes.split_first().ok_or_else(torn)?;
        let rest = match *format {
            FORMAT..=FORMAT_OF_STAGES => rest,
            FORMAT_WITH_CHECKSUM => checked(rest)?,
            _ => {
                return Err(Error::corrupt(format!(
                    "a checkpoint has format {format}; this program reads formats {FORMAT} to {FORMAT_WITH_CHECKSUM}"
                )));
            }
        };
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
        let (header, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(torn)?;
        let header: Self = serde_json::from_slice(header).map_err(|e| as_corrupt(e.into()))?;
        if header.signature.is_some() != (*format == FORMAT_WITH_CHECKSUM) || header.signature.is_some() == header.fingerprint.is_some() {
            return Err(Error::corrupt(format!("a checkpoint of format {format} does not name its query as that format does")));
        }
        Ok((*format, header, rest))
    }
}

/// Whatever can't be read is damage.
fn as_corrupt(error: Error) -> Error {
    if error.kind() == ErrorKind::Corrupt { error } else { Error::corrupt("a checkpoint can't be read").caused_by(error) }
}

/// `bytes` without the checksum that they begin with and that is theirs.
fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let (checksum, rest) = bytes.split_first_chunk::<4>().ok_or_else(torn)?;
    if u32::from_be_bytes(*checksum) != crc32c::crc32c(rest) {
        return Err(Error::corrupt("a checkpoint fails its checksum"));
    }
    Ok(rest)
}

fn torn() -> Error {
    Error::corrupt("a checkpoint is cut short")
}

/// The length of `part`, and `part`.
fn put_sized(bytes: &mut BytesMut, part: &[u8]) {
    bytes.put_u64(part.len() as u64);
    bytes.put_slice(part);
}

/// What [`put_sized`] wrote, and the rest.
fn take_sized(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(torn)?;
    let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| torn())?;
    rest.split_at_checked(length).ok_or_else(torn)
}

fn ipc(rows: &RecordBatch) -> Result<Vec<u8>> {
    to_ipc(&rows.schema(), std::slice::from_ref(rows))
}

/// The rows of an IPC stream; nothing for no bytes.
fn rows(ipc: &[u8]) -> Result<Option<RecordBatch>> {
    if ipc.is_empty() {
        return Ok(None);
    }
    let (schema, batches) = from_ipc(ipc)?;
    Ok(Some(arrow::compute::concat_batches(&schema, &batches)?))
}

/// Changes as rows: their own columns, then kind, version, partition and offset.
fn with_hidden(changes: &ChangeBatch) -> Result<RecordBatch> {
    let own = changes.rows().schema();
    let hidden = [("kind", DataType::UInt8), ("version", DataType::Int64), ("partition", DataType::Int32), ("offset", DataType::Int64)];
    let mut fields: Vec<Field> = own.fields().iter().map(|f| Field::clone(f)).collect();
    fields.extend(hidden.map(|(name, data_type)| Field::new(name, data_type, false)));
    let mut columns = changes.rows().columns().to_vec();
    let hidden: [ArrayRef; 4] = [
        Arc::new(changes.kinds().clone()),
        Arc::new(changes.versions().clone()),
        Arc::new(changes.partitions().clone()),
        Arc::new(changes.offsets().clone()),
    ];
    columns.extend(hidden);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn without_hidden(rows: &RecordBatch) -> Result<ChangeBatch> {
    let own = rows.num_columns().checked_sub(4).ok_or_else(|| Error::corrupt("a checkpoint's changes have no hidden columns"))?;
    let hidden = |i: usize| rows.column(own + i);
    let lost = || Error::corrupt("a checkpoint's changes have hidden columns of other types");
    ChangeBatch::try_new(
        rows.project(&(0..own).collect::<Vec<_>>())?,
        hidden(0).as_primitive_opt::<UInt8Type>().ok_or_else(lost)?.clone(),
        hidden(1).as_primitive_opt::<Int64Type>().ok_or_else(lost)?.clone(),
        hidden(2).as_primitive_opt::<Int32Type>().ok_or_else(lost)?.clone(),
        hidden(3).as_primitive_opt::<Int64Type>().ok_or_else(lost)?.clone(),
    )
}

#[cfg(test)]
mod tests;
