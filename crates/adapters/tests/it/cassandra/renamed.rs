//! A store whose tables have a suffix in Cassandra, so that cases which make a table `t` don't meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use millstream_adapters::cassandra::{CassandraFeed, CassandraStore};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{
    ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPage, FeedPosition, Isolation, Page, PartitionQuery, Scan, StoreSnapshot,
};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec};

pub struct Renamed {
    pub store: Arc<CassandraStore>,
    pub feed: Arc<CassandraFeed>,
    pub suffix: String,
}

struct RenamedSnapshot {
    inner: Arc<dyn StoreSnapshot>,
    suffix: String,
}

impl Renamed {
    fn name(&self, table: &str) -> String {
        format!("{table}{}", self.suffix)
    }

    fn spec(&self, spec: &TableSpec) -> TableSpec {
        TableSpec { name: self.name(&spec.name), ..spec.clone() }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EpochSink for Renamed {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.store.begin(flow, attempt, &self.name(table)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.store.commit(EpochWrite { table: self.name(&write.table), ..write }).await
    }

    fn isolation(&self) -> Isolation {
        self.store.isolation()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Renamed {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.store.ensure_table(&self.spec(spec)).await
    }

    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        self.store.bind_table(&self.spec(spec)).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.store.read_partition(&self.name(table), query).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        Ok(Arc::new(RenamedSnapshot { inner: self.store.snapshot().await?, suffix: self.suffix.clone() }))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.store.drop_table(&self.name(table)).await
    }
}

#[async_trait]
impl StoreSnapshot for RenamedSnapshot {
    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>> {
        self.inner.epochs(&format!("{table}{}", self.suffix)).await
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        self.inner.scan(&format!("{table}{}", self.suffix), scan).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChangeFeed for Renamed {
    async fn ranges(&self, table: &str) -> Result<i32> {
        self.feed.ranges(&self.name(table)).await
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        self.feed.read(&self.name(table), range, after, limit).await
    }

    async fn wait(&self, table: &str, seen: &[FeedPosition]) -> Result<()> {
        self.feed.wait(&self.name(table), seen).await
    }
}
