//! The records inside a batch: where each field stands, and [`Record`]s that share the batch's bytes.

use std::ops::Range;

use bytes::Bytes;
use millstream_core::ports::Record;
use millstream_core::{Offset, Timestamp};

use super::{BatchError, BatchHeader, Compression, HEADER_LEN};

/// Where a record's fields stand in the (decompressed) records of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// Its timestamp, less the batch's base timestamp, in milliseconds.
    pub timestamp_delta: i64,
    /// Its offset, less the batch's base offset.
    pub offset_delta: i32,
    /// The key.
    pub key: Option<Range<usize>>,
    /// The value.
    pub value: Option<Range<usize>>,
    /// How many headers.
    pub header_count: i32,
    /// The headers' bytes.
    pub headers: Range<usize>,
    /// The whole record's length in bytes.
    pub len: usize,
}

/// The records of `batch` (one whole batch with `header`) without compression; shares the batch's bytes where there was none.
pub fn payload(header: &BatchHeader, batch: &Bytes) -> Result<Bytes, BatchError> {
    match header.compression()? {
        Compression::None => Ok(batch.slice(HEADER_LEN..)),
        codec => codec.decompress(&batch[HEADER_LEN..]).map(Bytes::from),
    }
}

/// The layouts of the `count` records in `records`; the last item is an error when they don't fill it exactly.
pub fn record_layouts(records: &[u8], count: i32) -> impl Iterator<Item = Result<RecordLayout, BatchError>> {
    let mut cursor = Cursor { bytes: records, at: 0 };
    let mut left = count;
    std::iter::from_fn(move || {
        if left == 0 {
            let trailing = cursor.at < cursor.bytes.len();
            cursor.at = cursor.bytes.len();
            return trailing.then_some(Err(BatchError::Malformed("there are bytes after its last record")));
        }
        left -= 1;
        let layout = cursor.record();
        if layout.is_err() {
            left = 0;
            cursor.at = cursor.bytes.len();
        }
        Some(layout)
    })
}

/// Appends the records of `batch` (one whole batch with `header`) from offset `from` on to `out`, until `budget` bytes are used up;
/// takes what it used off `budget`. At least one record is taken when `out` is empty. Says whether it came to the batch's end.
pub fn decode_into(header: &BatchHeader, batch: &Bytes, from: i64, budget: &mut usize, out: &mut Vec<Record>) -> Result<bool, BatchError> {
    let records = payload(header, batch)?;
    out.reserve(header.record_count.clamp(0, 1 << 16) as usize);
    for layout in record_layouts(&records, header.record_count) {
        let layout = layout?;
        let offset = header.base_offset + i64::from(layout.offset_delta);
        if offset < from {
            continue;
        }
        if *budget == 0 && !out.is_empty() {
            return Ok(false);
        }
        *budget = budget.saturating_sub(layout.len);
        let timestamp_ms = if header.has_append_time() {
            header.max_timestamp_ms
        } else {
            header.base_timestamp_ms.saturating_add(layout.timestamp_delta)
        };
        out.push(Record {
            offset: Offset(offset),
            timestamp: Timestamp(timestamp_ms.saturating_mul(1000)),
            key: layout.key.map(|r| records.slice(r)),
            value: layout.value.map(|r| records.slice(r)),
            headers: if layout.header_count == 0 { Vec::new() } else { headers(&records, layout.headers, layout.header_count)? },
        });
    }
    Ok(true)
}

fn headers(records: &Bytes, range: Range<usize>, count: i32) -> Result<Vec<(String, Option<Bytes>)>, BatchError> {
    let mut cursor = Cursor { bytes: &records[..range.end], at: range.start };
    let mut out = Vec::new();
    for _ in 0..count {
        let name = cursor.field()?.ok_or(BatchError::Malformed("a header has no name"))?;
        let value = cursor.field()?;
        out.push((String::from_utf8_lossy(&records[name]).into_owned(), value.map(|r| records.slice(r))));
    }
    Ok(out)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn record(&mut self) -> Result<RecordLayout, BatchError> {
        let start = self.at;
        let len = usize::try_from(self.varint()?).map_err(|_| BatchError::Malformed("a record's length is negative"))?;
        let end = self.at.checked_add(len).filter(|e| *e <= self.bytes.len()).ok_or(BatchError::Malformed("a record is cut off"))?;
        let mut inner = Cursor { bytes: &self.bytes[..end], at: self.at };
        inner.skip(1)?;
        let timestamp_delta = inner.varlong()?;
        let offset_delta = inner.varint()?;
        let key = inner.field()?;
        let value = inner.field()?;
        let header_count = inner.varint()?;
        let headers_from = inner.at;
        if header_count < 0 {
            return Err(BatchError::Malformed("a record's number of headers is negative"));
        }
        for _ in 0..header_count {
            inner.field()?.ok_or(BatchError::Malformed("a header has no name"))?;
            inner.field()?;
        }
        if inner.at != end {
            return Err(BatchError::Malformed("a record's fields don't fill its length"));
        }
        self.at = end;
        Ok(RecordLayout { timestamp_delta, offset_delta, key, value, header_count, headers: headers_from..end, len: end - start })
    }

    fn skip(&mut self, by: usize) -> Result<(), BatchError> {
        if self.bytes.len() - self.at < by {
            return Err(BatchError::Malformed("a record is cut off"));
        }
        self.at += by;
        Ok(())
    }

    /// Bytes behind their length, where -1 means null.
    fn field(&mut self) -> Result<Option<Range<usize>>, BatchError> {
        let len = self.varint()?;
        if len < 0 {
            return if len == -1 { Ok(None) } else { Err(BatchError::Malformed("a field's length is negative")) };
        }
        let start = self.at;
        self.skip(len as usize)?;
        Ok(Some(start..self.at))
    }

    #[inline]
    fn varint(&mut self) -> Result<i32, BatchError> {
        let raw = self.unsigned(5)?;
        let raw = u32::try_from(raw).map_err(|_| BatchError::Malformed("a number has too many bits"))?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, BatchError> {
        let raw = self.unsigned(10)?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    #[inline]
    fn unsigned(&mut self, bytes_max: u32) -> Result<u64, BatchError> {
        let mut value = 0_u64;
        for i in 0..bytes_max {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(BatchError::Malformed("a record is cut off"));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BatchError::Malformed("a number has too many bytes"))
    }
}
