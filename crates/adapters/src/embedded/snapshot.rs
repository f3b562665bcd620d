//! Scans: a consistent view of all event-store tables ([`EmbeddedSnapshot`]), and how rows leave a blocking thread as a stream.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use fjall::{Keyspace, Readable, Snapshot};
use futures::StreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, Scan, StoreSnapshot};
use millstream_core::{Epoch, Error, FlowId, Result};
use tokio::sync::mpsc;

use super::database::Store;
use super::epochs;
use super::error::During;
use super::event_store::EventTable;
use super::merge::Expiry;
use super::row_codec::{RowCodec, RowDecoder, Stored};

/// A batch of a scan has at most so many rows.
const BATCH_ROWS: usize = 8192;
/// And not many more bytes than this.
const BATCH_BYTES: usize = 8 << 20;
/// So many batches may wait for a slow reader.
const BATCHES_AHEAD: usize = 2;

/// The event store at one moment.
pub struct EmbeddedSnapshot {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    snapshot: Snapshot,
    tables: HashMap<String, Arc<EventTable>>,
}

impl EmbeddedSnapshot {
    pub(super) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, snapshot: Snapshot, tables: HashMap<String, Arc<EventTable>>) -> Self {
        Self { store, clock, snapshot, tables }
    }

    fn table(&self, name: &str) -> Result<&Arc<EventTable>> {
        self.tables.get(name).ok_or_else(|| Error::not_found(format!("the snapshot of the built-in event store has no table {name}")))
    }
}

#[async_trait]
impl StoreSnapshot for EmbeddedSnapshot {
    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>> {
        epochs::all(&self.store, &self.snapshot, self.table(table)?.keyed.id)
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        let table = self.table(table)?.clone();
        let mut prefix = Vec::new();
        match &scan.partition {
            Some(values) => table.keyed.keys.put_partition(values, &mut prefix)?,
            None => table.keyed.keys.put_table(&mut prefix),
        }
        let expiry = table.keyed.expiry(self.clock.now());
        let (columns, with_version) = (scan.columns.clone(), scan.with_version);
        // Wrong columns are found before the stream is handed out.
        RowDecoder::new(&table.keyed.rows, columns.as_deref(), with_version, 0)?;
        let (store, snapshot) = (self.store.clone(), self.snapshot.clone());
        Ok(stream(move |out| {
            let wanted = Wanted { rows: &table.keyed.rows, columns: columns.as_deref(), with_version, expiry };
            send_rows(&snapshot, &store.rows, &prefix, &wanted, out)
        }))
    }
}

/// What a scan wants of each row.
pub(super) struct Wanted<'a> {
    pub rows: &'a RowCodec,
    pub columns: Option<&'a [usize]>,
    pub with_version: bool,
    pub expiry: Expiry,
}

/// Where a scan puts its batches.
pub(super) struct Batches(mpsc::Sender<Result<RecordBatch>>);

impl Batches {
    /// Waits for room and hands `batch` over; `false` when nobody reads any more.
    fn send(&self, batch: RecordBatch) -> bool {
        self.0.blocking_send(Ok(batch)).is_ok()
    }
}

/// The batches that `scan` sends from a blocking thread. Dropping the stream ends the scan at its next batch.
pub(super) fn stream(scan: impl FnOnce(&Batches) -> Result<()> + Send + 'static) -> BatchStream {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let work = tokio::task::spawn_blocking(move || {
        let out = Batches(sender);
        if let Err(error) = scan(&out) {
            // Without a reader the error concerns nobody.
            drop(out.0.blocking_send(Err(error)));
        }
    });
    futures::stream::unfold((receiver, Some(work)), |(mut receiver, work)| async move {
        if let Some(item) = receiver.recv().await {
            return Some((item, (receiver, work)));
        }
        // A scan that died would otherwise look like one that is complete.
        match work?.await {
            Ok(()) => None,
            Err(ended) => {
                let error = Error::internal("a scan of the built-in store ended abnormally").caused_by(ended);
                Some((Err(error), (receiver, None)))
            }
        }
    })
    .boxed()
}

/// Sends the visible rows under `prefix`, in key order.
pub(super) fn send_rows(snapshot: &Snapshot, keyspace: &Keyspace, prefix: &[u8], wanted: &Wanted<'_>, out: &Batches) -> Result<()> {
    let decoder = || RowDecoder::new(wanted.rows, wanted.columns, wanted.with_version, BATCH_ROWS);
    let mut rows = decoder()?;
    for entry in snapshot.prefix(keyspace, prefix) {
        let value = entry.value().during("scanning a table")?;
        let Stored::Row { version, .. } = Stored::parse(&value)? else { continue };
        if wanted.expiry.is_expired(version) {
            continue;
        }
        rows.push(&value)?;
        if rows.rows() >= BATCH_ROWS || rows.bytes() >= BATCH_BYTES {
            let full = std::mem::replace(&mut rows, decoder()?);
            if !out.send(full.finish()?) {
                return Ok(());
            }
        }
    }
    if rows.rows() > 0 {
        out.send(rows.finish()?);
    }
    Ok(())
}
