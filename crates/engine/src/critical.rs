//! The way back: a row of a redis table that is missing is made again from its base row in the event store, by the query of its flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, Int64Array, UInt8Array};
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use millstream_core::ports::{Clock, CriticalRow, EventStore, PartitionQuery, VERSION_COLUMN};
use millstream_core::{ChangeBatch, ChangeKind, Error, Result, TableSpec, Timestamp, Value, Version};
use millstream_pipeline::graph::{Binding, CriticalBase, Pipeline};
use tokio::sync::Mutex;

use crate::compile;
use crate::flow::process::Processor;
use crate::reference::ReferenceTables;
use crate::source::{Chunk, SourceState};

/// Loads rows of all redis tables of a pipeline.
pub struct CriticalRows {
    tables: BTreeMap<String, Loader>,
    store: Arc<dyn EventStore>,
    references: Arc<ReferenceTables>,
    session: SessionContext,
    clock: Arc<dyn Clock>,
}

struct Loader {
    spec: Arc<TableSpec>,
    base: Arc<TableSpec>,
    way: CriticalBase,
    processor: Mutex<Processor>,
}

impl CriticalRows {
    /// Plans the queries of all redis tables that are fed from an event-store table.
    pub fn new(
        pipeline: &Pipeline,
        store: Arc<dyn EventStore>,
        references: Arc<ReferenceTables>,
        session: SessionContext,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut tables = BTreeMap::new();
        for (name, table) in &pipeline.tables {
            let Binding::Critical(critical) = &table.binding else { continue };
            let Some(way) = &critical.base else { continue };
            let flow = pipeline
                .flows
                .iter()
                .find(|f| f.id == way.flow)
                .ok_or_else(|| Error::internal(format!("table {name} is fed by no flow")))?;
            let base = pipeline.tables.get(&way.table).ok_or_else(|| Error::internal(format!("table {name} has no base table")))?;
            let program = compile::compile(flow, table.spec.schema.clone(), &session.state())?;
            let processor = Mutex::new(Processor::new(flow.id.clone(), program, &table.spec.key, None)?);
            tables.insert(name.clone(), Loader { spec: table.spec.clone(), base: base.spec.clone(), way: way.clone(), processor });
        }
        Ok(Self { tables, store, references, session, clock })
    }

    /// See [`CriticalLoader::load`](millstream_core::ports::CriticalLoader::load).
    pub async fn load(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        let made = self.make(table, key).await?;
        let now = self.clock.now();
        Ok(made.filter(|row| row.expires.is_none_or(|at| at > now)))
    }

    /// The same, also where it has expired.
    ///
    /// Where the flow joins reference data, it draws the versions of its rows from the clock when it makes them, and nobody knows which one it has drawn for this
    /// row. What is made here has the version of its base row: it expires no later than the flow's, and takes the place of nothing that the flow has written.
    pub(crate) async fn make(&self, table: &str, key: &[Value]) -> Result<Option<CriticalRow>> {
        let loader = self.tables.get(table).ok_or_else(|| {
            Error::unsupported(format!("table {table} is not fed from an event-store table, so a missing row can't be loaded"))
        })?;
        // Before the look at the base row: what the flow makes of a later change has a later version.
        let now = self.clock.now();
        let Some(changes) = self.base_row(loader, key).await? else { return Ok(None) };
        let base_version = changes.version(0);
        let chunk = Chunk {
            start: SourceState::default(),
            end: SourceState::default(),
            changes,
            further: Vec::new(),
            rejected: Vec::new(),
            directed: Vec::new(),
            at_end: Vec::new(),
            seen_at: Timestamp(0),
            lag: 0,
            bytes: 0,
        };
        let mut processor = loader.processor.lock().await;
        processor.refresh(&self.references, &self.session).await?;
        let drawn = processor.draws_versions();
        let made = processor.process(&chunk, now)?.changes;
        drop(processor);
        let key_columns = loader.spec.key.indices(&loader.spec.schema)?;
        // Of several with this key, the last one is what the flow leaves.
        for row in (0..made.len()).rev() {
            let same = key_columns.iter().zip(key).map(|(c, v)| Ok(Value::at(made.rows().column(*c), row)?.as_ref() == Some(v)));
            if made.kind(row) == ChangeKind::Delete || !same.collect::<Result<Vec<_>>>()?.into_iter().all(|s| s) {
                continue;
            }
            // A record may be of a time that is still to come, and what the flow draws is not.
            let version = if drawn { base_version.min(Version(now.0)) } else { made.version(row) };
            let expires = loader.spec.ttl.map(|ttl| Timestamp(version.plus(ttl).0));
            return Ok(Some(CriticalRow { row: made.rows().slice(row, 1), version, expires }));
        }
        Ok(None)
    }

    /// The base row of `key` as a change, if there is one.
    async fn base_row(&self, loader: &Loader, key: &[Value]) -> Result<Option<ChangeBatch>> {
        let width = loader.spec.key.columns().count();
        if key.len() != width {
            return Err(Error::invalid(format!("table {} has {width} key columns; {} values were given", loader.spec.name, key.len())));
        }
        let values: Vec<Value> = loader.way.key.iter().map(|place| key[*place].clone()).collect();
        let (partition, prefix) = values.split_at(loader.base.key.partition.len());
        let query = PartitionQuery { partition: partition.to_vec(), prefix: prefix.to_vec(), limit: 1, ..PartitionQuery::default() };
        let page = self.store.read_partition(&loader.base.name, &query).await?;
        if page.rows.num_rows() == 0 {
            return Ok(None);
        }
        let row = page.rows.slice(0, 1);
        let versions = row.column_by_name(VERSION_COLUMN).and_then(|c| c.as_primitive_opt::<Int64Type>().cloned());
        let versions = versions.ok_or_else(|| Error::internal(format!("the event store gave no {VERSION_COLUMN}")))?;
        let columns: Vec<usize> = (0..loader.base.schema.fields().len()).collect();
        let insert = UInt8Array::from(vec![ChangeKind::Insert.code()]);
        ChangeBatch::try_new(row.project(&columns)?, insert, versions, Int32Array::from(vec![-1]), Int64Array::from(vec![-1])).map(Some)
    }
}
