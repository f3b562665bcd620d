//! How a suite gets at a port: it opens one on data that belongs to the case, drops it, and opens it again on the same data.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use millstream_core::Result;

use crate::clock::ManualClock;

/// What a backend can be asked in a test. Everything, unless an adapter's test says otherwise; a case that needs more is skipped, visibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// It takes its time from [`Harness::clock`], so that a test can let rows expire.
    pub settable_clock: bool,
    /// Opening it again finds the data of before (a system in memory can't).
    pub keeps_data: bool,
    /// Its snapshots are one moment of all tables (those of Cassandra are not).
    pub consistent_snapshots: bool,
    /// A commit of several partitions becomes visible at once (Cassandra's does not).
    pub atomic_epochs: bool,
    /// Its text can hold a NUL character (PostgreSQL's can't).
    pub nul_in_text: bool,
    /// Of two writes of a key with equal versions, in different epochs, the later one stands (Cassandra resolves them by itself).
    pub orders_equal_versions: bool,
    /// A commit knows how many rows stand differently (Cassandra would have to read them first).
    pub counts_changes: bool,
    /// A partition key of one column may be empty (Cassandra's may not).
    pub empty_partition_keys: bool,
}

impl Abilities {
    /// All of them: what the built-in adapters and the toys have.
    pub const ALL: Self = Self {
        settable_clock: true,
        keeps_data: true,
        consistent_snapshots: true,
        atomic_epochs: true,
        nul_in_text: true,
        orders_equal_versions: true,
        counts_changes: true,
        empty_partition_keys: true,
    };
}

/// One place where a port keeps its data, and how to open the port on it. A suite makes one for each case.
#[async_trait]
pub trait Harness<P: Send + 'static>: Send + Sync {
    /// Opens the port on this harness's data: empty at first. The suite drops a port before it opens the next.
    async fn open(&self) -> Result<P>;

    /// The clock that the port was given.
    fn clock(&self) -> &ManualClock;

    /// What the backend can be asked.
    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    /// Ends `port` as the death of its process would, and opens one on the same data.
    async fn reopen(&self, port: P) -> Result<P> {
        drop(port);
        self.open().await
    }
}

type Open<D, P> = Box<dyn Fn(Arc<D>, Arc<ManualClock>) -> BoxFuture<'static, Result<P>> + Send + Sync>;

/// A [`Harness`] from a place for data (a temporary folder, a keyspace) and a function that opens the port on it.
pub struct OnData<D, P> {
    data: Arc<D>,
    clock: Arc<ManualClock>,
    abilities: Abilities,
    open: Open<D, P>,
}

impl<D, P> OnData<D, P> {
    /// A port that `open` opens on `data`, with a clock at [`ManualClock::START`].
    pub fn new<F, Fut>(data: D, open: F) -> Self
    where
        F: Fn(Arc<D>, Arc<ManualClock>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P>> + Send + 'static,
    {
        Self {
            data: Arc::new(data),
            clock: Arc::new(ManualClock::default()),
            abilities: Abilities::ALL,
            open: Box::new(move |data, clock| Box::pin(open(data, clock))),
        }
    }

    /// The same for a backend that can be asked less.
    #[must_use]
    pub fn with_abilities(mut self, abilities: Abilities) -> Self {
        self.abilities = abilities;
        self
    }
}

#[async_trait]
impl<D: Send + Sync, P: Send + 'static> Harness<P> for OnData<D, P> {
    async fn open(&self) -> Result<P> {
        (self.open)(self.data.clone(), self.clock.clone()).await
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn abilities(&self) -> Abilities {
        self.abilities
    }
}
