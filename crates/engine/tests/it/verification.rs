//! `verify` names what somebody did to the tables behind Millstream's back.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch, UInt8Array};
use arrow::datatypes::Schema;
use futures::StreamExt as _;
use millstream_core::ports::{EpochWrite, NewRecord, Scan};
use millstream_core::{Attempt, ChangeBatch, ChangeKind, Epoch, FlowId, TopicPartition, Version};
use millstream_engine::VerifyReport;
use millstream_testkit::ManualClock;

use crate::events::{Reading, readings};
use crate::world::World;

/// A world whose tables are filled, and the first row of `table`.
async fn filled(table: &str) -> (World, RecordBatch) {
    let world = World::new();
    drop(world.engine().await);
    world.publish(&readings(21, 200)).await;
    world.run().await.unwrap();
    let snapshot = world.ports().event_store.snapshot().await.unwrap();
    let first = snapshot.scan(table, &Scan::default()).await.unwrap().next().await.unwrap().unwrap();
    (world, first.slice(0, 1))
}

/// Writes `rows` into `table`, as nobody's flow.
pub async fn tamper(world: &World, table: &str, rows: RecordBatch, kind: ChangeKind) {
    let store = world.ports().event_store;
    let intruder = FlowId::new("intruder");
    store.begin(&intruder, Attempt(1), table).await.unwrap();
    let change = ChangeBatch::inserts(rows.clone(), Version(i64::MAX / 2)).unwrap();
    let kinds = UInt8Array::from(vec![kind.code(); rows.num_rows()]);
    let change = ChangeBatch::try_new(rows, kinds, change.versions().clone(), change.partitions().clone(), change.offsets().clone());
    let write =
        EpochWrite { flow: intruder, attempt: Attempt(1), epoch: Epoch(1), table: table.to_owned(), changes: vec![change.unwrap()] };
    store.commit(write).await.unwrap();
}

/// `row` with `value` in the BIGINT column `column`.
fn with(row: &RecordBatch, column: &str, value: i64) -> RecordBatch {
    let index = row.schema().index_of(column).unwrap();
    let mut columns = row.columns().to_vec();
    columns[index] = Arc::new(Int64Array::from(vec![value]));
    let fields: Vec<_> = row.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    assert_eq!(columns[index].data_type(), row.column(index).data_type());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn verify(world: &World) -> VerifyReport {
    world.engine().await.verify(&|_| {}).await.unwrap()
}

fn problems<'a>(report: &'a VerifyReport, subject: &str) -> &'a [String] {
    &report.checks.iter().find(|c| c.subject == subject).unwrap().problems
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_row_is_named_with_its_event() {
    let (world, row) = filled("by_meter").await;
    tamper(&world, "by_meter", row.clone(), ChangeKind::Delete).await;
    let report = verify(&world).await;
    assert!(!report.is_clean());
    let id = arrow::util::display::array_value_to_string(row.column_by_name("id").unwrap(), 0).unwrap();
    let told = problems(&report, "by_meter");
    assert_eq!(told.len(), 1, "{report}");
    assert!(told[0].starts_with("a row is missing: its event is at partition ") && told[0].contains(&format!("\"id\":{id},")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invented_row_is_named_by_its_key() {
    let (world, row) = filled("by_meter").await;
    tamper(&world, "by_meter", with(&row, "id", 777_777), ChangeKind::Insert).await;
    let report = verify(&world).await;
    let told = problems(&report, "by_meter");
    assert!(told.len() == 1 && told[0].contains("id=777777 is explained by no event"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_window_is_named_with_what_its_events_give() {
    let (world, row) = filled("hourly").await;
    tamper(&world, "hourly", with(&row, "n", 1_000), ChangeKind::Update).await;
    let report = verify(&world).await;
    let told = problems(&report, "hourly");
    assert!(told.len() == 1 && told[0].contains("n is 1000, and its events give "), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_window_is_named() {
    let (world, row) = filled("closed").await;
    tamper(&world, "closed", row, ChangeKind::Delete).await;
    let report = verify(&world).await;
    let told = problems(&report, "closed");
    assert!(told.len() == 1 && told[0].ends_with("is missing"), "{report}");
}

/// A producer's batch may arrive when the other partitions' later records were read already. A flow that has not read it yet owes no rows for it.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_came_later_with_older_times_are_not_expected_yet() {
    let world = World::new();
    drop(world.engine().await);
    let events = readings(22, 200);
    world.publish(&events).await;
    world.run().await.unwrap();
    let newest = events.last().unwrap().partition();
    let like = events.iter().find(|event| event.partition() != newest).unwrap();
    let late = Reading { id: 9_999, value: Some(5), ..like.clone() };
    let record = NewRecord { timestamp: Some(ManualClock::START), value: Some(late.json().into()), ..NewRecord::default() };
    world.ports().log.append(&TopicPartition::new("readings", late.partition()), vec![record]).await.unwrap();
    let report = verify(&world).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.checks.iter().find(|c| c.subject == "by_meter").unwrap().figures["events"], 200, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_has_committed_nothing_is_not_passed_over() {
    let world = World::new();
    let engine = world.engine().await;
    assert!(!engine.verify(&|_| {}).await.unwrap().to_string().contains("has committed nothing yet"), "nothing waits for it");
    world.publish(&readings(21, 200)).await;
    let report = engine.verify(&|_| {}).await.unwrap().to_string();
    assert!(
        report.contains("flow by_meter has committed nothing yet: 200 records that wait for it are accounted for by nothing"),
        "{report}"
    );
    world.run().await.unwrap();
    assert!(!verify(&world).await.to_string().contains("has committed nothing yet"));
}
