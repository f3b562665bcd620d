//! [`CassandraFeed`]: the change feed of box 4. Cosmos DB keeps one, which [`native`] reads. Ordinary Cassandra has none: there it is a log
//! of changes beside the table.
//!
//! Two tables belong to a table with a feed. `<table>_changes` is the log: blocks of changes by time and shard, with a TTL.
//! `<table>_deletes` remembers the versions of deletes, for Cassandra doesn't tell them and a write that comes later may be older than one.
//!
//! **A commit** of such a table is decided, applied, published:
//!
//! 1. How far the flow and the log have come is read, as of one moment; what each row was is read, and with it what each change does to
//!    it. The changes go into the log under a commit number that is greater than all before it (the time, in microseconds), with writer,
//!    attempt and epoch. Nobody sees them. Deletes of rows that aren't there go with them: they change nothing that anybody sees, but
//!    they hide older writes that come later, and so they have to take effect with the commit too.
//! 2. One conditional write *decides* the commit: it holds only while the writer's attempt is the last that began, its epoch is the next,
//!    what was decided before is published, and no other commit was decided in between.
//! 3. The rows are written to the table, and a marker into each shard of the log.
//! 4. A second conditional write *publishes* the commit and the flow's epoch together. Only now does the feed show it.
//!
//! After a crash before 2 the log holds entries without a marker, which readers pass over, and the table is as it was, so that the next
//! attempt sees each row as it was before the epoch. After a crash between 2 and 4 whoever comes next (the flow when it begins, or another
//! flow when it commits) reads the decided changes from the log, writes them again with the same versions, and publishes: the commit is
//! neither lost nor done twice.
//!
//! Several flows may write one table, each with epochs of its own; their commits stand in the log one after the other, in the order in which
//! they were decided. Everything here is read and written with a majority of the replicas at least.
//!
//! A position is `1.<log's id>.<shard>.<commit>.<attempt>.<sequence>.<writer>`. Sequences are dense within a shard: so what waits behind a
//! position is a subtraction, and a change that expired before it was read is noticed, never passed over.

mod block;
mod commit;
mod head;
mod kinds;
mod log;
mod native;
mod position;
mod prior;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use millstream_core::ports::{ChangeFeed, FeedPage, FeedPosition};
use millstream_core::retry::Backoff;
use millstream_core::{Error, Result};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use super::client::Client;
use super::compare::OwnColumn;
use super::event_store::CassandraStore;
use super::names::{self, constant, quoted};
use super::schema;
use super::table::{Table, qualified};

pub(super) use commit::{commit, finish};

/// What the comment of a log begins with; its shards and the length of its buckets follow.
const COMMENT: &str = "millstream changes 1: ";
/// How long the version of a delete is remembered: as long as Cassandra remembers the delete itself (its default `gc_grace_seconds`).
const DELETES_TTL_S: i32 = 10 * 24 * 3_600;
/// How often a reader that waits looks at what other processes have published.
const POLLING: Backoff = Backoff { first: Duration::from_millis(20), max: Duration::from_millis(500) };

/// The change log of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedTable {
    /// Differs from that of every other log, also from an earlier one of the same table.
    pub id: String,
    /// The log, quoted, with its keyspace.
    pub log: String,
    /// The table of deletes, likewise.
    pub deletes: String,
    pub shards: u32,
    /// How much time is in one bucket, in microseconds.
    pub bucket_micros: i64,
    pub ttl_s: i32,
}

pub(super) fn log_name(table: &str) -> String {
    format!("{table}_changes")
}

pub(super) fn deletes_name(table: &str) -> String {
    format!("{table}_deletes")
}

impl FeedTable {
    /// The bucket of the commit `number`.
    pub fn bucket(&self, number: i64) -> i64 {
        number.div_euclid(self.bucket_micros)
    }

    /// The shard of a partition key, for ever.
    pub fn shard(&self, partition: &[u8]) -> usize {
        let hash = super::read::fnv(super::read::FNV_START, partition);
        usize::try_from(hash % u64::from(self.shards)).unwrap_or(0)
    }
}

/// The log of `table`; `None` where the service keeps a feed itself. Made where it is `wanted` and absent. A log that exists is written as
/// long as it does: were it left out for a while, its readers would miss changes and not know it.
pub(super) async fn ensure(client: &Client, table: &Table, wanted: bool) -> Result<Option<FeedTable>> {
    if client.settings.is_cosmos_db() {
        return Ok(None);
    }
    let (name, settings) = (log_name(&table.spec.name), &client.settings);
    let mut present = schema::look(client, &name).await?;
    if present.is_none() && !wanted {
        return Ok(None);
    }
    names::check("change log", &name)?;
    names::check("deletes of a table with a change log", &deletes_name(&table.spec.name))?;
    let (log, deletes) = (qualified(settings, &name), qualified(settings, &deletes_name(&table.spec.name)));
    if present.is_none() {
        client.change_schema(&create_deletes(table, &deletes)).await?;
        let comment = format!("{COMMENT}shards {}, bucket {} s", settings.feed_shards, settings.feed_bucket_s);
        client.change_schema(&create_log(&log, &comment, settings.feed_bucket_s)).await?;
        client.forget_statements();
        present = schema::look(client, &name).await?;
    }
    let present = present.ok_or_else(|| Error::unavailable(format!("table {name} was created and is gone")))?;
    let (shards, bucket_s) = parse_comment(&present.comment).ok_or_else(|| {
        Error::already_exists(format!("table {name} exists and is no change log of Millstream's: {:?}; rename it", present.comment))
    })?;
    schema::check_own(client, &name, &present, &log_columns())?;
    Ok(Some(FeedTable {
        id: present.id,
        log,
        deletes,
        shards,
        bucket_micros: i64::try_from(bucket_s).unwrap_or(i64::MAX / 2_000_000) * 1_000_000,
        ttl_s: i32::try_from(settings.feed_ttl_s).unwrap_or(i32::MAX),
    }))
}

fn parse_comment(comment: &str) -> Option<(u32, u64)> {
    let (shards, bucket) = comment.strip_prefix(COMMENT)?.strip_prefix("shards ")?.split_once(", bucket ")?;
    Some((shards.parse().ok().filter(|s| *s > 0)?, bucket.strip_suffix(" s")?.parse().ok().filter(|b| *b > 0)?))
}

fn log_columns() -> Vec<OwnColumn> {
    let columns = [
        ("bucket", "bigint", "partition_key"),
        ("shard", "int", "partition_key"),
        ("commit", "bigint", "clustering"),
        ("writer", "text", "clustering"),
        ("attempt", "bigint", "clustering"),
        ("sequence", "bigint", "clustering"),
        ("epoch", "bigint", "regular"),
        ("changes", "blob", "regular"),
    ];
    columns.into_iter().map(|(name, cql, kind)| (name.to_owned(), cql.to_owned(), kind)).collect()
}

fn create_log(name: &str, comment: &str, bucket_s: u64) -> String {
    // Blocks expire by time and are never changed: whole files can go.
    let window_minutes = (bucket_s / 60).clamp(1, 1_440);
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (bucket bigint, shard int, commit bigint, writer text, attempt bigint, sequence bigint, \
         epoch bigint, changes blob, PRIMARY KEY ((bucket, shard), commit, writer, attempt, sequence)) \
         WITH comment = {} AND compaction = {{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'MINUTES', \
         'compaction_window_size': {window_minutes}}}",
        constant(comment)
    )
}

fn create_deletes(table: &Table, name: &str) -> String {
    let columns: Vec<_> = table.key_columns().map(|c| format!("{} {}", quoted(&c.name), c.cql.name())).collect();
    let partition: Vec<_> = table.partition_columns().map(|c| quoted(&c.name)).collect();
    let clustering: String = table.clustering_columns().map(|c| format!(", {}", quoted(&c.name))).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {name} ({}, \"_deleted\" bigint, PRIMARY KEY (({}){clustering})) \
         WITH comment = 'millstream deletes 1: the versions of deletes'",
        columns.join(", "),
        partition.join(", ")
    )
}

/// What this process knows of its tables' feeds.
#[derive(Default)]
pub(super) struct Feeds(Mutex<HashMap<String, Arc<Feed>>>);

/// The commits of one table.
pub(super) struct Feed {
    /// One commit at a time; holds the last commit number that was used here.
    turn: Arc<AsyncMutex<i64>>,
    /// The last commit that this process published; what waits in it wakes at once.
    published: watch::Sender<i64>,
}

/// The right to commit to a table with a feed.
pub(super) struct Turn {
    last: Option<OwnedMutexGuard<i64>>,
    feed: Arc<Feed>,
}

impl Feeds {
    fn of(&self, table: &str) -> Arc<Feed> {
        let new = || Arc::new(Feed { turn: Arc::default(), published: watch::Sender::new(0) });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(table.to_owned()).or_insert_with(new).clone()
    }

    /// Waits for the turn of a table's next commit. A table without a feed has no turns: its flows don't wait for each other.
    pub async fn turn(&self, table: &Table) -> Turn {
        let feed = self.of(&table.spec.name);
        let last = if table.feed.is_some() { Some(feed.turn.clone().lock_owned().await) } else { None };
        Turn { last, feed }
    }

    pub fn forget(&self, table: &str) {
        let feed = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(table);
        if let Some(feed) = feed {
            feed.published.send_replace(i64::MAX);
        }
    }
}

/// Where the changes of a table are read from.
enum Source {
    Log(FeedTable),
    /// The feed that Cosmos DB keeps.
    Native,
}

/// The change feed of a [`CassandraStore`]'s tables.
pub struct CassandraFeed {
    store: Arc<CassandraStore>,
}

impl CassandraFeed {
    /// The feed of the tables of `store`.
    #[must_use]
    pub fn new(store: Arc<CassandraStore>) -> Arc<Self> {
        Arc::new(Self { store })
    }

    fn table(&self, name: &str) -> Result<(Arc<Table>, Source)> {
        let table = self.store.table(name)?;
        match table.feed.clone() {
            _ if self.store.client.settings.is_cosmos_db() => Ok((table, Source::Native)),
            Some(feed) => Ok((table, Source::Log(feed))),
            None => Err(Error::unsupported(format!(
                "table {name} has no change log in Cassandra: only tables that the pipeline reads as a STREAM have one, and tables of \
                 other services never do"
            ))),
        }
    }
}

#[async_trait]
impl ChangeFeed for CassandraFeed {
    async fn ranges(&self, table: &str) -> Result<i32> {
        match self.table(table)? {
            (_, Source::Log(feed)) => Ok(i32::try_from(feed.shards).unwrap_or(i32::MAX)),
            (_, Source::Native) => Ok(1),
        }
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        let client = &self.store.client;
        match self.table(table)? {
            (table, Source::Log(feed)) => log::read(client, &table, &feed, range, after, limit).await,
            (table, Source::Native) => native::read(client, &table, range, after, limit).await,
        }
    }

    async fn wait(&self, name: &str, seen: &[FeedPosition]) -> Result<()> {
        let (table, source) = self.table(name)?;
        let client = &self.store.client;
        for looks in 1.. {
            self.store.table(name)?;
            let mut published = self.store.feeds.of(name).published.subscribe();
            let (has_more, polling) = match &source {
                Source::Log(feed) => (log::has_more(client, &table, feed, seen).await?, POLLING),
                Source::Native => (native::has_more(client, &table, seen).await?, native::POLLING),
            };
            if has_more {
                break;
            }
            futures::future::select(Box::pin(published.changed()), client.clock.sleep(polling.delay(looks))).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
