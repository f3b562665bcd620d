//! Writing a batch: what the log does with records that come through the port instead of from a client.

use bytes::{BufMut, Bytes, BytesMut};
use millstream_core::Timestamp;
use millstream_core::ports::NewRecord;

use super::{BatchHeader, CheckedBatch, HEADER_LEN, NONE, seal};

/// One uncompressed batch of `records` (at least one, at most `i32::MAX`) with base offset 0 and no producer; a record without a
/// time gets `now`.
#[must_use]
pub fn encode(records: &[NewRecord], now: Timestamp) -> CheckedBatch {
    let ms = |record: &NewRecord| record.timestamp.unwrap_or(now).micros().div_euclid(1000);
    let base_timestamp_ms = records.first().map_or(NONE, ms);
    let size: usize = records.iter().map(estimated_len).sum();
    let mut body = BytesMut::with_capacity(size);
    let mut scratch = BytesMut::new();
    for (delta, record) in records.iter().enumerate() {
        scratch.clear();
        scratch.put_i8(0);
        put_varlong(&mut scratch, ms(record).wrapping_sub(base_timestamp_ms));
        put_varlong(&mut scratch, delta as i64);
        put_field(&mut scratch, record.key.as_ref());
        put_field(&mut scratch, record.value.as_ref());
        put_varlong(&mut scratch, record.headers.len() as i64);
        for (name, value) in &record.headers {
            put_varlong(&mut scratch, name.len() as i64);
            scratch.put_slice(name.as_bytes());
            put_field(&mut scratch, value.as_ref());
        }
        put_varlong(&mut body, scratch.len() as i64);
        body.put_slice(&scratch);
    }
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: 0,
        crc: 0,
        attributes: 0,
        last_offset_delta: records.len() as i32 - 1,
        base_timestamp_ms,
        max_timestamp_ms: records.iter().map(ms).max().unwrap_or(NONE),
        producer_id: NONE,
        producer_epoch: NONE as i16,
        base_sequence: NONE as i32,
        record_count: records.len() as i32,
    };
    let bytes = seal(&header, &body);
    header.batch_length = (bytes.len() - super::PREFIX_LEN) as i32;
    header.crc = u32::from_be_bytes([bytes[17], bytes[18], bytes[19], bytes[20]]);
    CheckedBatch { header, bytes }
}

/// An upper bound of what `records` need as a batch, in bytes.
#[must_use]
pub fn encoded_len_max(records: &[NewRecord]) -> usize {
    HEADER_LEN + records.iter().map(estimated_len).sum::<usize>()
}

fn estimated_len(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(n, v)| n.len() + v.as_ref().map_or(0, Bytes::len) + 10).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len) + headers + 36
}

fn put_field(out: &mut BytesMut, field: Option<&Bytes>) {
    match field {
        None => put_varlong(out, NONE),
        Some(bytes) => {
            put_varlong(out, bytes.len() as i64);
            out.put_slice(bytes);
        }
    }
}

/// Zigzag, then seven bits a byte: a varint is the same bytes as the varlong of the same value.
fn put_varlong(out: &mut BytesMut, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.put_u8((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.put_u8(raw as u8);
}
