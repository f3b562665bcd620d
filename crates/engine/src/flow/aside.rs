//! What an epoch puts aside: rows that could not be computed or came too late, with their raw bytes.

use std::collections::HashMap;

use bytes::Bytes;
use millstream_core::ports::{DeadLetter, LateRow, Quarantined, Record};
use millstream_core::{Epoch, ErrorKind, Offset, Result, RowPosition, Timestamp, TopicPartition};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::process::Processed;
use super::runner::FlowRunner;
use crate::source::{Chunk, RejectedRecord};

/// A source record as it was.
struct RawRecord {
    timestamp: Timestamp,
    key: Option<Bytes>,
    value: Option<Bytes>,
    /// The topic no longer holds it: neither key nor value are known.
    is_gone: bool,
}

/// How much of a partition is read for a record, in bytes: the next row's record is likely to be near.
const READ_BYTES: usize = 64 << 10;

/// What was read of each partition last.
type LastRead = Mutex<HashMap<TopicPartition, Vec<Record>>>;

impl FlowRunner {
    /// The rows that the epoch puts aside, with their raw bytes. `None`: asked to stop while the log didn't answer.
    pub(super) async fn quarantine(
        &self,
        chunk: &Chunk,
        processed: &Processed,
        epoch: Epoch,
        at: Timestamp,
        shutdown: &CancellationToken,
    ) -> Result<Option<Quarantined>> {
        let mut aside = Quarantined::default();
        let last_read = LastRead::default();
        let flow = &self.spec.id;
        let dead = |position, raw: RawRecord, reason: &str| {
            let (source, position) = self.in_source(chunk, position);
            DeadLetter {
                flow: flow.clone(),
                epoch,
                source,
                position,
                timestamp: raw.timestamp,
                key: raw.key,
                value: raw.value,
                reason: if raw.is_gone { format!("{reason}; the topic no longer holds the event") } else { reason.to_owned() },
                at,
            }
        };
        let mine = |r: &&RejectedRecord| r.directed.as_ref().is_none_or(|flows| flows.contains(flow));
        for r in chunk.rejected.iter().filter(mine) {
            let raw = RawRecord { timestamp: r.timestamp, key: r.key.clone(), value: r.value.clone(), is_gone: false };
            aside.dead_letters.push(dead(r.position, raw, &r.reason));
        }
        for (position, version, reason) in &processed.rejected {
            let raw = self.patiently(shutdown, || self.raw(chunk, *position, *version, &last_read)).await?;
            let Some(raw) = raw else { return Ok(None) };
            aside.dead_letters.push(dead(*position, raw, reason));
        }
        for late in &processed.late {
            let raw = self.patiently(shutdown, || self.raw(chunk, late.position, Timestamp(late.version.0), &last_read)).await?;
            let Some(raw) = raw else { return Ok(None) };
            let (source, position) = self.in_source(chunk, late.position);
            aside.late_rows.push(LateRow {
                flow: flow.clone(),
                epoch,
                source,
                position,
                timestamp: raw.timestamp,
                key: raw.key,
                value: raw.value,
                event_time: late.event_time,
                window_end: late.window_end,
                watermark: late.watermark,
                at,
            });
        }
        Ok(Some(aside))
    }

    /// The name of the source that a row came from, and its position there.
    fn in_source(&self, chunk: &Chunk, position: RowPosition) -> (String, RowPosition) {
        let (source, position) = chunk.end.position_in_source(position);
        (self.spec.inputs.get(source).map(|input| input.name.clone()).unwrap_or_default(), position)
    }

    /// A source record as it was: read again from the topic, if that still holds it, or the feed's row as JSON, if it is one of the chunk.
    async fn raw(&self, chunk: &Chunk, row: RowPosition, version: Timestamp, last_read: &LastRead) -> Result<RawRecord> {
        let (source, position) = chunk.end.position_in_source(row);
        let Some(topic) = self.spec.inputs.get(source).and_then(|input| input.topic.as_ref()) else {
            let found = chunk.sources().find_map(|changes| {
                let at = (0..changes.len()).find(|at| changes.position(*at) == row)?;
                Some(changes.rows().slice(at, 1))
            });
            let value = found.as_ref().map(row_as_json).transpose()?;
            return Ok(RawRecord { timestamp: version, key: None, value, is_gone: false });
        };
        let partition = TopicPartition::new(topic.clone(), position.partition);
        let mut last_read = last_read.lock().await;
        if let Some(known) = last_read.get(&partition).and_then(|records| raw_of(records, position.offset)) {
            return Ok(known);
        }
        let records = match self.ports.log.read(&partition, Offset(position.offset), READ_BYTES).await {
            // A join keeps rows for as long as they can match: retention may have passed their records.
            Err(error) if error.kind() == ErrorKind::OutOfRange => Vec::new(),
            read => read?.records,
        };
        let raw = raw_of(&records, position.offset);
        last_read.insert(partition, records);
        Ok(raw.unwrap_or(RawRecord { timestamp: version, key: None, value: None, is_gone: true }))
    }
}

/// The record at `offset`, if it is among `records`, which are in the order of their offsets. Its bytes are copied: they are a part of a whole
/// batch, which would stay in memory with each row that is put aside.
fn raw_of(records: &[Record], offset: i64) -> Option<RawRecord> {
    let record = records.get(records.binary_search_by_key(&offset, |record| record.offset.0).ok()?)?;
    let own = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    Some(RawRecord {
        timestamp: record.timestamp,
        key: record.key.as_ref().map(own),
        value: record.value.as_ref().map(own),
        is_gone: false,
    })
}

/// One row as a JSON object.
fn row_as_json(row: &arrow::array::RecordBatch) -> Result<Bytes> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(row)?;
    writer.finish()?;
    let mut line = writer.into_inner();
    line.truncate(line.trim_ascii_end().len());
    Ok(line.into())
}
