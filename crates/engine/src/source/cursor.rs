//! Sharing: each chunk of a source is decoded once for all flows that stand where it begins.
//!
//! A flow pulls. Chunks that were just decoded stay in a window bounded in bytes; a flow that finds its next chunk there takes it, together with
//! those behind it, a flow that stands at the window's end decodes the next one for all, and a flow that fell behind the window reads for itself until
//! it meets the window again. So a slow flow holds nobody back, and memory is bounded however many flows there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_core::{Result, Version};

use super::together::{how_many, together};
use super::{Chunk, ChunkLimit, ChunkReader, ChunkSource, SourceState};
use crate::compute;
use crate::settings::EngineSettings;

/// A source with the window of chunks that its flows share.
pub struct SharedSource {
    source: Box<dyn ChunkSource>,
    limit: ChunkLimit,
    window_bytes_max: usize,
    window: Mutex<Window>,
    /// Decodes the window's next chunk, for one flow at a time; the others wait for that chunk instead of decoding it again.
    reader: tokio::sync::Mutex<Option<Box<dyn ChunkReader>>>,
}

/// Consecutive chunks: each begins where the one before it ends.
#[derive(Default)]
struct Window {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl SharedSource {
    /// `source`, shared by so many flows within the bounds of `settings`.
    #[must_use]
    pub fn new(source: Box<dyn ChunkSource>, flows: usize, settings: &EngineSettings) -> Arc<Self> {
        let limit =
            ChunkLimit { rows_max: settings.epoch_rows_max, bytes_max: settings.epoch_bytes_max, mark_max: (Version::MAX, usize::MAX) };
        let (window, reader) = (Mutex::default(), tokio::sync::Mutex::default());
        // Nobody comes for the chunks that the only flow has taken.
        let window_bytes_max = if flows > 1 { settings.shared_window_bytes_max } else { 0 };
        Arc::new(Self { source, limit, window_bytes_max, window, reader })
    }

    /// The state before the first record that is kept.
    pub async fn beginning(&self) -> Result<SourceState> {
        self.source.beginning().await
    }

    /// Resolves when there are records after `state`.
    pub async fn wait(&self, state: &SourceState) -> Result<()> {
        self.source.wait(state).await
    }

    /// About how many records there are after `state`; 0 only if there are none.
    pub async fn lag(&self, state: &SourceState) -> Result<u64> {
        self.source.lag(state).await
    }

    /// The chunk between two places that a chunk once lay between, see [`ChunkSource::again`].
    pub async fn again(&self, from: &SourceState, to: &SourceState) -> Result<Chunk> {
        self.source.again(from, to).await
    }

    /// A reader that shares nothing: for passes over the whole source.
    pub fn reader(&self) -> Result<Box<dyn ChunkReader>> {
        self.source.reader()
    }

    /// The same, for which topics end where `until` stands, see [`ChunkSource::reader_until`].
    pub fn reader_until(&self, until: &SourceState) -> Result<Box<dyn ChunkReader>> {
        self.source.reader_until(until)
    }

    /// A cursor for one flow.
    #[must_use]
    pub fn cursor(self: &Arc<Self>) -> SourceCursor {
        SourceCursor { shared: self.clone(), own: None, is_alone: false }
    }

    /// A cursor that shares nothing, and for which topics end where `until` stands.
    pub fn cursor_until(self: &Arc<Self>, until: &SourceState) -> Result<SourceCursor> {
        Ok(SourceCursor { shared: self.clone(), own: Some(self.reader_until(until)?), is_alone: true })
    }
}

/// What the window has for a flow.
enum Found {
    /// Its next chunks, and how many records wait behind them.
    Chunks(Vec<Arc<Chunk>>, u64),
    /// The flow is behind the window's end: the place in the merged order where it meets the window next.
    Behind((Version, usize)),
}

impl SharedSource {
    /// The window. What a panicking thread left in it is still a row of chunks.
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, from: &SourceState) -> Result<Found> {
        if let Some(found) = self.window().find(from, self.limit) {
            return Ok(found);
        }
        let mut reader = self.reader.lock().await;
        if let Some(found) = self.window().find(from, self.limit) {
            return Ok(found);
        }
        let reading = match &mut *reader {
            Some(reading) => reading,
            none => none.insert(self.source.reader()?),
        };
        let chunk = match reading.chunk(from, self.limit).await {
            Ok(chunk) => Arc::new(chunk),
            Err(error) => {
                *reader = None;
                return Err(error);
            }
        };
        if !chunk.is_empty() {
            self.window().push(chunk.clone(), self.window_bytes_max);
        }
        let lag = chunk.lag;
        Ok(Found::Chunks(vec![chunk], lag))
    }
}

impl Window {
    /// Where a flow that stands at `from`, behind the window's end, can join: the next chunk's beginning, or the window's end.
    fn meets(&self, from: &SourceState) -> Option<(Version, usize)> {
        let next = self.chunks.get(self.first_at(from)).map(|chunk| chunk.start.mark());
        next.or_else(|| self.chunks.back().map(|last| last.end.mark()).filter(|end| *end >= from.mark()))
    }

    /// The first chunk that begins at the place of `from` in the merged order, or behind it. That place never falls from chunk to chunk.
    fn first_at(&self, from: &SourceState) -> usize {
        let mark = from.mark();
        self.chunks.partition_point(|chunk| chunk.start.mark() < mark)
    }

    /// What the window has for a flow at `from`; `None`: it is at the window's end, or beyond it.
    fn find(&self, from: &SourceState, limit: ChunkLimit) -> Option<Found> {
        // A flow that keeps up looks here each time, and the window may hold thousands of chunks.
        if self.chunks.back().is_none_or(|last| last.end == *from) {
            return None;
        }
        let (before, mark) = (self.first_at(from), from.mark());
        let mut there = self.chunks.range(before..).take_while(|chunk| chunk.start.mark() == mark);
        let Some(first) = there.position(|chunk| chunk.start == *from).map(|more| before + more) else {
            return self.meets(from).map(Found::Behind);
        };
        let beyond = first + how_many(self.chunks.range(first..), limit);
        let waiting: usize = self.chunks.range(beyond..).map(|c| c.records()).sum();
        let lag = self.chunks.back().map_or(0, |last| last.lag) + waiting as u64;
        Some(Found::Chunks(self.chunks.range(first..beyond).cloned().collect(), lag))
    }

    /// Adds a chunk. One that does not begin at the window's end is of a flow that is ahead of all others: the window goes on from there,
    /// and they catch up with it.
    fn push(&mut self, chunk: Arc<Chunk>, bytes_max: usize) {
        if self.chunks.back().is_some_and(|last| last.end != chunk.start) {
            self.chunks.clear();
            self.bytes = 0;
        }
        self.bytes += chunk.held_bytes();
        self.chunks.push_back(chunk);
        while self.bytes > bytes_max && self.chunks.len() > 1 {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.bytes -= oldest.held_bytes();
        }
    }
}

/// One flow's way through a shared source.
pub struct SourceCursor {
    shared: Arc<SharedSource>,
    /// The flow's own reader, while it is behind the window.
    own: Option<Box<dyn ChunkReader>>,
    /// Whether it reads by its own reader alone.
    is_alone: bool,
}

impl SourceCursor {
    /// The chunk after `from`; empty when nothing is there.
    pub async fn next(&mut self, from: &SourceState) -> Result<Arc<Chunk>> {
        if let Some(own) = self.own.as_mut().filter(|_| self.is_alone) {
            return Ok(Arc::new(own.chunk(from, self.shared.limit).await?));
        }
        let mark_max = match self.shared.find(from).await? {
            Found::Chunks(chunks, lag) => {
                self.own = None;
                let bytes = if chunks.len() > 1 { chunks.iter().map(|c| c.bytes).sum() } else { 0 };
                return compute::on(bytes, || together(&chunks, lag));
            }
            Found::Behind(mark) => mark,
        };
        let own = match &mut self.own {
            Some(reader) => reader,
            none => none.insert(self.shared.source.reader()?),
        };
        // Up to where the window is met, and not beyond: there the flow joins the others again.
        let chunk = own.chunk(from, ChunkLimit { mark_max, ..self.shared.limit }).await?;
        if !chunk.is_empty() {
            return Ok(Arc::new(chunk));
        }
        // The window can't be met there (a partition had older records since): go on past it.
        Ok(Arc::new(own.chunk(from, self.shared.limit).await?))
    }

    /// Resolves when there are records after `state`.
    pub async fn wait(&self, state: &SourceState) -> Result<()> {
        self.shared.wait(state).await
    }
}

#[cfg(test)]
mod tests;
