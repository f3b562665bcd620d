//! The checkpoint of an epoch: all that a flow needs to go on after it.
//!
//! Format, version 1: a byte 1; the header's length in bytes, 4 bytes, big endian; the header, JSON ([`Header`]); window state rows
//! in the Arrow IPC stream format, or nothing. A checkpoint is *full* (its state is everything) or a *delta* (the groups that its epoch
//! changed); a flow is restored from the last full one and the deltas after it.

use arrow::array::RecordBatch;
use bytes::{BufMut, Bytes, BytesMut};
use millstream_core::batches::{from_ipc, to_ipc};
use millstream_core::{Epoch, Error, Result, Version};
use serde::{Deserialize, Serialize};

use super::watermark::WatermarkTracker;
use crate::source::SourceState;

const FORMAT: u8 = 1;

/// A checkpoint without its window state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The flow's plan, as text: a flow of another plan can't use this.
    pub fingerprint: String,
    /// Where the flow stands in its source.
    pub source: SourceState,
    /// Its watermark, where it has one.
    pub watermark: Option<WatermarkTracker>,
    /// No row that the flow itself gave a version has a greater one.
    pub version_bound: Version,
    /// The epoch of the full checkpoint that this one builds upon; its own for a full one.
    pub base: Epoch,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Everything but the window state.
    pub header: Header,
    /// Window state rows, where the flow has windows.
    pub state: Option<RecordBatch>,
}

impl Checkpoint {
    /// As bytes.
    pub fn encode(&self) -> Result<Bytes> {
        let header = serde_json::to_vec(&self.header)?;
        let state = self.state.as_ref().map(|rows| to_ipc(&rows.schema(), std::slice::from_ref(rows))).transpose()?.unwrap_or_default();
        let length = u32::try_from(header.len()).map_err(|_| Error::internal("a checkpoint's header is over 4 GB"))?;
        let mut bytes = BytesMut::with_capacity(5 + header.len() + state.len());
        bytes.put_u8(FORMAT);
        bytes.put_u32(length);
        bytes.put_slice(&header);
        bytes.put_slice(&state);
        Ok(bytes.freeze())
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let torn = || Error::corrupt("a checkpoint is cut short");
        let (format, rest) = bytes.split_first().ok_or_else(torn)?;
        if *format != FORMAT {
            return Err(Error::corrupt(format!("a checkpoint has format {format}; this program reads format {FORMAT}")));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(torn)?;
        let (header, state) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(torn)?;
        let header = serde_json::from_slice(header)?;
        let state = match state {
            [] => None,
            ipc => {
                let (schema, batches) = from_ipc(ipc)?;
                Some(arrow::compute::concat_batches(&schema, &batches)?)
            }
        };
        Ok(Self { header, state })
    }
}

#[cfg(test)]
mod tests;
