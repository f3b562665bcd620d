//! The record batch, version 2 ("magic 2"): what a producer sends, the log stores and a consumer gets, byte for byte.
//!
//! Layout and meaning are those of Kafka's message format (KIP-98): a header of 61 bytes, then the records, compressed as one
//! block where the producer did so. The CRC-32C covers everything from the attributes on; base offset and partition leader
//! epoch stand before it, so the log can set them without touching what the producer signed.
//!
//! Everything here is a pure function over bytes. It knows no file, no topic and no socket.

mod codec;
mod encode;
mod records;

pub use codec::Compression;
pub use encode::{encode, encoded_len_max};
pub use records::{decode_into, payload, record_layouts};

use bytes::{BufMut, Bytes, BytesMut};
use millstream_core::Timestamp;

/// Length of a batch's header, in bytes.
pub const HEADER_LEN: usize = 61;
/// Bytes of a batch that its own length field doesn't count: base offset and the length field itself.
pub const PREFIX_LEN: usize = 12;
/// A compressed batch may not grow beyond this many bytes, so that a few bytes from a client can't fill the memory.
pub const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
/// "None" in a timestamp, a producer id, a producer epoch or a sequence.
pub const NONE: i64 = -1;

const MAGIC: i8 = 2;
const CRC_FROM: usize = 21;
const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// Why bytes are not a batch that the log takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has.
    #[error("the record batch ends after {have} of {need} bytes")]
    Short {
        /// Bytes that are there.
        have: usize,
        /// Bytes that the batch needs.
        need: usize,
    },
    /// An older message format.
    #[error("record format {0} is not served (only version 2; clients older than Kafka 0.11 write others)")]
    Magic(i8),
    /// The checksum is wrong.
    #[error("the record batch at offset {offset} has checksum {found:08x}, but says {expected:08x}")]
    Checksum {
        /// The batch's base offset.
        offset: i64,
        /// What the header says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// A compression that nobody knows.
    #[error("compression type {0} is unknown (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd)")]
    Compression(i16),
    /// The compressed block can't be read.
    #[error("the record batch's {codec} block can't be decompressed: {reason}")]
    Decompress {
        /// The compression.
        codec: Compression,
        /// What the decoder says.
        reason: String,
    },
    /// The compressed block grows too large.
    #[error("the record batch decompresses to more than {DECOMPRESSED_BYTES_MAX} bytes")]
    TooLarge,
    /// Bytes that contradict each other.
    #[error("the record batch is malformed: {0}")]
    Malformed(&'static str),
    /// A part of a transaction.
    #[error("transactional and control batches are not served")]
    Transactional,
}

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the batch after its length field.
    pub batch_length: i32,
    /// The CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression, timestamp type, transactional, control.
    pub attributes: i16,
    /// Offset of the last record, less the base offset.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since 1970.
    pub base_timestamp_ms: i64,
    /// The greatest timestamp, milliseconds since 1970; `-1`: the records have none.
    pub max_timestamp_ms: i64,
    /// The idempotent producer, or `-1`.
    pub producer_id: i64,
    /// Its epoch, or `-1`.
    pub producer_epoch: i16,
    /// The producer's sequence number of the first record, or `-1`.
    pub base_sequence: i32,
    /// How many records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. Checks the format's version and that the lengths are possible, not the checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(h) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(BatchError::Short { have: bytes.len(), need: HEADER_LEN });
        };
        let i16_at = |at: usize| i16::from_be_bytes([h[at], h[at + 1]]);
        let i32_at = |at: usize| i32::from_be_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
        let i64_at = |at: usize| (i64::from(i32_at(at)) << 32) | i64::from(i32_at(at + 4).cast_unsigned());
        let magic = h[16].cast_signed();
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let header = Self {
            base_offset: i64_at(0),
            batch_length: i32_at(8),
            crc: i32_at(17).cast_unsigned(),
            attributes: i16_at(21),
            last_offset_delta: i32_at(23),
            base_timestamp_ms: i64_at(27),
            max_timestamp_ms: i64_at(35),
            producer_id: i64_at(43),
            producer_epoch: i16_at(51),
            base_sequence: i32_at(53),
            record_count: i32_at(57),
        };
        if header.batch_length < (HEADER_LEN - PREFIX_LEN) as i32 {
            return Err(BatchError::Malformed("its length is less than a header's"));
        }
        if header.base_offset < 0 || header.last_offset_delta < 0 || header.base_offset.checked_add(header.len_in_offsets()).is_none() {
            return Err(BatchError::Malformed("its offsets are negative"));
        }
        Ok(header)
    }

    /// Bytes of the whole batch.
    #[must_use]
    pub fn total_len(&self) -> usize {
        PREFIX_LEN + self.batch_length as usize
    }

    fn len_in_offsets(&self) -> i64 {
        i64::from(self.last_offset_delta) + 1
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.base_offset + self.len_in_offsets()
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_code(self.attributes & COMPRESSION_MASK)
    }

    /// Whether the records are the broker's own (transaction markers): no consumer sees them.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether all records have the time of their append, which stands in `max_timestamp_ms`.
    #[must_use]
    pub fn has_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether an idempotent producer sent it.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.producer_id != NONE
    }

    /// The producer's sequence number of the last record: sequences go on at 0 after `i32::MAX`.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// The sequence number `by` after `sequence`; after `i32::MAX` comes 0.
#[must_use]
pub fn sequence_after(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & i64::from(i32::MAX)) as i32
}

/// Compares the checksum of `batch` (exactly one whole batch) with its header.
pub fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), BatchError> {
    let found = crc32c::crc32c(&batch[CRC_FROM..]);
    if found == header.crc {
        return Ok(());
    }
    Err(BatchError::Checksum { offset: header.base_offset, expected: header.crc, found })
}

/// A batch that may be appended: checked whole, so that no later read can stumble over it.
#[derive(Clone, Debug)]
pub struct CheckedBatch {
    header: BatchHeader,
    bytes: BytesMut,
}

impl CheckedBatch {
    /// The header, with the base offset that was set last.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives it its place in a partition: the only two fields that the log changes, both outside of the checksum.
    pub fn place(&mut self, base_offset: i64, leader_epoch: i32) {
        self.header.base_offset = base_offset;
        self.bytes[0..8].copy_from_slice(&base_offset.to_be_bytes());
        self.bytes[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
    }
}

/// Checks one batch from a producer: lengths, checksum, compression, and every record in it (Kafka's broker does the same).
/// Where the records have no timestamp, `now` becomes the batch's append time.
pub fn check(batch: &Bytes, now: Timestamp) -> Result<CheckedBatch, BatchError> {
    let mut header = BatchHeader::parse(batch)?;
    match header.total_len() {
        need if need > batch.len() => return Err(BatchError::Short { have: batch.len(), need }),
        need if need < batch.len() => return Err(BatchError::Malformed("a produce request must have one batch a partition")),
        _ => {}
    }
    check_crc(&header, batch)?;
    if header.is_transactional() || header.is_control() {
        return Err(BatchError::Transactional);
    }
    if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
        return Err(BatchError::Malformed("its number of records and its offsets disagree"));
    }
    if header.is_idempotent() && (header.producer_id < 0 || header.producer_epoch < 0 || header.base_sequence < 0) {
        return Err(BatchError::Malformed("its producer id comes without epoch and sequence"));
    }
    let records = payload(&header, batch)?;
    for (expected, layout) in (0_i32..).zip(record_layouts(&records, header.record_count)) {
        if layout?.offset_delta != expected {
            return Err(BatchError::Malformed("its records are not numbered one after the other"));
        }
    }
    let mut bytes = BytesMut::from(&batch[..]);
    if header.max_timestamp_ms == NONE && !header.has_append_time() {
        stamp(&mut header, &mut bytes, now);
    }
    Ok(CheckedBatch { header, bytes })
}

fn stamp(header: &mut BatchHeader, bytes: &mut BytesMut, now: Timestamp) {
    header.attributes |= LOG_APPEND_TIME;
    header.max_timestamp_ms = now.micros().div_euclid(1000);
    bytes[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    bytes[35..43].copy_from_slice(&header.max_timestamp_ms.to_be_bytes());
    header.crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[17..21].copy_from_slice(&header.crc.to_be_bytes());
}

/// Writes `header` (with the checksum left 0) before `records` and fills in length and checksum.
fn seal(header: &BatchHeader, records: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_LEN + records.len());
    out.put_i64(header.base_offset);
    out.put_i32((HEADER_LEN - PREFIX_LEN + records.len()) as i32);
    out.put_i32(0);
    out.put_i8(MAGIC);
    out.put_u32(0);
    out.put_i16(header.attributes);
    out.put_i32(header.last_offset_delta);
    out.put_i64(header.base_timestamp_ms);
    out.put_i64(header.max_timestamp_ms);
    out.put_i64(header.producer_id);
    out.put_i16(header.producer_epoch);
    out.put_i32(header.base_sequence);
    out.put_i32(header.record_count);
    out.put_slice(records);
    let crc = crc32c::crc32c(&out[CRC_FROM..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out
}

#[cfg(test)]
mod tests;
