//! [`EventStore`] and [`ChangeFeed`] in memory. A commit copies the tables, changes the copy and puts it in their place: so a snapshot
//! is nothing but the tables of its moment.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{
    Bound, ChangeFeed, Clock, EpochSink, EpochWrite, EventStore, FeedPage, FeedPosition, Page, PageToken, PartitionQuery, Scan,
    StoreSnapshot,
};
use millstream_core::{Attempt, ChangeKind, Epoch, Error, FlowId, Result, RowPosition, TableSpec, Timestamp, Value};

use super::tables::{
    Due, Epochs, Key, check_all_values, check_columns, check_values, expiry, key, key_of, project, project_stream, same_shape,
};
use super::{Defect, Disk};
use crate::changes::{Change, change_batch, changes_of};
use crate::clock::ManualClock;
use crate::rows::{Cell, Row, batch};

const RANGES: i32 = 3;

/// All tables at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    tables: BTreeMap<String, Table>,
    made: u64,
}

#[derive(Clone, Debug)]
struct Table {
    /// Differs from that of every other table, also from an earlier one of the same name.
    id: u64,
    spec: TableSpec,
    rows: BTreeMap<Key, Entry>,
    epochs: Epochs,
    feed: Vec<Vec<Change>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    version: i64,
    /// `None`: deleted.
    row: Option<Row>,
}

/// An event store and its feed in memory.
#[derive(Clone, Debug)]
pub struct ToyEventStore {
    disk: Arc<Disk>,
    clock: Arc<ManualClock>,
}

struct ToySnapshot {
    tables: Arc<Tables>,
    store: ToyEventStore,
}

impl Tables {
    fn table(&self, name: &str) -> Result<&Table> {
        self.tables.get(name).ok_or_else(|| no_table(name))
    }

    fn table_mut(&mut self, name: &str) -> Result<&mut Table> {
        self.tables.get_mut(name).ok_or_else(|| no_table(name))
    }
}

fn no_table(name: &str) -> Error {
    Error::not_found(format!("table {name} does not exist in the toy store"))
}

impl Table {
    /// Applies one change by the rules of versions, and puts what it did into the feed.
    fn apply(&mut self, mut change: Change, disk: &Disk, now: Timestamp) -> Result<()> {
        let key = key_of(&self.spec, &change.row)?;
        let before = self.rows.get(&key).cloned();
        if before.as_ref().is_some_and(|b| b.version > change.version) && !disk.has(Defect::OlderVersionWins) {
            return Ok(());
        }
        let deletes = change.kind == ChangeKind::Delete;
        let after = Entry { version: change.version, row: (!deletes).then(|| change.row.clone()) };
        let stood = before.as_ref().is_some_and(|b| b.row.is_some() && expiry(&self.spec, b.version).is_none_or(|e| e > now));
        let kind = match (stood, deletes) {
            (true, true) => ChangeKind::Delete,
            (true, false) => ChangeKind::Update,
            (false, _) => ChangeKind::Insert,
        };
        let is_change = if deletes { stood } else { before.as_ref() != Some(&after) };
        if deletes && disk.has(Defect::ForgetsDeletes) {
            self.rows.remove(&key);
        } else {
            self.rows.insert(key.clone(), after);
        }
        if is_change || disk.has(Defect::FeedShowsReplays) {
            if !disk.has(Defect::FeedTrustsTheWriter) {
                change.kind = kind;
            }
            self.show(change, &key, disk);
        }
        Ok(())
    }

    fn show(&mut self, mut change: Change, key: &Key, disk: &Disk) {
        if change.kind == ChangeKind::Delete {
            let keys: Vec<usize> = self.spec.key.indices(&self.spec.schema).unwrap_or_default();
            change.row.iter_mut().enumerate().filter(|(i, _)| !keys.contains(i)).for_each(|(_, cell)| *cell = Cell::Null);
        }
        let partition = key.iter().take(self.spec.key.partition.len()).map(super::tables::KeyPart::value).collect::<Vec<_>>();
        let mut hasher = DefaultHasher::new();
        partition.hash(&mut hasher);
        let range = i32::try_from(hasher.finish() % u64::from(RANGES.unsigned_abs())).unwrap_or(0);
        let feed = &mut self.feed[usize::try_from(range).unwrap_or(0)];
        let sequence = |feed: &Vec<Change>| i64::try_from(feed.len()).unwrap_or(i64::MAX);
        change.position = RowPosition { partition: range, offset: sequence(feed) };
        if disk.has(Defect::FeedSkipsChanges) && feed.len() % 5 == 4 && change.kind == ChangeKind::Update {
            return;
        }
        feed.push(change.clone());
        if disk.has(Defect::FeedDoublesChanges) && feed.len() % 5 == 4 {
            change.position.offset = sequence(feed);
            feed.push(change);
        }
    }

    /// The rows that have not expired, with their versions, in key order.
    fn alive<'a>(&'a self, disk: &'a Disk, now: Timestamp) -> impl DoubleEndedIterator<Item = (&'a Key, &'a Row, i64)> {
        let lives = move |version| disk.has(Defect::NeverExpires) || expiry(&self.spec, version).is_none_or(|e| e > now);
        self.rows.iter().filter_map(move |(key, e)| e.row.as_ref().filter(|_| lives(e.version)).map(|row| (key, row, e.version)))
    }

    /// Applies all of `changes`; returns how many rows then stand differently.
    fn apply_all(&mut self, changes: &[Change], disk: &Disk, now: Timestamp) -> Result<u64> {
        let before = self.rows.clone();
        for change in changes {
            self.apply(change.clone(), disk, now)?;
        }
        let row = |rows: &BTreeMap<Key, Entry>, key: &Key| rows.get(key).and_then(|e| e.row.clone());
        let keys: BTreeSet<&Key> = before.keys().chain(self.rows.keys()).collect();
        let differ = keys.into_iter().filter(|k| row(&before, k) != row(&self.rows, k)).count();
        Ok(u64::try_from(differ).unwrap_or(u64::MAX))
    }

    fn clustering(&self) -> Vec<String> {
        self.spec.key.clustering.iter().map(|c| c.name.clone()).collect()
    }
}

impl ToyEventStore {
    /// The store on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>, clock: Arc<ManualClock>) -> Self {
        disk.opening(&disk.store);
        Self { disk, clock }
    }

    fn now_tables(&self) -> Arc<Tables> {
        self.disk.store.lock().clone()
    }

    /// Replaces the tables by a changed copy, unless `change` fails.
    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> Result<T>) -> Result<T> {
        let outcome = {
            let mut tables = self.disk.store.lock();
            let mut copy = Tables::clone(&tables);
            let outcome = change(&mut copy)?;
            *tables = Arc::new(copy);
            outcome
        };
        self.disk.store.ring();
        Ok(outcome)
    }

    /// The changes of a write, all of the table's columns.
    fn changes(&self, write: &EpochWrite) -> Result<Vec<Change>> {
        let tables = self.now_tables();
        let spec = &tables.table(&write.table)?.spec;
        let mut changes = Vec::new();
        for some in &write.changes {
            check_columns(spec, &some.rows().schema())?;
            changes.extend(changes_of(some)?);
        }
        Ok(changes)
    }

    /// A disk with this defect shows what it is about to refuse.
    fn leak(&self, write: &EpochWrite, changes: &[Change]) {
        if self.disk.has(Defect::FeedShowsUncommitted) {
            let _ = self.change(|tables| {
                let table = tables.table_mut(&write.table)?;
                for change in changes {
                    let key = key_of(&table.spec, &change.row)?;
                    table.show(change.clone(), &key, &self.disk);
                }
                Ok(())
            });
        }
    }
}

#[async_trait]
impl EpochSink for ToyEventStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.change(|tables| Ok(tables.table_mut(table)?.epochs.begin(flow, attempt)))
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let changes = self.changes(&write)?;
        let now = self.clock.now();
        if self.disk.has(Defect::ShowsHalfEpochs) {
            let half = &changes[..changes.len() / 2];
            self.change(|tables| tables.table_mut(&write.table)?.apply_all(half, &self.disk, now))?;
            tokio::task::yield_now().await;
        }
        let outcome = self.change(|tables| {
            let table = tables.table_mut(&write.table)?;
            match table.epochs.check(&write, !self.disk.has(Defect::IgnoresFencing), self.disk.has(Defect::AcceptsGaps))? {
                Due::CommittedAlready if !self.disk.has(Defect::AppliesReplays) => Ok(0),
                _ => {
                    table.epochs.commit(&write);
                    table.apply_all(&changes, &self.disk, now)
                }
            }
        });
        if outcome.is_err() {
            self.leak(&write, &changes);
        }
        outcome
    }
}

#[async_trait]
impl EventStore for ToyEventStore {
    async fn ensure_table(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        self.change(|tables| {
            if let Some(present) = tables.tables.get(&spec.name) {
                return same_shape(&present.spec, spec);
            }
            tables.made += 1;
            let mut spec = spec.clone();
            if self.disk.has(Defect::IgnoresDirection) {
                spec.key.clustering.iter_mut().for_each(|c| c.order = millstream_core::SortOrder::Asc);
            }
            let feed = vec![Vec::new(); usize::try_from(RANGES).unwrap_or(1)];
            let table = Table { id: tables.made, spec: spec.clone(), rows: BTreeMap::new(), epochs: Epochs::default(), feed };
            tables.tables.insert(spec.name, table);
            Ok(())
        })
    }

    async fn read_partition(&self, table: &str, query: &PartitionQuery) -> Result<Page> {
        let tables = self.now_tables();
        let table = tables.table(table)?;
        let (spec, clustering) = (&table.spec, table.clustering());
        check_all_values(spec, &spec.key.partition, &query.partition)?;
        check_values(spec, &clustering, &query.prefix)?;
        for bound in [&query.lower, &query.upper] {
            if let Bound::Included(values) | Bound::Excluded(values) = bound {
                check_values(spec, &clustering[query.prefix.len()..], values)?;
            }
        }
        let after = query.page.as_ref().map(|page| read_token(spec, &query.partition, page)).transpose()?;
        let partition = query.partition.len();
        let selected = |(key, _, _): &(&Key, &Row, i64)| {
            let values: Vec<&Value> = key.iter().map(super::tables::KeyPart::value).collect();
            let clustering = &values[partition..];
            values[..partition].iter().copied().eq(&query.partition)
                && clustering[..query.prefix.len()].iter().copied().eq(&query.prefix)
                && within(&query.lower, &query.upper, &clustering[query.prefix.len()..])
                && after.as_ref().is_none_or(|after| if query.reverse { *key < after } else { *key > after })
        };
        let mut rows: Vec<_> = table.alive(&self.disk, self.clock.now()).filter(selected).collect();
        if query.reverse {
            rows.reverse();
        }
        if after.is_some() && self.disk.has(Defect::SkipsARowBetweenPages) && !rows.is_empty() {
            rows.remove(0);
        }
        let limit = if query.limit == 0 { 100 } else { query.limit };
        let next = (rows.len() > limit).then(|| write_token(rows[limit - 1].0, partition)).transpose()?;
        rows.truncate(limit);
        let (schema, rows) = project(&spec.schema, None, true, rows.into_iter().map(|(_, row, v)| (row.clone(), v)))?;
        Ok(Page { rows: batch(&schema, &rows)?, next })
    }

    async fn snapshot(&self) -> Result<Arc<dyn StoreSnapshot>> {
        Ok(Arc::new(ToySnapshot { tables: self.now_tables(), store: self.clone() }))
    }

    async fn drop_table(&self, table: &str) -> Result<()> {
        self.change(|tables| {
            tables.tables.remove(table);
            Ok(())
        })
    }
}

/// Whether `values`, beginning with the bounded column, are within both bounds.
fn within(lower: &Bound, upper: &Bound, values: &[&Value]) -> bool {
    let head = |bound: &[Value]| values.iter().take(bound.len()).copied().cmp(bound);
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Included(bound) => head(bound).is_ge(),
        Bound::Excluded(bound) => head(bound).is_gt(),
    };
    let below = match upper {
        Bound::Unbounded => true,
        Bound::Included(bound) => head(bound).is_le(),
        Bound::Excluded(bound) => head(bound).is_lt(),
    };
    above && below
}

/// A page token: the clustering key of the last row.
fn write_token(key: &Key, partition: usize) -> Result<PageToken> {
    let values: Vec<&Value> = key[partition..].iter().map(super::tables::KeyPart::value).collect();
    Ok(PageToken(serde_json::to_string(&values)?))
}

fn read_token(spec: &TableSpec, partition: &[Value], token: &PageToken) -> Result<Key> {
    let bad = || Error::invalid(format!("a page token that is not of table {}", spec.name));
    let values: Vec<Value> = serde_json::from_str(&token.0).map_err(|_| bad())?;
    if values.len() != spec.key.clustering.len() {
        return Err(bad());
    }
    Ok(key(spec, partition.iter().cloned().chain(values)))
}

#[async_trait]
impl StoreSnapshot for ToySnapshot {
    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>> {
        Ok(self.tables.table(table)?.epochs.committed())
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        let moved = self.store.disk.has(Defect::SnapshotsMove);
        let tables = if moved { self.store.now_tables() } else { self.tables.clone() };
        let table = tables.table(table)?;
        if let Some(partition) = &scan.partition {
            check_all_values(&table.spec, &table.spec.key.partition, partition)?;
        }
        let selected = |(key, _, _): &(&Key, &Row, i64)| {
            scan.partition.as_ref().is_none_or(|p| key.iter().map(super::tables::KeyPart::value).take(p.len()).eq(p))
        };
        let rows = table.alive(&self.store.disk, self.store.clock.now()).filter(selected);
        project_stream(&table.spec.schema, scan.columns.as_deref(), scan.with_version, rows.map(|(_, row, v)| (row.clone(), v)))
    }
}

impl Table {
    /// How many changes of `range` are behind `position`.
    fn behind(&self, range: i32, position: &FeedPosition, disk: &Disk) -> Result<usize> {
        let feed = usize::try_from(range).ok().and_then(|r| self.feed.get(r));
        let feed = feed.ok_or_else(|| Error::invalid(format!("table {} has no feed range {range}", self.spec.name)))?;
        if position.0.is_empty() {
            return Ok(0);
        }
        let foreign = || Error::out_of_range(format!("{} is no position of feed range {range} of table {}", position.0, self.spec.name));
        let parts: Vec<u64> = position.0.split('/').filter_map(|p| p.parse().ok()).collect();
        let [id, at, behind] = parts[..] else { return Err(foreign()) };
        let behind = usize::try_from(behind).map_err(|_| foreign())?;
        if disk.has(Defect::FeedTakesForeignPositions) {
            return Ok(behind.min(feed.len()));
        }
        if id != self.id || i64::try_from(at) != Ok(range.into()) || behind > feed.len() {
            return Err(foreign());
        }
        Ok(behind)
    }
}

#[async_trait]
impl ChangeFeed for ToyEventStore {
    async fn ranges(&self, table: &str) -> Result<i32> {
        self.now_tables().table(table)?;
        Ok(RANGES)
    }

    async fn read(&self, table: &str, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
        let tables = self.now_tables();
        let table = tables.table(table)?;
        let behind = table.behind(range, after, &self.disk)?;
        let feed = &table.feed[usize::try_from(range).unwrap_or(0)];
        let end = feed.len().min(behind.saturating_add(limit));
        Ok(FeedPage {
            changes: change_batch(&table.spec.schema, &feed[behind..end])?,
            next: if end == 0 { FeedPosition::default() } else { FeedPosition(format!("{}/{range}/{end}", table.id)) },
            pending: u64::try_from(feed.len() - end).unwrap_or(u64::MAX),
        })
    }

    async fn wait(&self, name: &str, seen: &[FeedPosition]) -> Result<()> {
        let more = |tables: &Arc<Tables>| {
            let behind = |table: &Table| -> Result<bool> {
                for (range, position) in (0_i32..).zip(seen) {
                    if table.behind(range, position, &self.disk)? < table.feed[usize::try_from(range).unwrap_or(0)].len() {
                        return Ok(true);
                    }
                }
                Ok(false)
            };
            match tables.table(name).and_then(behind) {
                Err(error) => Some(Err(error)),
                Ok(more) => more.then_some(Ok(())),
            }
        };
        if self.disk.has(Defect::NeverWakes) {
            std::future::pending::<()>().await;
        }
        self.disk.store.when(more).await
    }
}
