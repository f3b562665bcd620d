//! [`EmbeddedEventStore`]: the event store of box 3, whose commits also write the change feed of box 4.
//!
//! A commit is one fjall batch: the rows that win, the feed's blocks, and the flow's epoch. Commits to one table go one after the
//! other; different tables commit side by side.

use std::sync::Arc;

use async_trait::async_trait;
use fjall::{OwnedWriteBatch, Readable};
use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::{Clock, EpochSink, EpochWrite, EventStore, Page, PartitionQuery, StoreSnapshot};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec};
use tokio::sync::watch;

use super::change_feed::{FEED_RANGES, FeedEnds, range_of};
use super::database::{Store, blocking};
use super::epochs;
use super::error::During;
use super::feed_block::{self, BlockWriter};
use super::keyed_table::{EncodedChanges, KeyedTable, NetChange};
use super::partition_read;
use super::registry::{Registered, Registry, sweep};
use super::snapshot::EmbeddedSnapshot;

/// The built-in event store and its change feed.
pub struct EmbeddedEventStore {
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tables: Arc<Registry<EventTable>>,
}

/// An event-store table that is open.
pub(super) struct EventTable {
    pub keyed: KeyedTable,
    /// What the feed's readers wait on; changed only by who writes to the table.
    pub ends: watch::Sender<FeedEnds>,
}

impl Registered for EventTable {
    fn open(store: &Arc<Store>, id: u32, spec: TableSpec) -> Result<Self> {
        let keyed = KeyedTable::new(id, spec)?;
        let ends = FeedEnds::recover(store, id)?;
        Ok(Self { keyed, ends: watch::Sender::new(ends) })
    }

    fn spec(&self) -> &TableSpec {
        &self.keyed.spec
    }

    fn id(&self) -> u32 {
        self.keyed.id
    }
}

impl EventTable {
    fn close(&self) -> Result<()> {
        self.keyed.close()?;
        self.ends.send_modify(|ends| ends.dropped = true);
        Ok(())
    }
}

impl EmbeddedEventStore {
    pub(super) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, tables: Arc<Registry<EventTable>>) -> Self {
        Self { store, clock, tables }
    }
}

fn commit(store: &Store, clock: &dyn Clock, table: &EventTable, write: &EpochWrite) -> Result<u64> {
    let changes = EncodedChanges::encode(&table.keyed, &write.changes)?;
    table.keyed.exclusively(|| {
        let progress = epochs::read(store, table.keyed.id, &write.flow)?;
        if progress.admit(write)? == Admission::Done {
            return Ok(0);
        }
        let now = clock.now();
        let mut batch = store.batch(changes.len() + 8);
        let net = changes.fold_into(&mut batch, store, &store.rows, &table.keyed, table.keyed.expiry(now))?;
        let ends = put_feed(&mut batch, store, table, &changes, &net, now.0)?;
        epochs::put(&mut batch, store, table.keyed.id, &write.flow, FlowProgress::after(write));
        store.commit(batch)?;
        if !net.is_empty() {
            table.ends.send_replace(ends);
        }
        Ok(net.len() as u64)
    })
}

/// Adds the feed's blocks to `batch`; returns where the feed ends once it is committed.
fn put_feed(
    batch: &mut OwnedWriteBatch,
    store: &Store,
    table: &EventTable,
    changes: &EncodedChanges,
    net: &[NetChange],
    now: i64,
) -> Result<FeedEnds> {
    let mut ends = table.ends.borrow().clone();
    let mut blocks: [Option<BlockWriter>; FEED_RANGES] = Default::default();
    let put = |batch: &mut OwnedWriteBatch, range: usize, last: u64, block: BlockWriter| {
        batch.insert(&store.feed, feed_block::key(table.keyed.id, range as u32, last), block.finish());
    };
    for change in net {
        let range = range_of(changes.head(change.index));
        let block = blocks[range].get_or_insert_with(|| BlockWriter::new(now, ends.last[range] + 1));
        block.push(change.kind, changes.row(change.index))?;
        ends.last[range] += 1;
        if block.is_full()
            && let Some(full) = blocks[range].take()
        {
            put(batch, range, ends.last[range], full);
        }
    }
    for (range, block) in blocks.into_iter().enumerate() {
        if let Some(block) = block {
            put(batch, range, ends.last[range], block);
        }
    }
    Ok(ends)
}

#[async_trait]
impl EpochSink for EmbeddedEventStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (store, table, flow) = (self.store.clone(), self.tables.get(table)?, flow.clone());
        blocking(move || epochs::begin(&store, &table.keyed, &flow, attempt)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let (store, clock, table) = (self.store.clone(), self.clock.clone(), self.tables.get(&write.table)?);
        blocking(move || commit(&store, clock.as_ref(), &table, &write)).await
    }
}

#[async_trait]
impl EventStore for EmbeddedEventStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        let (tables, spec) = (self.tables.clone(), spec.clone());
        blocking(move || tables.ensure(&spec)).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        let table = self.tables.get(table)?;
        let plan = partition_read::Plan::new(&table.keyed, query)?;
        let (store, now) = (self.store.clone(), self.clock.now());
        blocking(move || partition_read::read(&store, &table.keyed, &plan, now)).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        // The tables first: one that is made between the two is not in the view, one that is dropped still is.
        let tables = self.tables.by_name()?;
        let snapshot = self.store.snapshot();
        Ok(Arc::new(EmbeddedSnapshot::new(self.store.clone(), self.clock.clone(), snapshot, tables)))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let (store, tables, name) = (self.store.clone(), self.tables.clone(), table.to_owned());
        blocking(move || match tables.remove(&name, EventTable::close)? {
            Some(_) => sweep(&store),
            None => Ok(()),
        })
        .await
    }
}

impl FeedEnds {
    /// Where the feed of table number `table` ends: the last number of each range's last block, or where pruning has left it.
    fn recover(store: &Store, table: u32) -> Result<Self> {
        let snapshot = store.snapshot();
        let mut ends = Self::default();
        for range in 0..FEED_RANGES {
            let floor = super::change_feed::read_floor(store, &snapshot, table, range)?;
            let prefix = &feed_block::key(table, range as u32, 0)[..8];
            let last = snapshot.prefix(&store.feed, prefix).next_back();
            let last = last.map(|e| e.key()).transpose().during("reading the end of a change feed")?;
            ends.floor[range] = floor;
            ends.last[range] = last.map_or(Ok(floor), |key| feed_block::last_of(&key))?;
        }
        Ok(ends)
    }
}
