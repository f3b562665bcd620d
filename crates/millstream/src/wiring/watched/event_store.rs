//! The event store and its feed, and critical events: [`EventStore`], [`ChangeFeed`], [`CriticalStore`].

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{
    ChangeFeed, CriticalRow, CriticalStore, EpochSink, EpochWrite, EventStore, FeedPage, FeedPosition, Isolation, Page, PartitionQuery,
    Scan, StoreSnapshot,
};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec, Value};

use super::Watched;

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for Watched<dyn EventStore> {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.health.observe(self.inner.begin(flow, attempt, table).await)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.health.observe(self.inner.commit(write).await)
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventStore for Watched<dyn EventStore> {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.health.observe(self.inner.ensure_table(spec).await)
    }

    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        self.health.observe(self.inner.bind_table(spec).await)
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.health.observe(self.inner.read_partition(table, query).await)
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        let inner = self.health.observe(self.inner.snapshot().await)?;
        Ok(Self::snapshot_of(inner, self))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.health.observe(self.inner.drop_table(table).await)
    }
}

impl Watched<dyn EventStore> {
    fn snapshot_of(inner: Arc<dyn StoreSnapshot>, store: &Self) -> Arc<dyn StoreSnapshot> {
        Watched::<dyn StoreSnapshot>::new(inner, store.health.clone())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl StoreSnapshot for Watched<dyn StoreSnapshot> {
    fn is_consistent(&self) -> bool {
        self.inner.is_consistent()
    }

    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>> {
        self.health.observe(self.inner.epochs(table).await)
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        self.stream(self.inner.scan(table, scan).await)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ChangeFeed for Watched<dyn ChangeFeed> {
    async fn ranges(&self, table: &str) -> Result<i32> {
        self.health.observe(self.inner.ranges(table).await)
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        self.health.observe(self.inner.read(table, range, after, limit).await)
    }

    async fn wait(&self, table: &str, seen: &[FeedPosition]) -> Result<()> {
        self.health.observe(self.inner.wait(table, seen).await)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EpochSink for Watched<dyn CriticalStore> {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.health.observe(self.inner.begin(flow, attempt, table).await)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.health.observe(self.inner.commit(write).await)
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CriticalStore for Watched<dyn CriticalStore> {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.health.observe(self.inner.ensure_table(spec).await)
    }

    async fn get(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        self.health.observe(self.inner.get(table, key).await)
    }

    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()> {
        self.health.observe(self.inner.fill(table, row).await)
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        self.stream(self.inner.scan(table, columns).await)
    }

    async fn evict_all(&self, table: &str) -> Result<()> {
        self.health.observe(self.inner.evict_all(table).await)
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.health.observe(self.inner.drop_table(table).await)
    }
}
