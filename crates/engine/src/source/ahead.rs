//! Reading ahead: while a flow works on a chunk, the ones behind it are read, merged and decoded, each decoded on a thread of its own.
//!
//! Chunks stay in their order, and each begins where the one before it ends; so what a flow sees does not depend on whether anything was
//! read ahead. Nothing is read beyond the first chunk that took all there was: at the end of a topic a flow always asks the log itself.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use millstream_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::decode::ChunkDecoders;
use super::merge::Merge;
use super::{Chunk, ChunkLimit, SourceState};

/// How many chunks are read ahead at the most: two keep two cores busy, and more than four only take memory.
fn chunks_max() -> usize {
    available_parallelism().map_or(2, NonZero::get).clamp(2, 4)
}

/// A chunk that is being decoded, and where it begins. Nobody waits for one that is dropped: it comes to its end within moments.
struct Ahead {
    start: SourceState,
    chunk: JoinHandle<Result<Chunk>>,
}

/// The chunks behind a place in a topic, being read. It ends with its owner.
pub(super) struct ReadAhead {
    chunks: mpsc::Receiver<Result<Ahead>>,
    /// The one task that reads; it gives the merge back when it has come to the end.
    reading: JoinSet<Merge>,
}

impl ReadAhead {
    /// Reads on from `from`.
    pub(super) fn start(merge: Merge, decoders: Arc<ChunkDecoders>, from: SourceState, limit: ChunkLimit) -> Self {
        let (out, chunks) = mpsc::channel(chunks_max());
        let mut reading = JoinSet::new();
        reading.spawn(read_on(merge, decoders, from, limit, out));
        Self { chunks, reading }
    }

    /// The chunk after `from` that was read ahead. `None` when there is none: everything was taken, or it is of another place, or beyond
    /// `limit`; then this has served its purpose.
    pub(super) async fn next(&mut self, from: &SourceState, limit: ChunkLimit) -> Result<Option<Chunk>> {
        let Some(ahead) = self.chunks.recv().await.transpose()? else { return Ok(None) };
        if ahead.start != *from {
            return Ok(None);
        }
        let chunk = ahead.chunk.await.map_err(|e| Error::internal("decoding a chunk ended early").caused_by(e))??;
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty() && within(chunk, limit)))
    }

    /// What it read and nobody took, if it has come to the end.
    pub(super) fn finish(mut self) -> Option<Merge> {
        self.reading.try_join_next().and_then(std::result::Result::ok)
    }
}

/// Whether a chunk keeps `limit`, if it was read with another one: any chunk may be shorter than it had to be.
fn within(chunk: &Chunk, limit: ChunkLimit) -> bool {
    chunk.records() <= limit.rows_max && chunk.end.mark() <= limit.mark_max
}

async fn read_on(
    mut merge: Merge,
    decoders: Arc<ChunkDecoders>,
    mut from: SourceState,
    limit: ChunkLimit,
    out: mpsc::Sender<Result<Ahead>>,
) -> Merge {
    // A place first: so no more chunks are in memory than there are places.
    while let Ok(place) = out.reserve().await {
        match read(&mut merge, &decoders, from, limit).await {
            Ok((ahead, Some(next))) => {
                place.send(Ok(ahead));
                from = next;
            }
            last => {
                place.send(last.map(|(ahead, _)| ahead));
                break;
            }
        }
    }
    merge
}

/// Takes the chunk at `from` and begins to decode it; also where to go on, if more was there.
async fn read(
    merge: &mut Merge,
    decoders: &Arc<ChunkDecoders>,
    from: SourceState,
    limit: ChunkLimit,
) -> Result<(Ahead, Option<SourceState>)> {
    let taken = merge.take(&from, limit).await?;
    let next = taken.is_full.then(|| taken.end.clone());
    let decoder = decoders.ready_for(&taken.records).await?;
    let decoders = decoders.clone();
    let chunk = tokio::task::spawn_blocking(move || decoders.decode(decoder, taken));
    Ok((Ahead { start: from, chunk }, next))
}
