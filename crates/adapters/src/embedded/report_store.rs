//! [`EmbeddedReportStore`]: relational tables, published whole by jobs or upserted by flows, boxes 7 and 8.
//!
//! What flows write lies with the event store's rows, under the table's number and the primary key, and is merged as they are.
//! Rows of a publication are written under a generation of their own that nobody reads yet; one small batch then points the report
//! at it. Readers take the pointer and the rows from one snapshot. What a failed publication, or the old one, left behind is removed
//! afterwards, before the next publication, and when the store is opened.
//!
//! A row's key is the table's number, the generation (u64, big endian) and the primary key; the pointer lies in the meta keyspace: format,
//! generation, run, rows. Generation 0, which no publication has, stands for what flows write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use fjall::{Readable, Snapshot};
use futures::StreamExt;
use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::{Clock, EpochSink, EpochWrite, Publication, Published, ReportSnapshot, ReportStore};
use millstream_core::{Attempt, Epoch, Error, FlowId, Result, TableSpec, Timestamp, Value};

use super::database::{Store, blocking};
use super::epochs;
use super::error::During;
use super::key_codec::{TABLE_BYTES, after_prefix};
use super::keyed_table::{EncodedChanges, KeyedTable};
use super::registry::{Registered, Registry, sweep};
use super::report_snapshot::EmbeddedReportSnapshot;
use super::row_codec::{RowDecoder, Stored};

/// The kind of the pointers in the meta keyspace.
pub(super) const POINTER: u8 = b'g';
const FORMAT: u8 = 1;
const GENERATION_BYTES: usize = 8;

/// The built-in report store.
pub struct EmbeddedReportStore {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    pub(super) reports: Arc<Registry<Report>>,
}

/// A report that is open.
pub(super) struct Report {
    pub keyed: KeyedTable,
    /// Held for a publication.
    publishing: Arc<tokio::sync::Mutex<()>>,
    /// The generation of the next publication: greater than any in the store.
    next_generation: AtomicU64,
}

/// Which generation is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pointer {
    /// 0 before the first publication.
    pub generation: u64,
    run: u64,
    rows: u64,
}

impl Registered for Report {
    fn open(store: &Arc<Store>, id: u32, spec: TableSpec) -> Result<Self> {
        let pointer = read_pointer(store, &store.snapshot(), id)?;
        let report =
            Self { keyed: KeyedTable::new(id, spec)?, publishing: Arc::default(), next_generation: AtomicU64::new(pointer.generation + 1) };
        report.remove_all_but(store, pointer.generation)?;
        Ok(report)
    }

    fn spec(&self) -> &TableSpec {
        &self.keyed.spec
    }

    fn id(&self) -> u32 {
        self.keyed.id
    }
}

impl Report {
    /// The head of the keys of a generation's rows.
    pub(super) fn prefix(&self, generation: u64) -> [u8; TABLE_BYTES + GENERATION_BYTES] {
        let mut prefix = [0; TABLE_BYTES + GENERATION_BYTES];
        prefix[..TABLE_BYTES].copy_from_slice(&self.keyed.id.to_be_bytes());
        prefix[TABLE_BYTES..].copy_from_slice(&generation.to_be_bytes());
        prefix
    }

    /// Removes the rows of all generations but `keep`.
    fn remove_all_but(&self, store: &Store, keep: u64) -> Result<()> {
        let table = self.keyed.id.to_be_bytes();
        let kept = self.prefix(keep);
        let mut from = table.to_vec();
        let Some(end) = after_prefix(&table) else { return Ok(()) };
        while let Some(entry) = store.reports.range(from.as_slice()..end.as_slice()).next() {
            let key = entry.key().during("looking for old generations of a report")?;
            let Some(prefix) = key.get(..kept.len()) else { return Err(Error::corrupt("a key of a report is cut off")) };
            if prefix != kept {
                store.remove_prefix(&store.reports, prefix)?;
            }
            let Some(next) = after_prefix(prefix) else { return Ok(()) };
            from = next;
        }
        Ok(())
    }

    /// Adds `rows` to a generation.
    fn write(&self, store: &Store, generation: u64, run: u64, rows: &RecordBatch) -> Result<()> {
        let name = &self.keyed.spec.name;
        let key_columns = self.keyed.keys.columns();
        if let Some(column) = key_columns.iter().find(|c| rows.columns().get(c.index).is_some_and(|a| a.null_count() > 0)) {
            let row = (0..rows.num_rows()).find(|r| rows.column(column.index).is_null(*r)).unwrap_or_default();
            return Err(Error::invalid(format!("report {name}: a null in the primary key ({})", self.describe_key(rows, row))));
        }
        self.keyed.rows.check(name, rows, &[])?;
        let encoded = self.keyed.rows.encode(rows, &vec![i64::try_from(run).unwrap_or(i64::MAX); rows.num_rows()], &[])?;
        let cells = self.keyed.keys.cells(rows)?;
        let mut keys = (0..rows.num_rows())
            .map(|row| {
                let mut key = Vec::with_capacity(64);
                cells.put(row, &mut key)?;
                key.splice(..TABLE_BYTES, self.prefix(generation));
                Ok((key, row))
            })
            .collect::<Result<Vec<_>>>()?;
        keys.sort_unstable();
        let twice = |row: usize| {
            Error::invalid(format!(
                "report {name}: two rows have the primary key ({}); group by it, or make the key longer",
                self.describe_key(rows, row)
            ))
        };
        let mut batch = store.batch(keys.len());
        for (i, (key, row)) in keys.iter().enumerate() {
            let in_batch = i > 0 && keys[i - 1].0 == *key;
            if in_batch || store.reports.contains_key(key).during("looking for a row with the same primary key")? {
                return Err(twice(*row));
            }
            batch.insert(&store.reports, key.as_slice(), encoded.row(*row));
        }
        self.keyed.exclusively(|| store.commit(batch))
    }

    fn describe_key(&self, rows: &RecordBatch, row: usize) -> String {
        let value = |index: usize| match rows.columns().get(index).map(|c| Value::at(c.as_ref(), row)) {
            Some(Ok(Some(value))) => value.to_string(),
            _ => "null".to_owned(),
        };
        self.keyed.keys.columns().iter().map(|c| format!("{} = {}", c.name, value(c.index))).collect::<Vec<_>>().join(", ")
    }

    /// Points the report at the generation of `new`; returns how many keys of the old one it no longer has.
    fn flip(&self, store: &Store, old: Pointer, new: Pointer) -> Result<u64> {
        let removed = self.count_removed(store, old.generation, new.generation)?;
        let mut value = [FORMAT; 25];
        value[1..9].copy_from_slice(&new.generation.to_be_bytes());
        value[9..17].copy_from_slice(&new.run.to_be_bytes());
        value[17..].copy_from_slice(&new.rows.to_be_bytes());
        self.keyed.exclusively(|| {
            self.check_not_upserted(store)?;
            let mut batch = store.batch(1);
            batch.insert(&store.meta, pointer_key(self.keyed.id), value);
            store.commit(batch)
        })?;
        Ok(removed)
    }

    /// Refuses to publish what flows have begun to write.
    fn check_not_upserted(&self, store: &Store) -> Result<()> {
        match epochs::all(store, &store.snapshot(), self.keyed.id)?.keys().next() {
            None => Ok(()),
            Some(flow) => Err(Error::invalid(format!(
                "report {} is written continuously by flow {flow} and can't be published whole; reset it, or give the job's report another name",
                self.keyed.spec.name
            ))),
        }
    }

    /// Refuses a flow that writes into what was published.
    fn check_not_published(&self, store: &Store, flow: &FlowId) -> Result<()> {
        if read_pointer(store, &store.snapshot(), self.keyed.id)?.generation == 0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "report {} was published whole by a job and can't be written by flow {flow}; reset it, or give the flow's table another name",
            self.keyed.spec.name
        )))
    }

    /// Begins `attempt` of `flow`. Blocks.
    fn begin(&self, store: &Store, flow: &FlowId, attempt: Attempt) -> Result<Epoch> {
        self.keyed.exclusively(|| {
            self.check_not_published(store, flow)?;
            epochs::begin_alone(store, &self.keyed, flow, attempt)
        })
    }

    /// Writes an epoch with its number in one batch. Blocks.
    fn commit(&self, store: &Store, now: Timestamp, write: &EpochWrite) -> Result<u64> {
        let changes = EncodedChanges::encode(&self.keyed, &write.changes)?;
        self.keyed.exclusively(|| {
            self.check_not_published(store, &write.flow)?;
            if epochs::read(store, self.keyed.id, &write.flow)?.admit(write)? == Admission::Done {
                return Ok(0);
            }
            let mut batch = store.batch(changes.len() + 1);
            let net = changes.fold_into(&mut batch, store, &store.rows, &self.keyed, self.keyed.expiry(now))?;
            epochs::put(&mut batch, store, self.keyed.id, &write.flow, FlowProgress::after(write));
            store.commit(batch)?;
            Ok(net.len() as u64)
        })
    }

    /// Walks both generations side by side.
    fn count_removed(&self, store: &Store, old: u64, new: u64) -> Result<u64> {
        let snapshot = store.snapshot();
        let mut keys = [old, new].map(|generation| {
            let entries = snapshot.prefix(&store.reports, self.prefix(generation));
            entries.map(|e| e.key().during("comparing a report with the one before"))
        });
        let head = TABLE_BYTES + GENERATION_BYTES;
        let [old, new] = &mut keys;
        let mut candidate = new.next().transpose()?;
        let mut removed = 0;
        for key in old {
            let key = key?;
            while candidate.as_ref().is_some_and(|c| c[head..] < key[head..]) {
                candidate = new.next().transpose()?;
            }
            removed += u64::from(candidate.as_ref().is_none_or(|c| c[head..] != key[head..]));
        }
        Ok(removed)
    }
}

fn pointer_key(id: u32) -> [u8; 5] {
    let mut key = [POINTER; 5];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

pub(super) fn read_pointer(store: &Store, snapshot: &Snapshot, id: u32) -> Result<Pointer> {
    let Some(value) = snapshot.get(&store.meta, pointer_key(id)).during("reading which report is published")? else {
        return Ok(Pointer::default());
    };
    let number = |range: std::ops::Range<usize>| value.get(range).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
    match (value.first(), number(1..9), number(9..17), number(17..25)) {
        (Some(&FORMAT), Some(generation), Some(run), Some(rows)) => Ok(Pointer { generation, run, rows }),
        _ => Err(Error::corrupt("the pointer to a published report can't be read")),
    }
}

impl EmbeddedReportStore {
    pub(super) fn new(store: Arc<Store>, clock: Arc<dyn Clock>, reports: Arc<Registry<Report>>) -> Self {
        Self { store, clock, reports }
    }
}

#[async_trait]
impl EpochSink for EmbeddedReportStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        let (store, report, flow) = (self.store.clone(), self.reports.get(table)?, flow.clone());
        blocking(move || report.begin(&store, &flow, attempt)).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        let (store, report, now) = (self.store.clone(), self.reports.get(&write.table)?, self.clock.now());
        blocking(move || report.commit(&store, now, &write)).await
    }
}

#[async_trait]
impl ReportStore for EmbeddedReportStore {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        let (reports, spec) = (self.reports.clone(), spec.clone());
        blocking(move || reports.ensure(&spec)).await
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        let Publication { report: name, run, rows: mut batches } = publication;
        let (store, report) = (self.store.clone(), self.reports.get(&name)?);
        let publishing = report.publishing.clone().lock_owned().await;
        let generation = report.next_generation.fetch_add(1, Ordering::Relaxed);

        let (s, r) = (store.clone(), report.clone());
        let old = blocking(move || {
            let old = read_pointer(&s, &s.snapshot(), r.keyed.id)?;
            if run < old.run {
                return Err(Error::fenced(format!("report {name}: run {run} is older than the published run {}", old.run)));
            }
            r.check_not_upserted(&s)?;
            r.remove_all_but(&s, old.generation)?;
            Ok(old)
        })
        .await?;

        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            let (s, r) = (store.clone(), report.clone());
            blocking(move || r.write(&s, generation, run, &batch)).await?;
        }

        // From here on the work goes to its end even if this future is dropped, and holds the lock as long.
        blocking(move || {
            let _publishing = publishing;
            let removed = report.flip(&store, old, Pointer { generation, run, rows })?;
            if let Err(error) = report.remove_all_but(&store, generation) {
                tracing::warn!(report = report.keyed.spec.name, %error, "the old rows of a report stay until it is published again");
            }
            Ok(Published { rows, removed })
        })
        .await
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        let (store, report) = (self.store.clone(), self.reports.get(report)?);
        blocking(move || {
            let pointer = read_pointer(&store, &store.snapshot(), report.keyed.id)?;
            Ok((pointer.generation > 0).then_some(pointer.run))
        })
        .await
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        Ok(Arc::new(EmbeddedReportSnapshot::new(self.store.clone(), self.reports.clone())))
    }

    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch> {
        let (store, report) = (self.store.clone(), self.reports.get(report)?);
        let mut bytes = Vec::with_capacity(64);
        report.keyed.keys.put_key(key, &mut bytes)?;
        blocking(move || {
            let snapshot = store.snapshot();
            let pointer = read_pointer(&store, &snapshot, report.keyed.id)?;
            let keyspace = if pointer.generation == 0 { &store.rows } else { &store.reports };
            if pointer.generation > 0 {
                bytes.splice(..TABLE_BYTES, report.prefix(pointer.generation));
            }
            let mut rows = RowDecoder::new(&report.keyed.rows, None, false, 1)?;
            if let Some(value) = snapshot.get(keyspace, &bytes).during("reading a row of a report")?
                && matches!(Stored::parse(&value)?, Stored::Row { .. })
            {
                rows.push(&value)?;
            }
            rows.finish()
        })
        .await
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        let (store, reports, name) = (self.store.clone(), self.reports.clone(), report.to_owned());
        blocking(move || match reports.remove(&name, |r| r.keyed.close())? {
            Some(_) => sweep(&store),
            None => Ok(()),
        })
        .await
    }
}
