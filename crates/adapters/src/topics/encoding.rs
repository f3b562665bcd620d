//! An epoch as records, on as many cores as there are: where every row goes out, encoding them is most of what a flow does.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use futures::future::try_join_all;
use millstream_core::encode::{PlacedRecord, parts};
use millstream_core::ports::EpochWrite;
use millstream_core::{ChangeBatch, Error, Result};

use super::outputs::Output;

/// Fewer rows than this take less time than it takes to wake another thread up for them.
const ROWS_IN_PASSING: usize = 256;

/// The records of `write`, in order, as [`encode_epoch`](millstream_core::encode::RowEncoder::encode_epoch) gives them.
pub(crate) async fn records_of(output: &Arc<Output>, write: &EpochWrite) -> Result<Vec<PlacedRecord>> {
    let rows: usize = write.changes.iter().map(ChangeBatch::len).sum();
    if rows <= ROWS_IN_PASSING {
        return output.encoder.encode_epoch(write, output.partitions);
    }
    let cores = available_parallelism().map_or(1, NonZero::get);
    let encoded = parts(write, rows.div_ceil(cores)).into_iter().map(|part| {
        let (output, write) = (output.clone(), write.clone());
        let encoded = tokio::task::spawn_blocking(move || output.encoder.encode_part(&write, &part, output.partitions));
        async { encoded.await.map_err(|ended| Error::internal("the encoding of an epoch ended early").caused_by(ended))? }
    });
    Ok(try_join_all(encoded).await?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
