//! [`ReportStore`] in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use millstream_core::batches::BatchStream;
use millstream_core::ports::{EpochSink, EpochWrite, Publication, Published, ReportSnapshot, ReportStore};
use millstream_core::{Attempt, ChangeBatch, ChangeKind, Epoch, Error, FlowId, Result, TableSpec, Value};

use super::tables::{Due, Epochs, Key, check_all_values, check_columns, key, key_of, project_stream, same_shape};
use super::{Defect, Disk};
use crate::changes::{Change, changes_of};
use crate::rows::{Row, batch, rows_of};

/// All reports at one moment.
pub(super) type Reports = BTreeMap<String, Report>;

#[derive(Clone, Debug)]
pub(super) struct Report {
    spec: TableSpec,
    run: Option<u64>,
    rows: BTreeMap<Key, Row>,
    /// The version that each key has, where flows write: of deleted ones too, for ever, for a toy's memory is endless.
    versions: BTreeMap<Key, i64>,
    epochs: Epochs,
}

/// Reports in memory.
#[derive(Debug)]
pub struct ToyReportStore {
    disk: Arc<Disk>,
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("report {name} does not exist in the toy store"))
}

impl ToyReportStore {
    /// The reports on `disk`.
    #[must_use]
    pub fn open(disk: Arc<Disk>) -> Self {
        disk.opening(&disk.reports);
        Self { disk }
    }

    fn report(&self, name: &str) -> Result<Report> {
        self.disk.reports.lock().get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// Puts a report in the place of the old one.
    fn put(&self, report: Report) {
        let mut reports = self.disk.reports.lock();
        let mut copy = Reports::clone(&reports);
        copy.insert(report.spec.name.clone(), report);
        *reports = Arc::new(copy);
    }

    /// Changes a report in one step: all of it, or nothing where `change` fails.
    fn update<T>(&self, name: &str, change: impl FnOnce(&mut Report) -> Result<T>) -> Result<T> {
        let mut reports = self.disk.reports.lock();
        let mut copy = Reports::clone(&reports);
        let result = change(copy.get_mut(name).ok_or_else(|| unknown(name))?)?;
        *reports = Arc::new(copy);
        Ok(result)
    }

    /// Applies changes; returns how many rows stand differently.
    fn apply_all(&self, report: &mut Report, changes: &[ChangeBatch]) -> Result<u64> {
        let mut differ = 0;
        for some in changes {
            check_columns(&report.spec, &some.rows().schema())?;
            for change in changes_of(some)? {
                differ += u64::from(self.apply(report, change)?);
            }
        }
        Ok(differ)
    }

    fn apply(&self, report: &mut Report, change: Change) -> Result<bool> {
        let key = key_of(&report.spec, &change.row)?;
        let stands = report.versions.get(&key).copied().unwrap_or(i64::MIN);
        if stands > change.version && !self.disk.has(Defect::OlderVersionWins) {
            return Ok(false);
        }
        if change.kind == ChangeKind::Delete {
            if self.disk.has(Defect::ForgetsDeletes) {
                report.versions.remove(&key);
            } else {
                report.versions.insert(key.clone(), change.version);
            }
            return Ok(report.rows.remove(&key).is_some());
        }
        report.versions.insert(key.clone(), change.version);
        let differs = report.rows.get(&key) != Some(&change.row);
        report.rows.insert(key, change.row);
        Ok(differs)
    }

    fn check_not_published(&self, report: &Report) -> Result<()> {
        match report.run {
            Some(run) if !self.disk.has(Defect::MixesJobsAndFlows) => {
                Err(Error::invalid(format!("report {} was published by run {run}: no flow can write it", report.spec.name)))
            }
            _ => Ok(()),
        }
    }

    fn check_run(&self, report: &Report, run: u64) -> Result<()> {
        if let Some(flow) = report.epochs.committed().keys().next()
            && !self.disk.has(Defect::MixesJobsAndFlows)
        {
            return Err(Error::invalid(format!("report {} is written by flow {flow}: it can't be published", report.spec.name)));
        }
        match report.run {
            Some(published) if run < published && !self.disk.has(Defect::AcceptsOlderRuns) => {
                Err(Error::fenced(format!("run {run} of report {} comes after run {published} was published", report.spec.name)))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl EpochSink for ToyReportStore {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.update(table, |report| {
            self.check_not_published(report)?;
            Ok(report.epochs.begin(flow, attempt))
        })
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        if self.disk.has(Defect::ShowsHalfEpochs) {
            for half in write.changes.chunks(write.changes.len().div_ceil(2).max(1)) {
                self.update(&write.table, |report| self.apply_all(report, half))?;
                tokio::task::yield_now().await;
            }
        }
        self.update(&write.table, |report| {
            self.check_not_published(report)?;
            match report.epochs.check(&write, !self.disk.has(Defect::IgnoresFencing), self.disk.has(Defect::AcceptsGaps))? {
                Due::CommittedAlready if !self.disk.has(Defect::AppliesReplays) => return Ok(0),
                _ => {}
            }
            let differ = self.apply_all(report, &write.changes)?;
            report.epochs.commit(&write);
            Ok(differ)
        })
    }
}

#[async_trait]
impl ReportStore for ToyReportStore {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        spec.validate()?;
        if let Ok(present) = self.report(&spec.name) {
            return same_shape(&present.spec, spec);
        }
        self.put(Report { spec: spec.clone(), run: None, rows: BTreeMap::new(), versions: BTreeMap::new(), epochs: Epochs::default() });
        Ok(())
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        let Publication { report: name, run, rows: mut batches } = publication;
        let old = self.report(&name)?;
        self.check_run(&old, run)?;
        let mut new = Report { run: Some(run), rows: BTreeMap::new(), ..old.clone() };
        let mut count = 0;
        while let Some(some) = batches.next().await {
            let some = some?;
            check_columns(&new.spec, &some.schema())?;
            for row in rows_of(&some)? {
                let key = key_of(&new.spec, &row)?;
                count += 1;
                if new.rows.insert(key.clone(), row).is_some() && !self.disk.has(Defect::AcceptsDuplicateKeys) {
                    let values: Vec<String> = key.iter().map(|part| part.value().to_string()).collect();
                    return Err(Error::invalid(format!("report {name} has two rows with the primary key ({})", values.join(", "))));
                }
            }
            if self.disk.has(Defect::PublishesHalfReports) {
                self.put(new.clone());
                tokio::task::yield_now().await;
            }
        }
        let removed = old.rows.keys().filter(|key| !new.rows.contains_key(*key)).count();
        if self.disk.has(Defect::KeepsVanishedKeys) {
            for (key, row) in old.rows {
                new.rows.entry(key).or_insert(row);
            }
        }
        // Another run may have been published meanwhile.
        self.check_run(&self.report(&name)?, run)?;
        self.put(new);
        Ok(Published { rows: count, removed: u64::try_from(removed).unwrap_or(u64::MAX) })
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        Ok(self.report(report)?.run)
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        Ok(Arc::new(ToyReportSnapshot { disk: self.disk.clone(), then: self.disk.reports.lock().clone() }))
    }

    async fn get(&self, report: &str, values: &[Value]) -> Result<RecordBatch> {
        let report = self.report(report)?;
        check_all_values(&report.spec, &report.spec.key.partition, values)?;
        let row = report.rows.get(&key(&report.spec, values.iter().cloned()));
        batch(&report.spec.schema, row.map(std::slice::from_ref).unwrap_or_default())
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        let mut reports = self.disk.reports.lock();
        let mut copy = Reports::clone(&reports);
        copy.remove(report);
        *reports = Arc::new(copy);
        Ok(())
    }
}

/// The reports at one moment.
struct ToyReportSnapshot {
    disk: Arc<Disk>,
    then: Arc<Reports>,
}

#[async_trait]
impl ReportSnapshot for ToyReportSnapshot {
    async fn scan(&self, report: &str, columns: Option<Vec<usize>>) -> Result<BatchStream> {
        let now = self.disk.reports.lock().clone();
        let known = now.get(report).ok_or_else(|| unknown(report))?;
        let seen = if self.disk.has(Defect::SnapshotsMove) { Some(known) } else { self.then.get(report) };
        let rows = seen.map(|report| report.rows.values().cloned().collect::<Vec<_>>()).unwrap_or_default();
        project_stream(&known.spec.schema, columns.as_deref(), false, rows.into_iter().map(|row| (row, 0)))
    }
}
