//! [`RedisCriticalStore`]: tables of critical events in Redis.
//!
//! **What a reader can see.** On a single server an epoch of up to `rows_a_call` rows appears at once with its number; a longer one call by
//! call. On a cluster each call writes rows of one slot. So [`isolation`](EpochSink::isolation) is [`Row`](Isolation::Row): a crash in the middle
//! leaves rows of an epoch that isn't committed, and the next attempt writes the same rows, or newer versions of them.
//!
//! **Fencing.** On a single server every call checks the attempt. On a cluster the attempt is checked before and after the rows, which lie on
//! other servers: a zombie's rows can still arrive between the two, and lose against newer versions, or are those that its successor writes.
//!
//! **Loss.** A server without AOF comes back empty. [`begin`](EpochSink::begin) then gives 0, and the flow builds its table again from the
//! beginning of its source. A flow that runs meanwhile hears of it at its next commit, which leaves a gap
//! ([`InvalidInput`](millstream_core::ErrorKind::InvalidInput)), begins again, and does the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Clock, CriticalRow, CriticalStore, EpochSink, EpochWrite, Isolation};
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, TableSpec, Value};
use serde::{Deserialize, Serialize};

use super::changes::{Changes, Table, fill};
use super::front::{ChangedWhenDone, Front};
use super::key::KeyNames;
use super::link::{Connection, Link};
use super::probe;
use super::row::FORMAT;
use super::scan;
use super::script::{self, Scripts};
use super::settings::{RedisSettings, RowFormat};

/// Critical events in Redis.
pub struct RedisCriticalStore {
    settings: Arc<RedisSettings>,
    link: Arc<Link>,
    scripts: Scripts,
    clock: Arc<dyn Clock>,
    front: Option<Arc<Front>>,
    tables: RwLock<HashMap<String, Arc<Table>>>,
    /// Whether the log has been told what the server may lose.
    looked_at: AtomicBool,
}

/// What stands under a table's spec key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    format: u32,
    rows: RowFormat,
    shape: String,
}

/// What the script of an epoch answers: a word, a number that explains it, how many rows stand differently.
type Answer = (String, String, u64);

impl RedisCriticalStore {
    /// The store that `settings` describe. Nothing is connected before it is used.
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput) for settings that [`RedisSettings::validate`] refuses.
    pub fn new(settings: RedisSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        settings.validate()?;
        let front = (!settings.cluster && settings.front_bytes > 0).then(|| {
            let age_max = std::time::Duration::from_millis(settings.front_age_ms_max);
            Arc::new(Front::new(settings.front_bytes, age_max, clock.clone()))
        });
        let settings = Arc::new(settings);
        let link = Arc::new(Link::new(settings.clone(), front.clone()));
        let (scripts, tables) = (Scripts::default(), RwLock::default());
        Ok(Arc::new(Self { settings, link, scripts, clock, front, tables, looked_at: AtomicBool::new(false) }))
    }

    fn table(&self, name: &str) -> Result<Arc<Table>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(name).cloned().ok_or_else(|| Error::not_found(format!("critical events table {name} does not exist in Redis")))
    }

    /// Notes what a table is, where that isn't noted yet, and returns what is noted.
    async fn note(&self, spec: &TableSpec, names: &KeyNames) -> Result<Stored> {
        let stored = Stored { format: FORMAT, rows: self.settings.format, shape: spec.fingerprint() };
        let (key, text) = (names.spec(), serde_json::to_string(&stored)?);
        let put = async |mut connection: Connection| {
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(&text).arg("NX");
            set.query_async::<()>(&mut connection).await?;
            redis::cmd("GET").arg(&key).query_async::<Option<String>>(&mut connection).await
        };
        let present = self.link.with(&format!("making table {} known", spec.name), put).await?;
        match present {
            Some(text) => serde_json::from_str(&text)
                .map_err(|e| Error::corrupt(format!("the description of table {} in Redis can't be read", spec.name)).caused_by(e)),
            // It went between the two calls: somebody drops the table, or the server forgets.
            None => Err(Error::unavailable(format!("table {} vanished from Redis while it was made known", spec.name))),
        }
    }

    async fn warn_once(&self) {
        if self.looked_at.swap(true, Ordering::SeqCst) {
            return;
        }
        match probe::about(&self.link).await {
            Ok(about) => about.risks().iter().for_each(|risk| tracing::warn!(servers = self.link.servers(), "redis: {risk}")),
            Err(error) => tracing::warn!(%error, "redis does not say what it may lose"),
        }
    }

    /// One call of the epoch's script, with the changes at `numbers`.
    async fn epoch_call(
        &self,
        write: &EpochWrite,
        table: &Table,
        changes: &Changes<'_>,
        numbers: &[usize],
        commit: bool,
    ) -> Result<Answer> {
        let epochs = table.keys.epochs();
        let keys: Vec<&[u8]> = std::iter::once(epochs.as_slice()).chain(changes.keys_of(numbers)).collect();
        let mut call = script::call(&self.scripts.epoch, keys.into_iter());
        call.arg(self.settings.format.as_str()).arg(write.flow.as_str()).arg(write.attempt.0).arg(write.epoch.0).arg(i32::from(commit));
        changes.put(numbers, &mut call)?;
        let run = async |mut connection: Connection| script::run::<Answer>(&self.scripts.epoch, &call, &mut connection).await;
        self.link.with(&format!("writing epoch {} of table {}", write.epoch, write.table), run).await
    }

    /// One call that puts the changes at `numbers` by version; an equal version is put again if `again`.
    async fn put_call(&self, table: &Table, changes: &Changes<'_>, numbers: &[usize], again: bool) -> Result<u64> {
        let mut call = script::call(&self.scripts.put, changes.keys_of(numbers));
        call.arg(self.settings.format.as_str()).arg(i32::from(again));
        changes.put(numbers, &mut call)?;
        let run = async |mut connection: Connection| script::run::<u64>(&self.scripts.put, &call, &mut connection).await;
        self.link.with(&format!("putting rows of table {}", table.spec.name), run).await
    }

    async fn evict_call(&self, table: &Table, keys: &[Vec<u8>]) -> Result<u64> {
        let mut call = script::call(&self.scripts.evict, keys.iter().map(Vec::as_slice));
        call.arg(self.settings.format.as_str());
        let run = async |mut connection: Connection| script::run::<u64>(&self.scripts.evict, &call, &mut connection).await;
        self.link.with(&format!("evicting table {}", table.spec.name), run).await
    }

    async fn unlink(&self, table: &str, keys: Vec<Vec<u8>>) -> Result<u64> {
        let mut call = redis::cmd("UNLINK");
        call.arg(keys);
        let run = async |mut connection: Connection| call.query_async::<u64>(&mut connection).await;
        self.link.with(&format!("dropping table {table}"), run).await
    }

    async fn write(&self, write: &EpochWrite, table: &Table, changes: &Changes<'_>) -> Result<u64> {
        let in_flight = self.settings.calls_in_flight;
        if self.settings.cluster {
            let mut changed = 0;
            if !changes.is_empty() {
                let Some(_) = admitted(write, self.epoch_call(write, table, changes, &[], false).await?)? else { return Ok(0) };
                // Owned numbers: a stream of borrowed ones isn't `Send` enough for an object-safe port.
                let calls = futures::stream::iter(changes.calls_by_slot(self.settings.rows_a_call));
                let puts = calls.map(async |numbers: Vec<usize>| self.put_call(table, changes, &numbers, true).await);
                changed = puts.buffer_unordered(in_flight).try_fold(0, async |sum, n| Ok::<_, Error>(sum + n)).await?;
            }
            let sealed = admitted(write, self.epoch_call(write, table, changes, &[], true).await?)?;
            return Ok(sealed.map_or(0, |_| changed));
        }
        let mut calls = changes.calls(self.settings.rows_a_call);
        let last = calls.pop().unwrap_or_default();
        let puts =
            futures::stream::iter(calls).map(async |numbers: Vec<usize>| self.epoch_call(write, table, changes, &numbers, false).await);
        let each = puts.buffer_unordered(in_flight).map(|answer| admitted(write, answer?));
        let changed: Option<u64> =
            each.try_fold(Some(0), async |sum: Option<u64>, n| Ok::<_, Error>(sum.zip(n).map(|(sum, n)| sum + n))).await?;
        let Some(changed) = changed else { return Ok(0) };
        let sealed = admitted(write, self.epoch_call(write, table, changes, &last, true).await?)?;
        Ok(sealed.map_or(0, |last| changed + last))
    }
}

/// How many rows a call changed; `None`: the epoch is committed already.
fn admitted(write: &EpochWrite, (word, number, changed): Answer) -> Result<Option<u64>> {
    let EpochWrite { flow, attempt, epoch, table, .. } = write;
    match word.as_str() {
        "written" => Ok(Some(changed)),
        "done" => Ok(None),
        "fenced" => Err(Error::fenced(format!("table {table} in Redis: attempt {attempt} of flow {flow} is fenced by attempt {number}"))),
        "gap" => Err(Error::invalid(format!("table {table} in Redis: epoch {epoch} of flow {flow} leaves a gap after {number}"))),
        "lost" => Err(Error::invalid(format!(
            "table {table}: Redis no longer has what flow {flow} committed (a restart without AOF, FLUSHALL or an eviction): begin again"
        ))),
        other => Err(Error::internal(format!("the script of an epoch answered {other:?}"))),
    }
}

#[async_trait]
impl EpochSink for RedisCriticalStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let table = self.table(table)?;
        // A server that forgot everything forgot this too.
        self.note(&table.spec, &table.keys).await?;
        let epochs = table.keys.epochs();
        let mut call = script::call(&self.scripts.begin, std::iter::once(epochs.as_slice()));
        call.arg(flow.as_str()).arg(attempt.0);
        let run = async |mut connection: Connection| script::run::<u64>(&self.scripts.begin, &call, &mut connection).await;
        self.link.with(&format!("beginning attempt {attempt} of flow {flow}"), run).await.map(Epoch)
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let table = self.table(&write.table)?;
        let changes = Changes::fold(&table, &write.changes, self.clock.now())?;
        let _changed = ChangedWhenDone::new(self.front.as_deref(), changes.keys());
        self.write(&write, &table, &changes).await
    }

    fn isolation(&self) -> Isolation {
        Isolation::Row
    }
}

#[async_trait]
impl CriticalStore for RedisCriticalStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        let table = Table::new(&self.settings, spec)?;
        let stored = self.note(spec, &table.keys).await?;
        if stored.format != FORMAT {
            return Err(Error::unsupported(format!(
                "table {} in Redis has format {}; this build reads format {FORMAT}",
                spec.name, stored.format
            )));
        }
        if stored.shape != spec.fingerprint() {
            return Err(Error::already_exists(format!(
                "table {} exists in Redis as {}, not as {}",
                spec.name,
                stored.shape,
                spec.fingerprint()
            )));
        }
        if stored.rows != self.settings.format {
            return Err(Error::already_exists(format!(
                "table {} exists in Redis with rows as {}, and redis.format is {}: put the setting back, or run `millstream reset {}`",
                spec.name,
                stored.rows.as_str(),
                self.settings.format.as_str(),
                spec.name
            )));
        }
        self.tables.write().unwrap_or_else(PoisonError::into_inner).insert(spec.name.clone(), Arc::new(table));
        self.warn_once().await;
        Ok(())
    }

    async fn get(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        let table = self.table(table)?;
        let key = table.keys.of_values(key)?;
        let now = self.clock.now();
        if let Some(row) = self.front.as_ref().and_then(|front| front.get(&key)) {
            return Ok(Some(row).filter(|row| row.expires.is_none_or(|at| at > now)));
        }
        let count = self.front.as_ref().map(|front| front.count(&key));
        let call = table.rows.read(&key, None);
        let read = async |mut connection: Connection| call.query_async::<redis::Value>(&mut connection).await;
        let reply = self.link.with(&format!("reading a row of table {}", table.spec.name), read).await?;
        let mut reader = table.rows.reader(None)?;
        let Some(version) = reader.push(&reply, |version| !table.is_expired(version, now))? else { return Ok(None) };
        let row = CriticalRow { row: reader.finish()?, version, expires: table.expires(version) };
        if let (Some(front), Some(count)) = (&self.front, count) {
            front.keep(key, count, row.clone());
        }
        Ok(Some(row))
    }

    async fn fill(&self, table: &str, row: &CriticalRow) -> Result<()> {
        let table = self.table(table)?;
        let batches = fill(&table, row)?;
        let changes = Changes::fold(&table, &batches, self.clock.now())?;
        if changes.is_empty() {
            return Ok(());
        }
        let _changed = ChangedWhenDone::new(self.front.as_deref(), changes.keys());
        self.put_call(&table, &changes, &[0], false).await.map(drop)
    }

    async fn scan(&self, table: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        scan::rows(self.link.clone(), self.settings.clone(), self.clock.clone(), self.table(table)?, columns).await
    }

    async fn evict_all(&self, table: &str) -> Result<()> {
        let table = self.table(table)?;
        let mut pages = std::pin::pin!(scan::key_pages(self.link.clone(), table.keys.pattern()));
        while let Some(keys) = pages.try_next().await? {
            // On a cluster a call may name the keys of one slot only.
            let size = if self.settings.cluster { 1 } else { keys.len().max(1) };
            let chunks: Vec<Vec<Vec<u8>>> = keys.chunks(size).map(<[Vec<u8>]>::to_vec).collect();
            let calls = futures::stream::iter(chunks).map(async |chunk: Vec<Vec<u8>>| self.evict_call(&table, &chunk).await);
            calls.buffer_unordered(self.settings.calls_in_flight).try_collect::<Vec<_>>().await?;
        }
        if let Some(front) = &self.front {
            front.changed_all();
        }
        Ok(())
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).remove(table);
        let names = KeyNames::of_table(&self.settings.key_prefix, table);
        // The epochs first: should this end early, the flows build the table again instead of going on in what is left of it.
        self.unlink(table, vec![names.epochs()]).await?;
        let mut pages = std::pin::pin!(scan::key_pages(self.link.clone(), names.pattern()));
        while let Some(keys) = pages.try_next().await? {
            if !keys.is_empty() {
                self.unlink(table, keys).await?;
            }
        }
        self.unlink(table, vec![names.spec()]).await?;
        if let Some(front) = &self.front {
            front.changed_all();
        }
        Ok(())
    }
}
