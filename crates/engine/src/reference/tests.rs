#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Mutex;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use millstream_core::ports::{EpochSink, EpochWrite, Publication, Published, ReportSnapshot, ReportStore};
use millstream_core::{Attempt, Epoch, ErrorKind, FlowId, KeySpec, TableKind, Value};
use millstream_testkit::toy::ToyReportStore;
use millstream_testkit::{ManualClock, row};

use super::*;

/// A source whose rows and revision the test sets.
struct Settable(Mutex<(String, Result<RecordBatch, String>)>);

impl Settable {
    fn set(&self, revision: &str, rows: Result<RecordBatch, String>) {
        *self.0.lock().unwrap() = (revision.to_owned(), rows);
    }
}

#[async_trait]
impl ReferenceSource for Settable {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(spec().schema.clone())
    }

    async fn revision(&self) -> Result<String> {
        Ok(self.0.lock().unwrap().0.clone())
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        self.0.lock().unwrap().1.clone().map(|b| vec![b]).map_err(Error::unavailable)
    }
}

fn spec() -> Arc<TableSpec> {
    let schema = Schema::new(vec![Field::new("code", DataType::Utf8, false), Field::new("n", DataType::Int64, true)]);
    Arc::new(TableSpec {
        name: "airlines".to_owned(),
        kind: TableKind::Reference,
        schema: Arc::new(schema),
        key: KeySpec::default(),
        ttl: None,
    })
}

fn rows(values: &[i32]) -> RecordBatch {
    let codes: Vec<_> = values.iter().map(|n| format!("c{n}")).collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int32Array::from(values.to_vec())) as ArrayRef),
        ("extra", Arc::new(Int64Array::from(vec![0; values.len()]))),
        ("code", Arc::new(StringArray::from(codes))),
    ])
    .unwrap()
}

async fn tables(clock: &Arc<ManualClock>, source: &Arc<Settable>) -> ReferenceTables {
    let clock: Arc<dyn Clock> = clock.clone();
    let table = ReferenceTable::new(spec(), Origin::Data(source.clone()), Duration::from_secs(60), &clock);
    assert!(table.refresh(clock.as_ref()).await.unwrap());
    ReferenceTables { tables: [("airlines".to_owned(), table)].into(), clock }
}

fn source() -> Arc<Settable> {
    Arc::new(Settable(Mutex::new(("r1".to_owned(), Ok(rows(&[1, 2]))))))
}

#[tokio::test]
async fn rows_have_the_columns_of_the_table() {
    let tables = tables(&Arc::default(), &source()).await;
    let rows = tables.get("airlines").unwrap();
    assert_eq!((rows.generation, rows.rows()), (1, 2));
    assert_eq!(rows.batches[0].schema(), spec().schema);
    assert_eq!(rows.batches[0].column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(tables.get("nope").unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_change_swaps_the_table_and_leaves_what_readers_hold() {
    let source = source();
    let tables = tables(&Arc::default(), &source).await;
    let (before, now) = (tables.get("airlines").unwrap(), tables.now());
    assert!(!tables.refresh("airlines").await.unwrap());
    source.set("r2", Ok(rows(&[7])));
    assert!(tables.refresh("airlines").await.unwrap());
    let after = tables.get("airlines").unwrap();
    assert_eq!((before.rows(), before.generation), (2, 1));
    assert_eq!((after.rows(), after.generation), (1, 2));
    assert_eq!(now.get("airlines").unwrap().generation, 1, "what was there at one moment stays what it was");
    assert_eq!(now.get("planes").unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_source_that_fails_keeps_the_old_rows_and_shows_why() {
    let source = source();
    let tables = tables(&Arc::default(), &source).await;
    source.set("r2", Err("the share is gone".to_owned()));
    tables.refresh("airlines").await.unwrap_err();
    assert_eq!(tables.get("airlines").unwrap().generation, 1);
    let (_, error) = tables.status()[0].last_error.clone().unwrap();
    assert!(error.contains("airlines") && error.contains("the share is gone"), "{error}");
    source.set("r2", Ok(rows(&[7])));
    assert!(tables.refresh("airlines").await.unwrap());
    assert!(tables.status()[0].last_error.is_none());
}

#[tokio::test]
async fn an_outage_begins_with_the_first_look_that_failed_and_ends_with_the_next_that_does_not() {
    let (clock, source) = (Arc::new(ManualClock::default()), source());
    let tables = tables(&clock, &source).await;
    let status = || tables.status().remove(0);
    let loaded = clock.now();
    assert_eq!((status().checked, status().failing_since), (loaded, None));
    source.set("r2", Err("the share is gone".to_owned()));
    clock.advance(Duration::from_secs(60));
    let first = clock.now();
    tables.refresh("airlines").await.unwrap_err();
    clock.advance(Duration::from_secs(60));
    source.set("r2", Err("the share is still gone".to_owned()));
    tables.refresh("airlines").await.unwrap_err();
    let last_error = Some((clock.now(), "reference table airlines: the share is still gone".to_owned()));
    assert_eq!(
        status(),
        ReferenceStatus { table: "airlines".to_owned(), rows: 2, generation: 1, checked: loaded, failing_since: Some(first), last_error }
    );
    source.set("r1", Ok(rows(&[1, 2])));
    assert!(!tables.refresh("airlines").await.unwrap(), "the same rows as before");
    assert_eq!((status().checked, status().failing_since, status().last_error), (clock.now(), None, None));
}

#[tokio::test]
async fn the_background_looks_at_every_table_by_its_clock_until_shutdown() {
    let (clock, source) = (Arc::new(ManualClock::default()), source());
    let tables = Arc::new(tables(&clock, &source).await);
    let shutdown = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let (running, token) = (tables.clone(), shutdown.clone());
    tasks.spawn(async move { running.run(token).await });
    clock.until_sleepers(1).await;
    source.set("r2", Ok(rows(&[7, 8, 9])));
    clock.advance(Duration::from_secs(60));
    while tables.get("airlines").unwrap().generation == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tables.get("airlines").unwrap().rows(), 3);
    shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[test]
fn a_value_that_does_not_fit_names_its_column() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int8, true)]));
    let error = fit(&rows(&[1, 300]), &schema).unwrap_err();
    assert!(error.to_string().contains("column n as Int8"), "{error}");
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("absent", DataType::Int8, true)]));
    assert!(fit(&rows(&[1]), &schema).unwrap_err().to_string().contains("no column absent"));
}

/// Publishes the report of `spec` with one row for each value.
async fn publish(store: &ToyReportStore, spec: &TableSpec, run: u64, values: &[i64]) {
    let lines: Vec<_> = values.iter().map(|n| row![format!("c{n}"), *n, *n]).collect();
    let rows = millstream_testkit::rows::stream_of(&spec.schema, &lines, 1).unwrap();
    store.publish(Publication { report: spec.name.clone(), run, rows }).await.unwrap();
}

#[tokio::test]
async fn a_report_is_nothing_before_it_was_published_and_then_what_was_published_last() {
    let field = |name, data_type, nullable| Field::new(name, data_type, nullable);
    let columns = [field("code", DataType::Utf8, false), field("unread", DataType::Int64, true), field("n", DataType::Int64, true)];
    let wide = TableSpec {
        name: "stats".to_owned(),
        kind: TableKind::Report,
        schema: Arc::new(Schema::new(columns.to_vec())),
        key: KeySpec::single(["code"]),
        ttl: None,
    };
    let store = Arc::new(ToyReportStore::open(Arc::default()));
    store.ensure_report(&wide).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let narrow = Arc::new(TableSpec { schema: Arc::new(wide.schema.project(&[0, 2]).unwrap()), ..wide.clone() });
    let origin = Origin::Report(PublishedReport::new(store.clone(), &wide, vec![0, 2]));
    let table = ReferenceTable::new(narrow.clone(), origin, REPORT_REFRESH, &clock);
    let tables = Arc::new(ReferenceTables { tables: [("stats".to_owned(), table)].into(), clock });
    let names = ["stats".to_owned(), "airlines".to_owned()];

    assert!(!tables.refresh("stats").await.unwrap());
    let error = tables.get("stats").unwrap_err();
    assert_eq!((error.kind(), tables.runs(&names).len()), (ErrorKind::Unavailable, 0));
    assert!(error.to_string().contains("millstream refresh stats"), "{error}");
    assert!(tables.status()[0].last_error.as_ref().unwrap().1.contains("never published"));
    assert_eq!(tables.status()[0].failing_since, None, "its store can be read");
    let mut waits = tokio::task::JoinSet::new();
    let waited = tables.clone();
    waits.spawn(async move { waited.until_published("stats").await });

    // Also one without rows is a report.
    publish(&store, &wide, 4, &[]).await;
    tables.published("stats").await;
    waits.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!((tables.get("stats").unwrap().rows(), tables.get("stats").unwrap().generation), (0, 1));

    publish(&store, &wide, 5, &[7, 8]).await;
    assert_eq!(tables.get("stats").unwrap().generation, 1, "nobody has looked");
    tables.published("stats").await;
    let rows = tables.get("stats").unwrap();
    assert_eq!((rows.rows(), rows.generation, rows.schema.clone()), (2, 2, narrow.schema.clone()));
    assert!(rows.batches.iter().all(|batch| batch.schema() == narrow.schema));
    assert_eq!(tables.runs(&names), [("stats".to_owned(), "5".to_owned())].into());
    assert!(tables.status()[0].last_error.is_none());
    tables.published("a report that no flow joins").await;
}

/// A store in which another run publishes the report between the first two looks at it.
struct Overtaken {
    inner: ToyReportStore,
    next: tokio::sync::Mutex<Option<(TableSpec, u64, Vec<i64>)>>,
}

#[async_trait]
impl EpochSink for Overtaken {
    async fn begin(&self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<Epoch> {
        self.inner.begin(flow, attempt, table).await
    }

    async fn commit(&self, write: EpochWrite) -> Result<u64> {
        self.inner.commit(write).await
    }
}

#[async_trait]
impl ReportStore for Overtaken {
    async fn ensure_report(&self, spec: &TableSpec) -> Result<()> {
        self.inner.ensure_report(spec).await
    }

    async fn publish(&self, publication: Publication) -> Result<Published> {
        self.inner.publish(publication).await
    }

    async fn published_run(&self, report: &str) -> Result<Option<u64>> {
        let run = self.inner.published_run(report).await?;
        if let Some((spec, next, values)) = self.next.lock().await.take() {
            publish(&self.inner, &spec, next, &values).await;
        }
        Ok(run)
    }

    async fn snapshot(&self) -> Result<Arc<dyn ReportSnapshot>> {
        self.inner.snapshot().await
    }

    async fn get(&self, report: &str, key: &[Value]) -> Result<RecordBatch> {
        self.inner.get(report, key).await
    }

    async fn drop_report(&self, report: &str) -> Result<()> {
        self.inner.drop_report(report).await
    }
}

/// Rows are told by the run that published them: `verify` and checkpoints go by it.
#[tokio::test]
async fn a_report_that_is_published_between_two_looks_has_the_run_of_its_rows() {
    let columns =
        [Field::new("code", DataType::Utf8, false), Field::new("m", DataType::Int64, true), Field::new("n", DataType::Int64, true)];
    let (name, kind, schema, key) =
        ("stats".to_owned(), TableKind::Report, Arc::new(Schema::new(columns.to_vec())), KeySpec::single(["code"]));
    let spec = TableSpec { name, kind, schema, key, ttl: None };
    let inner = ToyReportStore::open(Arc::default());
    inner.ensure_report(&spec).await.unwrap();
    publish(&inner, &spec, 4, &[1]).await;
    let store = Arc::new(Overtaken { inner, next: tokio::sync::Mutex::new(Some((spec.clone(), 5, vec![7, 8]))) });
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let origin = Origin::Report(PublishedReport::new(store, &spec, vec![0, 1, 2]));
    let table = ReferenceTable::new(Arc::new(spec), origin, REPORT_REFRESH, &clock);
    assert!(table.refresh(clock.as_ref()).await.unwrap());
    let rows = table.held().rows;
    assert_eq!((rows.rows(), rows.revision.as_deref()), (2, Some("5")));
    assert!(!table.refresh(clock.as_ref()).await.unwrap(), "nothing is new");
}
