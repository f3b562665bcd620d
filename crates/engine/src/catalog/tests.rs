#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use futures::TryStreamExt;
use millstream_core::ports::{DeadLetter, JobRun, JobRunState, Quarantined};
use millstream_core::status::PipelineStatus;
use millstream_core::{Epoch, ErrorKind, FlowId, RowPosition, Timestamp, Value};
use millstream_testkit::row;
use millstream_testkit::rows::date;
use millstream_testkit::tables::event;

use super::fixture::{World, ask, daily_job, shown};
use super::*;

struct Quiet;

impl StatusSource for Quiet {
    fn status(&self) -> PipelineStatus {
        PipelineStatus::default()
    }
}

fn open(world: &World) -> (SessionContext, Arc<dyn StatusSource>) {
    let status: Arc<dyn StatusSource> = Arc::new(Quiet);
    (session(&world.pipeline, &world.ports, world.references.clone(), Arc::downgrade(&status)).unwrap(), status)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_can_be_read() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.depart("f", &[event("EWR", 1, 10, 1, 4), event("JFK", 1, 20, 2, 6)]).await;
    assert_eq!(ask(&session, "SELECT origin, id, n FROM departures ORDER BY id").await, ["EWR|1|4", "JFK|2|6"]);
    assert_eq!(ask(&session, "SELECT count(*) FROM departures").await, ["2"]);
    assert_eq!(ask(&session, "SELECT name FROM airlines ORDER BY name").await, ["American", "United"]);
    for empty in ["flights", "\"Totals\"", "critical", "daily", "public.summary"] {
        assert_eq!(ask(&session, &format!("SELECT count(*) FROM {empty}")).await, ["0"], "{empty}");
    }
    let system = ["dead_letters", "late_rows", "jobs", "flows", "schedules", "reference_data", "tables", "checkpoints", "partitions"];
    for table in system {
        ask(&session, &format!("SELECT * FROM system.{table}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scans_of_a_query_share_one_snapshot() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.depart("f", &[event("EWR", 1, 10, 1, 4)]).await;
    let sql = "SELECT a.id FROM departures a JOIN departures b ON a.id = b.id
               WHERE a.n > (SELECT coalesce(max(v), 0) FROM \"Totals\") AND EXISTS (SELECT 1 FROM departures c WHERE c.id = a.id)";
    assert_eq!(ask(&session, sql).await, ["1"]);
    assert_eq!(*world.store.snapshots.lock().unwrap(), 1);
    assert_eq!(world.store.scans.lock().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_a_report_twice_from_one_publication() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.publish_daily(1, &[row!["UA", date(1), 5, Some(0.5)]]).await;
    let query = session.sql("SELECT flights FROM daily UNION ALL SELECT flights FROM daily").await.unwrap();
    let mut scans = query.clone().execute_stream_partitioned().await.unwrap();
    assert_eq!(scans.len(), 2);
    let second = scans.pop().unwrap();
    assert_eq!(shown(&scans.pop().unwrap().try_collect::<Vec<_>>().await.unwrap()), ["5"]);
    world.publish_daily(2, &[row!["UA", date(1), 6, Some(0.5)]]).await;
    assert_eq!(shown(&second.try_collect::<Vec<_>>().await.unwrap()), ["5"]);
    assert_eq!(shown(&query.collect().await.unwrap()), ["6", "6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_query_sees_new_rows_at_every_execution() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    let prepared = session.sql("SELECT count(*) FROM departures").await.unwrap().logical_plan().clone();
    let prepared = session.state().optimize(&prepared).unwrap();
    let mut seen = Vec::new();
    for id in 1..=3 {
        world.depart(&format!("f{id}"), &[event("EWR", 1, 10, id, 4)]).await;
        let batches = session.execute_logical_plan(prepared.clone()).await.unwrap().collect().await.unwrap();
        seen.push(arrow::util::display::array_value_to_string(batches[0].column(0), 0).unwrap());
    }
    assert_eq!(seen, ["1", "2", "3"]);
    assert_eq!(*world.store.snapshots.lock().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_partition_key_reads_one_partition() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.depart("f", &[event("EWR", 1, 10, 1, 4), event("EWR", 2, 10, 2, 4), event("JFK", 1, 10, 3, 4)]).await;
    let whole = "SELECT id FROM departures WHERE origin = 'EWR' AND day = DATE '1970-01-02' AND n > 0";
    assert_eq!(ask(&session, whole).await, ["1"]);
    assert_eq!(ask(&session, "SELECT id FROM departures WHERE origin = 'JFK'").await, ["3"]);
    assert_eq!(
        ask(&session, "SELECT id FROM departures WHERE origin = 'EWR' OR day = DATE '1970-01-02' ORDER BY id").await,
        ["1", "2", "3"]
    );
    let partitions: Vec<_> = world.store.scans.lock().unwrap().iter().map(|(_, scan)| scan.partition.clone()).collect();
    assert_eq!(partitions, [Some(vec![Value::Str("EWR".to_owned()), Value::Date(1)]), None, None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_columns_that_a_query_needs_are_scanned() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.depart("f", &[event("EWR", 1, 10, 1, 4)]).await;
    assert_eq!(ask(&session, "SELECT n, id FROM departures").await, ["4|1"]);
    let columns: Vec<_> = world.store.scans.lock().unwrap().iter().flat_map(|(_, scan)| scan.columns.clone()).collect();
    assert_eq!(columns.len(), 1);
    assert!(columns[0].iter().all(|c| [3, 6].contains(c)), "{columns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_a_table_of_its_readable_records() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.publish(0, Some("k0"), Some(r#"{"event_id":1,"origin":"EWR","delay":5}"#)).await;
    world.publish(0, None, Some("not json")).await;
    world.publish(0, Some("1"), None).await;
    world.publish(1, None, Some(r#"{"event_id":2,"origin":"JFK"}"#)).await;
    assert_eq!(ask(&session, "SELECT event_id, origin, delay FROM flights ORDER BY event_id").await, ["1|EWR|5", "2|JFK|null"]);
    let metadata =
        "SELECT event_id, encode(_key, 'hex'), _headers[1]['key'], _topic, _partition, _offset, _timestamp FROM flights ORDER BY event_id";
    assert_eq!(
        ask(&session, metadata).await,
        ["1|6b30|trace|flights|0|0|2024-01-01T00:00:00Z", "2|null|trace|flights|1|0|2024-01-01T00:00:00Z"]
    );
    assert_eq!(ask(&session, "SELECT count(*) FROM flights").await, ["2"]);
    assert_eq!(
        ask(&session, "SELECT topic, partition, next_offset FROM system.partitions ORDER BY partition").await,
        ["flights|0|3", "flights|1|1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_read_to_where_it_ended_when_the_query_was_planned() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.publish(0, None, Some(r#"{"event_id":1,"origin":"EWR"}"#)).await;
    let plan = session.sql("SELECT event_id FROM flights").await.unwrap().create_physical_plan().await.unwrap();
    world.publish(0, None, Some(r#"{"event_id":2,"origin":"EWR"}"#)).await;
    world.publish(1, None, Some(r#"{"event_id":3,"origin":"EWR"}"#)).await;
    let batches: Vec<_> = datafusion::physical_plan::execute_stream(plan, session.task_ctx()).unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_gone_is_an_error_with_its_name() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    world.ports.log.delete_topic("flights").await.unwrap();
    let error = from_datafusion(session.sql("SELECT * FROM flights").await.unwrap().collect().await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("topic flights"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn system_tables_show_what_was_put_aside_and_what_ran() {
    let world = World::new().await;
    let (session, _status) = open(&world);
    let letter = DeadLetter {
        flow: FlowId::new("departures"),
        epoch: Epoch(3),
        source: "flights".to_owned(),
        position: RowPosition { partition: 1, offset: 42 },
        timestamp: Timestamp(1_000_000),
        key: Some(bytes::Bytes::from_static(b"\xff")),
        value: Some(bytes::Bytes::from_static(b"{oops")),
        reason: "not JSON".to_owned(),
        at: Timestamp(2_000_000),
    };
    world.ports.system.quarantine(Quarantined { dead_letters: vec![letter], late_rows: Vec::new() }).await.unwrap();
    let sql = "SELECT flow, epoch, source, partition, \"offset\", reason, key, key_text, value_text, at FROM system.dead_letters";
    assert_eq!(ask(&session, sql).await, ["departures|3|flights|1|42|not JSON|ff|null|{oops|1970-01-01T00:00:02Z"]);
    let run = JobRun {
        report: "daily".to_owned(),
        run: 7,
        trigger: "request".to_owned(),
        state: JobRunState::Failed,
        started: Timestamp(0),
        ended: None,
        rows: None,
        removed: None,
        input: None,
        error: Some("why".to_owned()),
    };
    world.ports.system.record_run(&run).await.unwrap();
    assert_eq!(ask(&session, "SELECT report, run, state, ended, error FROM system.jobs").await, ["daily|7|failed|null|why"]);
    assert_eq!(ask(&session, "SELECT kind, partition_key FROM system.tables WHERE name = 'departures'").await, ["event store|origin, day"]);
    assert_eq!(ask(&session, "SELECT \"table\", rows FROM system.reference_data").await, ["airlines|2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_pipeline_has_stopped_says_so() {
    let world = World::new().await;
    let (session, status) = open(&world);
    assert_eq!(ask(&session, "SELECT count(*) FROM system.flows").await, ["0"]);
    drop(status);
    let error = from_datafusion(session.sql("SELECT * FROM system.flows").await.unwrap().collect().await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_plan_reads_the_given_snapshot() {
    let world = World::new().await;
    world.depart("f", &[event("EWR", 1, 10, 1, 4)]).await;
    let job = daily_job(&world.pipeline, None).await;
    let snapshot = world.ports.event_store.snapshot().await.unwrap();
    world.depart("g", &[event("EWR", 1, 20, 2, 8)]).await;
    let plan = job_plan(&job.plan, &world.pipeline, &world.ports, &world.references, snapshot).unwrap();
    let spark = millstream_pipeline::session::spark_session();
    let batches = spark.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    assert_eq!(arrow::util::display::array_value_to_string(batches[0].column(2), 0).unwrap(), "1");
    assert_eq!(*world.store.snapshots.lock().unwrap(), 1);
}
