//! [`Chunk`]: records taken from a queue, their bytes one after the other in one piece of memory that all of them share.

use bytes::Bytes;
use millstream_core::ports::Record;
use millstream_core::{Offset, Timestamp};

use super::super::queue::{FetchedMessage, RawHeader};

/// What a record costs beside its key, value and headers, in bytes: so that many empty ones are bounded too.
const RECORD_BYTES: usize = 20;

/// A record whose bytes stand in the chunk: the key up to `key_end`, from where the record before ends, then the value.
struct Entry {
    offset: i64,
    timestamp_ms: i64,
    key_end: usize,
    value_end: usize,
    has_key: bool,
    has_value: bool,
    headers: Vec<(String, Option<Bytes>)>,
}

/// Records on their way out of a queue.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Chunk {
    /// An empty chunk that is about to take so many bytes.
    pub(super) fn with_room_for(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), entries: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how large it is.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * RECORD_BYTES
    }

    /// Copies a message in.
    pub(super) fn push(&mut self, message: &FetchedMessage<'_>) {
        let (key, value) = (message.key(), message.value());
        self.bytes.extend_from_slice(key.unwrap_or_default());
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let header = |h: RawHeader<'_>| (String::from_utf8_lossy(h.name).into_owned(), h.value.map(Bytes::copy_from_slice));
        self.entries.push(Entry {
            offset: message.offset(),
            timestamp_ms: message.timestamp_ms(),
            key_end,
            value_end: self.bytes.len(),
            has_key: key.is_some(),
            has_value: value.is_some(),
            headers: message.headers().into_iter().map(header).collect(),
        });
    }

    /// The records.
    pub(super) fn into_records(self) -> Vec<Record> {
        let bytes = Bytes::from(self.bytes);
        let mut start = 0;
        let record = |entry: Entry| {
            let key = entry.has_key.then(|| bytes.slice(start..entry.key_end));
            let value = entry.has_value.then(|| bytes.slice(entry.key_end..entry.value_end));
            start = entry.value_end;
            Record {
                offset: Offset(entry.offset),
                timestamp: Timestamp(entry.timestamp_ms.saturating_mul(1_000)),
                key,
                value,
                headers: entry.headers,
            }
        };
        self.entries.into_iter().map(record).collect()
    }
}
