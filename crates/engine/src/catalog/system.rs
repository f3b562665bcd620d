//! Millstream's own tables (`system.*`): what was put aside, what ran, and how everything stands, each read afresh by every query.

use std::sync::{Arc, Weak};

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use millstream_core::ports::{CheckpointStore, DeadLetter, JobRun, LateRow, LogBounds};
use millstream_core::status::{FlowStatus, JobStatus, PipelineStatus, ReferenceStatus, StatusSource};
use millstream_core::table::timestamp_type;
use millstream_core::time::micros_of;
use millstream_core::{Epoch, Error, FlowId, Result, SortOrder, TableSpec, TopicPartition};
use millstream_pipeline::graph::{Binding, Pipeline};

use super::port_table::{Part, Readable, Request};
use crate::engine::Ports;
use crate::reference::ReferenceTables;

type Load = Arc<dyn Fn() -> BoxFuture<'static, Result<RecordBatch>> + Send + Sync>;

/// A table whose rows one function gathers.
struct SystemTable {
    schema: SchemaRef,
    load: Load,
}

#[async_trait]
impl Readable for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    async fn parts(&self, request: &Request) -> Result<Vec<Part>> {
        let (load, columns) = (self.load.clone(), request.columns.clone());
        Ok(vec![Box::new(move || {
            let (rows, columns) = (load(), columns.clone());
            async move { Ok(stream::once(async move { Ok(rows.await?.project(&columns)?) }).boxed()) }.boxed()
        })])
    }
}

/// All tables of `system`, by name.
pub(super) fn tables(
    pipeline: &Pipeline,
    ports: &Ports,
    references: &Arc<ReferenceTables>,
    status: &Weak<dyn StatusSource>,
) -> Vec<(&'static str, Arc<dyn Readable>)> {
    let mut tables: Vec<(&'static str, Arc<dyn Readable>)> = Vec::new();
    let mut add = |name, empty: Result<RecordBatch>, load: Load| {
        if let Ok(empty) = empty {
            tables.push((name, Arc::new(SystemTable { schema: empty.schema(), load })));
        }
    };
    let system = ports.system.clone();
    add("dead_letters", dead_letters(&[]), loads(move || system.clone(), |s| async move { dead_letters(&s.dead_letters().await?) }));
    let system = ports.system.clone();
    add("late_rows", late_rows(&[]), loads(move || system.clone(), |s| async move { late_rows(&s.late_rows().await?) }));
    let system = ports.system.clone();
    add("jobs", jobs(&[]), loads(move || system.clone(), |s| async move { jobs(&s.runs().await?) }));
    let source = status.clone();
    add("flows", flows(&[]), loads(move || source.clone(), |s| async move { flows(&now(&s)?.flows) }));
    let source = status.clone();
    add("schedules", schedules(&[]), loads(move || source.clone(), |s| async move { schedules(&now(&s)?.jobs) }));
    let tables_of = references.clone();
    add("reference_data", reference_data(&[]), loads(move || tables_of.clone(), |r| async move { reference_data(&r.status()) }));
    let specs: Arc<[Arc<TableSpec>]> = pipeline.tables.values().map(|t| t.spec.clone()).collect();
    add("tables", tables_table(&[]), loads(move || specs.clone(), |s| async move { tables_table(&s) }));
    let checkpoints = ports.checkpoints.clone();
    add(
        "checkpoints",
        checkpoint_table(&[]),
        loads(move || checkpoints.clone(), |c| async move { checkpoint_table(&epochs(c.as_ref()).await?) }),
    );
    let (log, topics) = (ports.log.clone(), topic_names(pipeline));
    let partitions_of = loads(
        move || (log.clone(), topics.clone()),
        |(log, topics)| async move {
            let mut rows = Vec::new();
            for topic in log.topics().await? {
                let table = topics.iter().find(|(_, name)| *name == topic.name).map(|(table, _)| table.clone());
                for partition in (0..topic.partitions).map(|p| TopicPartition::new(topic.name.clone(), p)) {
                    let bounds = log.bounds(&partition).await?;
                    rows.push((table.clone(), partition, bounds));
                }
            }
            partitions(&rows)
        },
    );
    add("partitions", partitions(&[]), partitions_of);
    tables
}

/// A [`Load`] of an async function of something that is cloned for each call.
fn loads<T, F>(subject: impl Fn() -> T + Send + Sync + 'static, load: impl Fn(T) -> F + Send + Sync + 'static) -> Load
where
    F: Future<Output = Result<RecordBatch>> + Send + 'static,
{
    Arc::new(move || load(subject()).boxed())
}

fn now(status: &Weak<dyn StatusSource>) -> Result<PipelineStatus> {
    status.upgrade().map(|s| s.status()).ok_or_else(|| Error::unavailable("the pipeline has stopped"))
}

fn topic_names(pipeline: &Pipeline) -> Arc<[(String, String)]> {
    let names = pipeline.tables.iter().filter_map(|(table, t)| match &t.binding {
        Binding::Topic(topic) => Some((table.clone(), topic.name.clone())),
        _ => None,
    });
    names.collect()
}

async fn epochs(store: &dyn CheckpointStore) -> Result<Vec<(FlowId, Epoch)>> {
    let mut all = Vec::new();
    for flow in store.flows().await? {
        all.extend(store.epochs(&flow).await?.into_iter().map(|epoch| (flow.clone(), epoch)));
    }
    Ok(all)
}

/// A column and whether it may hold nulls.
type NamedColumn = (&'static str, ArrayRef, bool);

fn batch(columns: Vec<NamedColumn>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn text<S: AsRef<str>>(name: &'static str, values: impl Iterator<Item = S>) -> NamedColumn {
    (name, Arc::new(StringArray::from_iter_values(values)), false)
}

fn text_or_null<S: AsRef<str>>(name: &'static str, values: impl Iterator<Item = Option<S>>) -> NamedColumn {
    (name, Arc::new(values.collect::<StringArray>()), true)
}

fn number(name: &'static str, values: impl Iterator<Item = u64>) -> NamedColumn {
    (name, Arc::new(Int64Array::from_iter_values(values.map(|v| i64::try_from(v).unwrap_or(i64::MAX)))), false)
}

fn signed(name: &'static str, values: impl Iterator<Item = i64>) -> NamedColumn {
    (name, Arc::new(Int64Array::from_iter_values(values)), false)
}

fn number_or_null(name: &'static str, values: impl Iterator<Item = Option<u64>>) -> NamedColumn {
    (name, Arc::new(values.map(|v| v.map(|v| i64::try_from(v).unwrap_or(i64::MAX))).collect::<Int64Array>()), true)
}

fn small(name: &'static str, values: impl Iterator<Item = i32>) -> NamedColumn {
    (name, Arc::new(Int32Array::from_iter_values(values)), false)
}

fn time(name: &'static str, micros: impl Iterator<Item = i64>) -> NamedColumn {
    (name, Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_data_type(timestamp_type())), false)
}

fn time_or_null(name: &'static str, micros: impl Iterator<Item = Option<i64>>) -> NamedColumn {
    (name, Arc::new(micros.collect::<TimestampMicrosecondArray>().with_data_type(timestamp_type())), true)
}

fn bytes<'a>(name: &'static str, values: impl Iterator<Item = &'a Option<Bytes>>) -> NamedColumn {
    (name, Arc::new(values.map(Option::as_deref).collect::<BinaryArray>()), true)
}

/// The bytes as text, where they are UTF-8.
fn bytes_text<'a>(name: &'static str, values: impl Iterator<Item = &'a Option<Bytes>>) -> NamedColumn {
    text_or_null(name, values.map(|v| v.as_deref().and_then(|b| std::str::from_utf8(b).ok())))
}

fn dead_letters(rows: &[DeadLetter]) -> Result<RecordBatch> {
    batch(vec![
        text("flow", rows.iter().map(|r| r.flow.as_str())),
        number("epoch", rows.iter().map(|r| r.epoch.0)),
        text("source", rows.iter().map(|r| &r.source)),
        small("partition", rows.iter().map(|r| r.position.partition)),
        signed("offset", rows.iter().map(|r| r.position.offset)),
        time("timestamp", rows.iter().map(|r| r.timestamp.0)),
        text("reason", rows.iter().map(|r| &r.reason)),
        bytes("key", rows.iter().map(|r| &r.key)),
        bytes("value", rows.iter().map(|r| &r.value)),
        bytes_text("key_text", rows.iter().map(|r| &r.key)),
        bytes_text("value_text", rows.iter().map(|r| &r.value)),
        time("at", rows.iter().map(|r| r.at.0)),
    ])
}

fn late_rows(rows: &[LateRow]) -> Result<RecordBatch> {
    batch(vec![
        text("flow", rows.iter().map(|r| r.flow.as_str())),
        number("epoch", rows.iter().map(|r| r.epoch.0)),
        text("source", rows.iter().map(|r| &r.source)),
        small("partition", rows.iter().map(|r| r.position.partition)),
        signed("offset", rows.iter().map(|r| r.position.offset)),
        time("timestamp", rows.iter().map(|r| r.timestamp.0)),
        time("event_time", rows.iter().map(|r| r.event_time.0)),
        time("window_end", rows.iter().map(|r| r.window_end.0)),
        time("watermark", rows.iter().map(|r| r.watermark.0)),
        bytes("key", rows.iter().map(|r| &r.key)),
        bytes("value", rows.iter().map(|r| &r.value)),
        bytes_text("key_text", rows.iter().map(|r| &r.key)),
        bytes_text("value_text", rows.iter().map(|r| &r.value)),
        time("at", rows.iter().map(|r| r.at.0)),
    ])
}

fn jobs(rows: &[JobRun]) -> Result<RecordBatch> {
    batch(vec![
        text("report", rows.iter().map(|r| &r.report)),
        number("run", rows.iter().map(|r| r.run)),
        text("trigger", rows.iter().map(|r| &r.trigger)),
        text("state", rows.iter().map(|r| r.state.as_str())),
        time("started", rows.iter().map(|r| r.started.0)),
        time_or_null("ended", rows.iter().map(|r| r.ended.map(|t| t.0))),
        number_or_null("rows", rows.iter().map(|r| r.rows)),
        number_or_null("removed", rows.iter().map(|r| r.removed)),
        text_or_null("input", rows.iter().map(|r| r.input.as_ref())),
        text_or_null("error", rows.iter().map(|r| r.error.as_ref())),
    ])
}

fn flows(rows: &[FlowStatus]) -> Result<RecordBatch> {
    batch(vec![
        text("flow", rows.iter().map(|r| &r.flow)),
        text("table", rows.iter().map(|r| &r.table)),
        text("source", rows.iter().map(|r| &r.source)),
        text("phase", rows.iter().map(|r| r.phase.as_str())),
        number("attempt", rows.iter().map(|r| r.attempt.0)),
        number("epoch", rows.iter().map(|r| r.epoch.0)),
        number("rows_in", rows.iter().map(|r| r.rows_in)),
        number("rows_out", rows.iter().map(|r| r.rows_out)),
        ("rows_per_second", Arc::new(Float64Array::from_iter_values(rows.iter().map(|r| r.rows_per_second))), false),
        number_or_null("lag", rows.iter().map(|r| r.lag)),
        time_or_null("watermark", rows.iter().map(|r| r.watermark.map(|t| t.0))),
        number("dead_letters", rows.iter().map(|r| r.dead_letters)),
        number("late_rows", rows.iter().map(|r| r.late_rows)),
        number_or_null("fell_back_to", rows.iter().map(|r| r.fell_back_to.map(|e| e.0))),
        time_or_null("last_error_at", rows.iter().map(|r| r.last_error.as_ref().map(|(at, _)| at.0))),
        text_or_null("last_error", rows.iter().map(|r| r.last_error.as_ref().map(|(_, error)| error))),
    ])
}

fn schedules(rows: &[JobStatus]) -> Result<RecordBatch> {
    let duration_ms = |r: &JobStatus| r.last_duration.and_then(|d| u64::try_from(micros_of(d) / 1_000).ok());
    batch(vec![
        text("report", rows.iter().map(|r| &r.report)),
        text_or_null("schedule", rows.iter().map(|r| r.schedule.as_ref())),
        time_or_null("next_run", rows.iter().map(|r| r.next_run.map(|t| t.0))),
        ("running", Arc::new(BooleanArray::from_iter(rows.iter().map(|r| Some(r.running)))), false),
        time_or_null("last_success", rows.iter().map(|r| r.last_success.map(|t| t.0))),
        number_or_null("last_duration_ms", rows.iter().map(duration_ms)),
        number_or_null("rows", rows.iter().map(|r| r.rows)),
        time_or_null("last_error_at", rows.iter().map(|r| r.last_error.as_ref().map(|(at, _)| at.0))),
        text_or_null("last_error", rows.iter().map(|r| r.last_error.as_ref().map(|(_, error)| error))),
    ])
}

fn reference_data(rows: &[ReferenceStatus]) -> Result<RecordBatch> {
    batch(vec![
        text("table", rows.iter().map(|r| &r.table)),
        number("rows", rows.iter().map(|r| r.rows)),
        number("generation", rows.iter().map(|r| r.generation)),
        time("checked", rows.iter().map(|r| r.checked.0)),
        time_or_null("failing_since", rows.iter().map(|r| r.failing_since.map(|t| t.0))),
        time_or_null("last_error_at", rows.iter().map(|r| r.last_error.as_ref().map(|(at, _)| at.0))),
        text_or_null("last_error", rows.iter().map(|r| r.last_error.as_ref().map(|(_, error)| error))),
    ])
}

fn tables_table(rows: &[Arc<TableSpec>]) -> Result<RecordBatch> {
    let columns = |spec: &TableSpec| {
        let column =
            |f: &Arc<arrow::datatypes::Field>| format!("{} {}{}", f.name(), f.data_type(), if f.is_nullable() { "" } else { " NOT NULL" });
        spec.schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
    };
    let clustering = |spec: &TableSpec| {
        let column =
            |c: &millstream_core::ClusteringColumn| format!("{} {}", c.name, if c.order == SortOrder::Desc { "DESC" } else { "ASC" });
        spec.key.clustering.iter().map(column).collect::<Vec<_>>().join(", ")
    };
    batch(vec![
        text("name", rows.iter().map(|r| &r.name)),
        text("kind", rows.iter().map(|r| r.kind.as_str())),
        text("partition_key", rows.iter().map(|r| r.key.partition.join(", "))),
        text("clustering_key", rows.iter().map(|r| clustering(r))),
        number_or_null("ttl_seconds", rows.iter().map(|r| r.ttl.map(|t| t.as_secs()))),
        text("columns", rows.iter().map(|r| columns(r))),
    ])
}

fn checkpoint_table(rows: &[(FlowId, Epoch)]) -> Result<RecordBatch> {
    batch(vec![text("flow", rows.iter().map(|(flow, _)| flow.as_str())), number("epoch", rows.iter().map(|(_, epoch)| epoch.0))])
}

fn partitions(rows: &[(Option<String>, TopicPartition, LogBounds)]) -> Result<RecordBatch> {
    batch(vec![
        text_or_null("table", rows.iter().map(|(table, _, _)| table.as_ref())),
        text("topic", rows.iter().map(|(_, at, _)| &at.topic)),
        small("partition", rows.iter().map(|(_, at, _)| at.partition)),
        signed("first_offset", rows.iter().map(|(_, _, bounds)| bounds.start.0)),
        signed("next_offset", rows.iter().map(|(_, _, bounds)| bounds.end.0)),
    ])
}
