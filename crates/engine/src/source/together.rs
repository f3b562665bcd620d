//! Consecutive chunks as one: what a flow takes that has fallen behind the flow which cut them.
//!
//! A flow that keeps up cuts the source into small chunks. One that takes longer over an epoch would never catch up if it had to take each of them as an
//! epoch of its own, for much of what an epoch costs doesn't depend on how many records it has.

use std::sync::Arc;

use arrow::array::UInt32Array;
use millstream_core::{ChangeBatch, Error, FlowId, Result};

use super::{Chunk, ChunkLimit, SourcePosition};

/// A chunk takes so many times [`ChunkLimit::bytes_max`] of memory at the most, and then one chunk or record.
pub(super) const READS_A_CHUNK: usize = 8;

/// How many of `chunks`, which follow one another, `limit` allows to be taken together: at least one.
pub(super) fn how_many<'a>(chunks: impl IntoIterator<Item = &'a Arc<Chunk>>, limit: ChunkLimit) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let fits = |chunk: &&Arc<Chunk>| {
        rows += chunk.records();
        bytes += chunk.bytes;
        rows <= limit.rows_max && bytes <= limit.bytes_max.saturating_mul(READS_A_CHUNK) && chunk.further.is_empty()
    };
    chunks.into_iter().take_while(fits).count().max(1)
}

/// `chunks`, each of which begins where the one before it ends, as one, behind which `lag` records wait. Records of a topic are in merged order, as in any
/// chunk: a partition may have had older ones than others when the next chunk was cut.
pub(super) fn together(chunks: &[Arc<Chunk>], lag: u64) -> Result<Arc<Chunk>> {
    let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Err(Error::internal("no chunks to take together")) };
    if chunks.len() == 1 && first.lag == lag {
        return Ok(first.clone());
    }
    let mut directed = Vec::new();
    let mut before = 0_u32;
    for chunk in chunks {
        directed.extend(chunk.directed.iter().map(|(row, flows)| (before.saturating_add(*row), flows.clone())));
        before = before.saturating_add(u32::try_from(chunk.changes.len()).unwrap_or(u32::MAX));
    }
    let mut changes = ChangeBatch::concat(&first.changes.rows().schema(), chunks.iter().map(|chunk| &chunk.changes))?;
    let is_feed = last.end.partitions.iter().any(|p| matches!(p.position, SourcePosition::Feed(_)));
    if let Some(order) = merged_order(&changes).filter(|_| !is_feed) {
        changes = changes.take(&order)?;
        directed = renumbered(&directed, &order);
    }
    Ok(Arc::new(Chunk {
        start: first.start.clone(),
        end: last.end.clone(),
        changes,
        further: first.further.clone(),
        rejected: chunks.iter().flat_map(|chunk| &chunk.rejected).cloned().collect(),
        directed,
        at_end: last.at_end.clone(),
        seen_at: last.seen_at,
        lag,
        bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
    }))
}

/// The rows by version and then partition; `None`: they are in that order.
fn merged_order(changes: &ChangeBatch) -> Option<UInt32Array> {
    let marks = || changes.versions().values().iter().zip(changes.partitions().values());
    if marks().is_sorted() {
        return None;
    }
    let mut rows: Vec<((&i64, &i32), u32)> = marks().zip(0..).collect();
    rows.sort_unstable();
    Some(rows.into_iter().map(|(_, row)| row).collect())
}

/// Directed rows by where they are once all are in this `order`.
fn renumbered(directed: &[(u32, Arc<[FlowId]>)], order: &UInt32Array) -> Vec<(u32, Arc<[FlowId]>)> {
    let places = order.values().iter().zip(0..);
    let place = |(place_before, place): (&u32, u32)| {
        let at = directed.binary_search_by_key(place_before, |(row, _)| *row).ok()?;
        directed.get(at).map(|(_, flows)| (place, flows.clone()))
    };
    if directed.is_empty() { Vec::new() } else { places.filter_map(place).collect() }
}

#[cfg(test)]
mod tests;
