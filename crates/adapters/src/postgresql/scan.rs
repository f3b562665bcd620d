//! Reading many rows: a cursor within a transaction, a piece at a time, so that a slow reader holds nothing but a connection and a
//! reader that goes away leaves nothing behind.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use millstream_core::Result;
use millstream_core::batches::BatchStream;

use super::decode::BatchBuilder;
use super::pool::ReadTransaction;

/// The first piece has so many rows, and none more.
const ROWS: usize = 8_192;
/// A piece has about so many bytes, by the rows of the piece before.
const BYTES: usize = 8 << 20;

/// The rows of the query `text`, at the moment of `transaction`, as batches by `builder`. A transaction serves one scan.
pub(super) async fn scan(transaction: Arc<ReadTransaction>, text: &str, builder: BatchBuilder) -> Result<BatchStream> {
    transaction.get()?.run(&format!("DECLARE millstream_scan NO SCROLL CURSOR FOR {text}")).await?;
    let state = Some((transaction, builder, 1_024));
    let pieces = futures::stream::try_unfold(state, |state| async move {
        let Some((transaction, mut builder, rows)) = state else { return Ok(None) };
        let found = fetch(&transaction, &mut builder, rows).await?;
        let row_bytes = (builder.bytes() / found.max(1)).max(1);
        let batch = builder.finish()?;
        if found < rows {
            return Ok((found > 0).then_some((batch, None)));
        }
        Ok(Some((batch, Some((transaction, builder, (BYTES / row_bytes).clamp(1, ROWS))))))
    });
    Ok(pieces.boxed())
}

/// Adds the next rows to `builder`, at most `most`; returns how many there were.
async fn fetch(transaction: &ReadTransaction, builder: &mut BatchBuilder, most: usize) -> Result<usize> {
    let transaction = transaction.get()?;
    let rows = transaction.rows(&format!("FETCH FORWARD {most} FROM millstream_scan")).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = transaction.patiently(rows.try_next()).await? {
        builder.push(&row)?;
    }
    Ok(builder.rows())
}
