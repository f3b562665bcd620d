//! A partition: its segments on disk, one writer at a time, readers that never wait for it.
//!
//! Everything here blocks on the disk, so it is called through `Log::at_disk`. `writer` is held while a batch is
//! written; `view` only for moments. In `fsync` durability a batch becomes visible when a flush has covered it; waiting producers
//! queue at `flushed`, so one flush serves all that wrote before it (group commit).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use millstream_core::ports::{LogBounds, ReadOutcome};
use millstream_core::{Offset, Timestamp, TopicPartition};
use tokio::sync::watch;

use super::error::{IoContext, LogError};
use super::producers::{Producers, SequenceError, Verdict};
use super::recovery;
use super::segment::{Batches, SEGMENT_HEADER_LEN, Segment, SegmentFile, Span, append_whole};
use crate::batch::{BatchHeader, CheckedBatch, decode_into, payload, record_layouts};
use crate::settings::{BrokerSettings, Durability};

/// Partitions have one leader for ever: this process.
pub const LEADER_EPOCH: i32 = 0;
const READ_BYTES_MIN: usize = 64 << 10;
const READ_BYTES_MAX: usize = 4 << 20;

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset after the last record.
    pub next_offset: i64,
    /// First offset that the partition holds.
    pub start_offset: i64,
    /// The append time that the log gave, in milliseconds; `-1`: the producer's own times stand.
    pub append_time_ms: i64,
}

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    id: TopicPartition,
    folder: PathBuf,
    durability: Durability,
    segment_bytes: u64,
    writer: Mutex<Writer>,
    view: RwLock<View>,
    flushed: Mutex<i64>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug)]
struct Writer {
    producers: Producers,
    /// Why nothing more is appended: the topic is being deleted, or the disk lost a write.
    closed: Option<Closed>,
    /// A write that failed is still in the file, behind its end.
    torn: bool,
}

#[derive(Clone, Debug)]
enum Closed {
    Deleted,
    Failed(String),
}

#[derive(Debug)]
struct View {
    segments: Vec<Segment>,
    /// The next record's offset.
    written: i64,
    /// Records before this offset may be read.
    visible: i64,
}

impl View {
    fn start(&self) -> i64 {
        self.segments.first().map_or(self.visible, |s| s.base)
    }

    fn bounds(&self) -> LogBounds {
        LogBounds { start: Offset(self.start()), end: Offset(self.visible) }
    }

    fn segment_of(&self, offset: i64) -> Option<&Segment> {
        let after = self.segments.partition_point(|s| s.base <= offset);
        self.segments.get(after.checked_sub(1)?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Partition {
    /// Opens the partition in `folder`. `changed` is told when records become visible.
    pub fn open(id: TopicPartition, folder: &Path, settings: &BrokerSettings, changed: Arc<watch::Sender<()>>) -> Result<Self, LogError> {
        let recovered = recovery::recover(folder)?;
        tracing::debug!(partition = %id, end = recovered.end, cut_bytes = recovered.cut_bytes, "recovered");
        // What a power loss may not take back must be on the disk before it is shown.
        if settings.durability == Durability::Fsync
            && let Some(segment) = recovered.segments.last()
        {
            segment.file.open()?.sync_data().during("flush segment", &segment.file.path)?;
        }
        Ok(Self {
            id,
            folder: folder.to_owned(),
            durability: settings.durability,
            segment_bytes: settings.segment_bytes,
            writer: Mutex::new(Writer { producers: recovered.producers, closed: None, torn: false }),
            view: RwLock::new(View { segments: recovered.segments, written: recovered.end, visible: recovered.end }),
            flushed: Mutex::new(recovered.end),
            changed,
        })
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The visible bounds.
    #[must_use]
    pub fn bounds(&self) -> LogBounds {
        self.view().bounds()
    }

    /// Roughly how many bytes of visible records there are from `from` on; 0 exactly when there are none.
    #[must_use]
    pub fn bytes_from(&self, from: i64) -> u64 {
        let view = self.view();
        if from >= view.visible || from < view.start() {
            return 0;
        }
        let later: u64 = view.segments.iter().filter(|s| s.base > from).map(|s| s.file.len - SEGMENT_HEADER_LEN).sum();
        let here = view.segment_of(from).map_or(0, |s| s.file.len.saturating_sub(s.index.floor(from)));
        (later + here).max(1)
    }

    /// How many bytes an append of about `bytes` is worth at the disk: more than any number where it has to wait for what was written before.
    #[must_use]
    pub fn append_cost(&self, bytes: usize) -> usize {
        let waits = self.durability == Durability::Fsync || self.view().segments.last().is_some_and(|s| self.rolls(&s.file, bytes));
        if waits { usize::MAX } else { bytes }
    }

    /// Whether the active segment ends before `bytes` more.
    fn rolls(&self, active: &SegmentFile, bytes: usize) -> bool {
        active.len > SEGMENT_HEADER_LEN && active.len + bytes as u64 > self.segment_bytes
    }

    /// Appends a batch, and returns when it is as durable as the settings say.
    pub fn append(&self, batch: CheckedBatch) -> Result<Appended, LogError> {
        let appended = self.append_unsettled(batch)?;
        self.settle(&appended)?;
        Ok(appended)
    }

    /// Appends a batch, that [`settle`](Self::settle) makes durable and visible. A batch that an idempotent producer sends again is
    /// not appended twice, but answered as it was the first time.
    pub fn append_unsettled(&self, mut batch: CheckedBatch) -> Result<Appended, LogError> {
        let (base_offset, next_offset) = {
            let mut writer = lock(&self.writer);
            self.check_open(&writer)?;
            match writer.producers.judge(batch.header()).map_err(|e| self.sequence_error(batch.header(), e))? {
                Verdict::Duplicate { base_offset, next_offset } => (base_offset, next_offset),
                Verdict::New => {
                    self.write(&mut writer, &mut batch)?;
                    (batch.header().base_offset, batch.header().next_offset())
                }
            }
        };
        let append_time_ms = if batch.header().has_append_time() { batch.header().max_timestamp_ms } else { -1 };
        Ok(Appended { base_offset, next_offset, start_offset: self.view().start(), append_time_ms })
    }

    /// Returns when what was appended may be acknowledged.
    pub fn settle(&self, appended: &Appended) -> Result<(), LogError> {
        match self.durability {
            Durability::Process => {
                self.show(appended.next_offset);
                Ok(())
            }
            Durability::Fsync => self.flush_until(appended.next_offset),
        }
    }

    fn check_open(&self, writer: &Writer) -> Result<(), LogError> {
        match &writer.closed {
            None => Ok(()),
            Some(Closed::Deleted) => Err(LogError::NoTopic(self.id.topic.clone())),
            Some(Closed::Failed(why)) => Err(LogError::Failed { partition: self.id.clone(), why: why.clone() }),
        }
    }

    fn sequence_error(&self, batch: &BatchHeader, error: SequenceError) -> LogError {
        let (partition, producer) = (self.id.clone(), batch.producer_id);
        match error {
            SequenceError::OutOfOrder { expected } => LogError::OutOfOrder { partition, producer, expected, found: batch.base_sequence },
            SequenceError::StaleEpoch { current } => LogError::StaleEpoch { partition, producer, current, found: batch.producer_epoch },
        }
    }

    fn active(&self) -> Result<(SegmentFile, i64), LogError> {
        let view = self.view();
        let active = view.segments.last().ok_or_else(|| LogError::NoPartition(self.id.clone()))?;
        Ok((active.file.clone(), view.written))
    }

    fn write(&self, writer: &mut Writer, batch: &mut CheckedBatch) -> Result<(), LogError> {
        let (mut segment, written) = self.active()?;
        if self.rolls(&segment, batch.bytes().len()) {
            self.roll(writer, &segment, written)?;
            segment = self.active()?.0;
        }
        let file = segment.open()?;
        if writer.torn {
            file.set_len(segment.len).during("take back a write in", &segment.path)?;
            writer.torn = false;
        }
        batch.place(written, LEADER_EPOCH);
        append_whole(&*file, batch.bytes(), segment.len).map_err(|(e, taken_back)| {
            writer.torn = !taken_back;
            LogError::io("append to", &segment.path, e)
        })?;
        writer.producers.record(batch.header());
        let mut view = self.view_mut();
        view.written = batch.header().next_offset();
        if let Some(active) = view.segments.last_mut() {
            active.note(batch.header());
        }
        Ok(())
    }

    /// Closes the active segment and begins the next one. The closed one is flushed, so that only a last segment can be torn.
    fn roll(&self, writer: &mut Writer, active: &SegmentFile, next: i64) -> Result<(), LogError> {
        let file = active.open()?;
        if writer.torn {
            file.set_len(active.len).during("take back a write in", &active.path)?;
            writer.torn = false;
        }
        if let Err(e) = file.sync_all() {
            return Err(self.fail(writer, &active.path, &e));
        }
        let fresh = Segment::create(&self.folder, next)?;
        let mut view = self.view_mut();
        if let Some(closed) = view.segments.last_mut() {
            closed.file.active = None;
        }
        view.segments.push(fresh);
        Ok(())
    }

    /// The kernel forgets what it could not write, so a second flush that succeeds would mean nothing.
    fn fail(&self, writer: &mut Writer, path: &Path, error: &io::Error) -> LogError {
        let why = format!("flushing {} failed: {error}", path.display());
        writer.closed = Some(Closed::Failed(why.clone()));
        LogError::Failed { partition: self.id.clone(), why }
    }

    fn flush_until(&self, end: i64) -> Result<(), LogError> {
        let mut flushed = lock(&self.flushed);
        if *flushed >= end {
            return Ok(());
        }
        let (active, written) = self.active()?;
        if let Err(e) = active.open()?.sync_data() {
            return Err(self.fail(&mut lock(&self.writer), &active.path, &e));
        }
        *flushed = written;
        self.show(written);
        Ok(())
    }

    fn show(&self, end: i64) {
        {
            let mut view = self.view_mut();
            if view.visible >= end {
                return;
            }
            view.visible = end;
        }
        self.changed.send_replace(());
    }

    /// Refuses appends from now on: the topic is being deleted.
    pub fn close_deleted(&self) {
        lock(&self.writer).closed = Some(Closed::Deleted);
    }

    /// Checks that `from` is an offset that a reader may stand at.
    pub fn check_offset(&self, from: i64) -> Result<LogBounds, LogError> {
        let bounds = self.bounds();
        if (bounds.start.0..=bounds.end.0).contains(&from) {
            return Ok(bounds);
        }
        Err(LogError::OutOfRange { partition: self.id.clone(), asked: Offset(from), bounds })
    }

    fn span(&self, from: i64) -> Result<(LogBounds, Option<Span>), LogError> {
        let (bounds, segment) = {
            let view = self.view();
            let bounds = view.bounds();
            if from < bounds.start.0 || from > bounds.end.0 {
                return Err(LogError::OutOfRange { partition: self.id.clone(), asked: Offset(from), bounds });
            }
            let located = view.segment_of(from).filter(|_| from < bounds.end.0);
            (bounds, located.map(|s| (s.file.clone(), s.index.floor(from))))
        };
        let Some((segment, position)) = segment else {
            return Ok((bounds, None));
        };
        match segment.open() {
            Ok(file) => Ok((bounds, Some(Span { file, path: segment.path, position, end: segment.len, visible_end: bounds.end.0 }))),
            // Retention may have removed the file in between.
            Err(e) => match self.bounds() {
                now if from < now.start.0 => Err(LogError::OutOfRange { partition: self.id.clone(), asked: Offset(from), bounds: now }),
                _ => Err(e),
            },
        }
    }

    /// The batches from the one that holds offset `from` on, as a consumer gets them: at least one if there is one, else up to
    /// `max_bytes`.
    pub fn read_batches(&self, from: i64, max_bytes: usize) -> Result<(LogBounds, Batches), LogError> {
        match self.span(from)? {
            (bounds, None) => Ok((bounds, Batches::default())),
            (bounds, Some(span)) => Ok((bounds, span.read(from, max_bytes)?)),
        }
    }

    /// The records from offset `from` on; see [`EventLog::read`](millstream_core::ports::EventLog::read).
    pub fn read_records(&self, from: i64, max_bytes: usize) -> Result<ReadOutcome, LogError> {
        let mut budget = max_bytes;
        let mut next = from;
        loop {
            let (bounds, batches) = self.read_batches(next, max_bytes.clamp(READ_BYTES_MIN, READ_BYTES_MAX))?;
            let mut records = Vec::new();
            let nothing_there = batches.headers.is_empty();
            for (header, batch) in batches.iter() {
                let refused = |source| LogError::Refused { partition: self.id.clone(), source };
                if header.is_control() || decode_into(header, &batch, from, &mut budget, &mut records).map_err(refused)? {
                    next = header.next_offset();
                    continue;
                }
                next = records.last().map_or(next, |r| r.offset.0 + 1);
                break;
            }
            if nothing_there || !records.is_empty() {
                return Ok(ReadOutcome { records, next: Offset(next), bounds });
            }
        }
    }

    /// The first offset whose record has a timestamp of at least `timestamp_ms`, with that timestamp.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<(i64, i64)>, LogError> {
        let candidates: Vec<i64> = {
            let view = self.view();
            view.segments.iter().filter(|s| s.max_timestamp.is_some_and(|(ms, _)| ms >= timestamp_ms)).map(|s| s.base).collect()
        };
        let Some(mut from) = candidates.first().copied() else {
            return Ok(None);
        };
        loop {
            let (bounds, batches) = self.read_batches(from, READ_BYTES_MAX)?;
            for (header, batch) in batches.iter().filter(|(h, _)| h.max_timestamp_ms >= timestamp_ms) {
                if let Some(found) = self.record_at_time(header, &batch, timestamp_ms)? {
                    return Ok(Some(found));
                }
            }
            from = batches.headers.last().map_or(bounds.end.0, BatchHeader::next_offset);
            if from >= bounds.end.0 {
                return Ok(None);
            }
        }
    }

    fn record_at_time(&self, header: &BatchHeader, batch: &bytes::Bytes, at_least_ms: i64) -> Result<Option<(i64, i64)>, LogError> {
        let refused = |source| LogError::Refused { partition: self.id.clone(), source };
        let records = payload(header, batch).map_err(refused)?;
        for layout in record_layouts(&records, header.record_count) {
            let layout = layout.map_err(refused)?;
            let ms = if header.has_append_time() { header.max_timestamp_ms } else { header.base_timestamp_ms + layout.timestamp_delta };
            if ms >= at_least_ms {
                return Ok(Some((header.base_offset + i64::from(layout.offset_delta), ms)));
            }
        }
        Ok(None)
    }

    /// The offset of the first record with the greatest timestamp, with that timestamp.
    pub fn newest(&self) -> Result<Option<(i64, i64)>, LogError> {
        let newest = {
            let view = self.view();
            view.segments.iter().filter_map(|s| s.max_timestamp).reduce(|a, b| if b.0 > a.0 { b } else { a })
        };
        let Some((ms, base)) = newest.filter(|(_, base)| *base < self.bounds().end.0) else {
            return Ok(None);
        };
        let (_, batches) = self.read_batches(base, 1)?;
        batches.iter().next().map_or(Ok(None), |(header, batch)| self.record_at_time(header, &batch, ms))
    }

    /// Removes the segments whose newest record is older than `cutoff`. A last segment that is as old is closed first, so that a
    /// quiet topic is emptied too. Returns how many bytes went.
    pub fn remove_before(&self, cutoff: Timestamp) -> Result<u64, LogError> {
        let cutoff_ms = cutoff.micros().div_euclid(1000);
        let old = |s: &Segment| s.max_timestamp.is_some_and(|(ms, _)| ms < cutoff_ms);
        let mut writer = lock(&self.writer);
        if writer.closed.is_some() {
            return Ok(0);
        }
        let last = {
            let view = self.view();
            let all_visible = view.visible == view.written;
            view.segments.last().filter(|s| all_visible && old(s)).map(|s| (s.file.clone(), view.written))
        };
        if let Some((active, written)) = last {
            self.roll(&mut writer, &active, written)?;
        }
        let removed: Vec<Segment> = {
            let mut view = self.view_mut();
            let closed = view.segments.len() - 1;
            let count = view.segments[..closed].iter().take_while(|s| old(s)).count();
            view.segments.drain(..count).collect()
        };
        let mut bytes = 0;
        for segment in &removed {
            fs::remove_file(&segment.file.path).during("remove old segment", &segment.file.path)?;
            bytes += segment.file.len;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
