//! [`CassandraStore`]: the event store of box 3 on Cassandra.
//!
//! A commit writes the rows, each with its version as Cassandra's write timestamp, and then the flow's epoch by a conditional write that
//! holds only for the attempt that began last. Tables whose change feed is read go through [`feed`](super::feed) instead.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use millstream_core::admission::Admission;
use millstream_core::ports::{Clock, EpochSink, EpochWrite, EventStore, Isolation, Page, PartitionQuery, StoreSnapshot};
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, TableSpec};

use super::client::{Client, Use};
use super::feed::Feeds;
use super::progress;
use super::rows::Rows;
use super::scan::CassandraSnapshot;
use super::settings::CassandraSettings;
use super::table::{CassandraTables, Table};
use super::{read, schema, write};

/// The event store on Cassandra.
pub struct CassandraStore {
    pub(super) client: Arc<Client>,
    pub(super) feeds: Feeds,
    plan: CassandraTables,
    tables: RwLock<HashMap<String, Arc<Table>>>,
}

pub(super) fn unknown(table: &str) -> Error {
    Error::not_found(format!("table {table} was not made known to the event store on Cassandra"))
}

impl CassandraStore {
    /// The store as `settings` say, for a pipeline that uses its tables as `plan` says. Connects at the first call, and again at each next
    /// one while the cluster is away.
    pub fn new(settings: CassandraSettings, plan: CassandraTables, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        settings.validate()?;
        Ok(Arc::new(Self::over(Arc::new(Client::new(settings, clock)), plan)))
    }

    /// Opens the session now. [`Unavailable`](millstream_core::ErrorKind::Unavailable) while no node answers.
    pub async fn connect(&self) -> Result<()> {
        self.client.session().await.map(drop)
    }

    /// How many requests Cosmos DB has refused for their rate since the store was made; each was sent again as long as its time allowed.
    #[must_use]
    pub fn refused_requests(&self) -> u64 {
        self.client.refused()
    }

    /// Another store over the same session, that knows no table yet: what a restarted process is, without its connections.
    #[must_use]
    pub fn restarted(&self) -> Arc<Self> {
        Arc::new(Self::over(self.client.clone(), self.plan.clone()))
    }

    fn over(client: Arc<Client>, plan: CassandraTables) -> Self {
        Self { client, feeds: Feeds::default(), plan, tables: RwLock::default() }
    }

    pub(super) fn table(&self, name: &str) -> Result<Arc<Table>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned().ok_or_else(|| unknown(name))
    }

    fn writable(&self, name: &str) -> Result<Arc<Table>> {
        let table = self.table(name)?;
        if table.is_read_only {
            return Err(Error::unsupported(format!("table {name} belongs to another service: Millstream only reads it")));
        }
        Ok(table)
    }

    fn know(&self, table: Table) {
        let name = table.spec.name.clone();
        self.tables.write().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::new(table));
    }
}

#[async_trait]
impl EpochSink for CassandraStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let table = self.writable(table)?;
        let turn = self.feeds.turn(&table).await;
        loop {
            if let Some(epoch) = progress::begin(&self.client, &table, flow, attempt).await? {
                return Ok(epoch);
            }
            super::feed::finish(&self.client, &table, &turn).await?;
        }
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let table = self.writable(&write.table)?;
        let rows = Rows::new(&table, &write.changes)?;
        if table.feed.is_some() {
            return super::feed::commit(&self.client, &self.feeds, &table, &write, &rows).await;
        }
        // Not serial: what it may miss, the conditional write below finds, and rows that are written again are the same.
        let progress = progress::read(&self.client, &table, &write.flow, Use::QuorumRead).await?.unwrap_or_default();
        if progress.admit(&write)? == Admission::Done {
            return Ok(0);
        }
        let winners = rows.winners();
        write::send(&self.client, &table, &rows, &winners, &|_| table.is_insert_only, self.client.clock.now()).await?;
        progress::commit(&self.client, &table, &write).await?;
        // How each row stood before is not known: that would cost a read of each.
        Ok(rows.changes.len() as u64)
    }

    fn isolation(&self) -> Isolation {
        Isolation::Row
    }
}

#[async_trait]
impl EventStore for CassandraStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        if self.table(&spec.name).is_ok_and(|t| !t.is_read_only && t.spec == *spec) {
            return Ok(());
        }
        schema::ensure_keyspace(&self.client).await?;
        progress::ensure(&self.client).await?;
        self.know(schema::ensure(&self.client, &self.plan, spec).await?);
        Ok(())
    }

    async fn bind_table(&self, spec: &TableSpec) -> Result<()> {
        self.know(schema::bind(&self.client, spec).await?);
        Ok(())
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        let table = self.table(table)?;
        let plan = read::Plan::new(&table, query)?;
        read::page(&self.client, &table, &plan, self.client.clock.now()).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Arc::new(CassandraSnapshot::new(self.client.clone(), tables)))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        let known = self.tables.write().unwrap_or_else(PoisonError::into_inner).remove(table);
        if known.is_some_and(|t| t.is_read_only) {
            return Ok(());
        }
        self.feeds.forget(table);
        schema::drop_all(&self.client, table).await
    }
}
