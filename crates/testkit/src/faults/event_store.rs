//! [`EpochSink`], [`EventStore`] and [`ChangeFeed`] with faults.

use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::ports::{
    ChangeFeed, EpochSink, EpochWrite, EventStore, FeedPage, FeedPosition, Isolation, Page, PartitionQuery, StoreSnapshot,
};
use millstream_core::{Attempt, Epoch, FlowId, Result, TableSpec};

use super::{Call, Faults};

/// A sink that fails as its plan says.
pub struct FaultyEpochSink {
    inner: Arc<dyn EpochSink>,
    faults: Arc<Faults>,
}

impl FaultyEpochSink {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn EpochSink>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EpochSink for FaultyEpochSink {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.faults.around(Call::Begin, || self.inner.begin(flow, attempt, table)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.faults.around(Call::Commit, || self.inner.commit(write)).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

/// An event store that fails as its plan says. Its snapshots don't.
pub struct FaultyEventStore {
    inner: Arc<dyn EventStore>,
    faults: Arc<Faults>,
}

impl FaultyEventStore {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EpochSink for FaultyEventStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.faults.around(Call::Begin, || self.inner.begin(flow, attempt, table)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.faults.around(Call::Commit, || self.inner.commit(write)).await
    }

    fn isolation(&self) -> Isolation {
        self.inner.isolation()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for FaultyEventStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        self.faults.around(Call::EnsureTable, || self.inner.ensure_table(spec)).await
    }

    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        self.faults.around(Call::BindTable, || self.inner.bind_table(spec)).await
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        self.faults.around(Call::ReadPartition, || self.inner.read_partition(table, query)).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        self.faults.around(Call::Snapshot, || self.inner.snapshot()).await
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.faults.around(Call::DropTable, || self.inner.drop_table(table)).await
    }
}

/// A change feed that fails as its plan says.
pub struct FaultyChangeFeed {
    inner: Arc<dyn ChangeFeed>,
    faults: Arc<Faults>,
}

impl FaultyChangeFeed {
    /// `inner` with `faults`.
    #[must_use]
    pub fn new(inner: Arc<dyn ChangeFeed>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ChangeFeed for FaultyChangeFeed {
    async fn ranges(&self, table: &str) -> Result<i32> {
        self.faults.around(Call::FeedRanges, || self.inner.ranges(table)).await
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        self.faults.around(Call::FeedRead, || self.inner.read(table, range, after, limit)).await
    }

    async fn wait(&self, table: &str, seen: &[FeedPosition]) -> Result<()> {
        self.faults.around(Call::FeedWait, || self.inner.wait(table, seen)).await
    }
}
