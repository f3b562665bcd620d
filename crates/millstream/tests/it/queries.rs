//! What can be asked of a pipeline, whether it runs or not.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, UInt8Array};
use futures::TryStreamExt as _;
use millstream_adapters::embedded::{DataDir, EmbeddedStore, StoreSettings};
use millstream_adapters::kafka::{KafkaProducer, OutgoingRecord, ProducerSettings};
use millstream_core::ports::{EpochSink, EpochWrite, EventStore, Scan, SystemClock};
use millstream_core::{Attempt, ChangeBatch, ChangeKind, Epoch, FlowId};
use serde_json::json;

use super::process::{Outcome, Place, Running, http_get, millstream};

const PIPELINE: &str = "
CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, place STRING NOT NULL, value INT)
USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');

CREATE STREAMING TABLE by_place USING cassandra
PARTITIONED BY (ts, place) TBLPROPERTIES ('clustering_key' = 'id ASC')
AS SELECT place, ts, id, value FROM STREAM readings;

CREATE STREAMING TABLE high USING redis
TBLPROPERTIES ('key' = 'ts, place, id', 'ttl' = '1 hour')
AS SELECT * FROM STREAM by_place WHERE value >= 6;

CREATE MATERIALIZED VIEW totals USING postgresql
TBLPROPERTIES ('primary_key' = 'place')
AS SELECT place, count(*) AS readings, sum(value) AS value FROM by_place GROUP BY place;
";

fn event(id: i64, place: &str, value: Option<i32>) -> String {
    json!({ "id": id, "ts": "2026-01-01T12:00:00Z", "place": place, "value": value }).to_string()
}

/// Sends the events and returns when they are acknowledged.
fn produce(running: &Running, events: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let producer = KafkaProducer::connect(&ProducerSettings::new(running.listen["kafka"].as_str().unwrap())).unwrap();
        for event in events {
            producer.send(OutgoingRecord { topic: "readings", value: Some(event.as_bytes()), ..OutgoingRecord::default() }).await.unwrap();
        }
        producer.flush().await.unwrap();
    });
}

/// Asks until the answer is as expected: the flows take what was acknowledged in their own time.
fn eventually(running: &Running, query: &str, expected: &[&str]) {
    let mut answers = std::iter::repeat_with(|| running.rows(query).unwrap()).take(20_000);
    assert!(answers.any(|rows| rows == expected), "{query} never gave {expected:?}");
}

fn three_readings() -> (Place, Running) {
    let place = Place::with(PIPELINE);
    let running = place.run();
    produce(&running, &[event(1, "attic", Some(5)), event(2, "attic", Some(7)), event(3, "cellar", None)]);
    eventually(&running, "select count(*) from by_place", &["3"]);
    (place, running)
}

#[test]
fn rows_are_printed_as_a_table_csv_or_json_alike_while_it_runs_and_at_rest() {
    let (place, running) = three_readings();
    let query = "select place, value from by_place order by id";
    let print = |format: &str| Outcome::of(&mut place.command(&["sql", "-e", query, "--format", format])).stdout;
    let expect = |when: &str| {
        assert_eq!(print("csv"), "place,value\nattic,5\nattic,7\ncellar,\n", "{when}");
        assert_eq!(
            print("json"),
            "{\"place\":\"attic\",\"value\":5}\n{\"place\":\"attic\",\"value\":7}\n{\"place\":\"cellar\",\"value\":null}\n",
            "{when}"
        );
        assert!(print("table").starts_with(" place  | value\n--------+-------\n attic  |     5\n"), "{when}: {}", print("table"));
        assert!(print("table").ends_with("(3 rows)\n"), "{when}");
    };
    expect("running");
    running.kill();
    expect("at rest");
}

#[test]
fn a_query_that_writes_or_is_wrong_is_refused() {
    let place = Place::with(PIPELINE);
    let _running = place.run();
    for (query, answer) in [
        ("select nothing from by_place", "column \"nothing\" does not exist (There are: by_place.place, "),
        ("select * from nowhere", "relation \"nowhere\" does not exist\n"),
        ("selct 1", "syntax error: Expected: an SQL statement, found: selct"),
        ("select cast('x' as int)", "can't be answered: Cannot cast string 'x'"),
        ("insert into by_place values (1)", "INSERT writes, and here everything can only be read"),
        ("create table x (a int)", "CREATE TABLE writes, and here everything can only be read"),
        ("select 1; select 2", "it has several statements"),
        ("", "it is empty"),
    ] {
        Outcome::of(&mut place.command(&["sql", "-e", query])).refused(&["error: the query can't be answered: ", answer]);
    }
}

#[test]
fn a_report_is_refreshed_by_name_and_verified() {
    let (place, running) = three_readings();
    let refreshed = Outcome::of(&mut place.command(&["refresh", "totals"]));
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    assert!(refreshed.stdout.contains("succeeded, 2 rows"), "{}", refreshed.stdout);
    assert_eq!(running.rows("select place, readings, value from totals order by place").unwrap(), ["attic,2,12", "cellar,1,"]);
    let verified = Outcome::of(&mut place.command(&["verify"]));
    assert_eq!(verified.code, Some(0), "{}\n{}", verified.stdout, verified.stderr);
    let (_, log) = running.terminate();
    let at_rest = Outcome::of(&mut place.command(&["verify", "--format", "json"]));
    assert_eq!(at_rest.code, Some(0), "{}\n{}\n{log}", at_rest.stdout, at_rest.stderr);
    Outcome::of(&mut place.command(&["refresh", "nothing"])).refused(&["nothing"]);
}

/// Deletes the row of `id` as no flow of the pipeline would: straight in the store.
fn remove_behind_its_back(place: &Place, id: i64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _lock = DataDir::lock(place.data()).unwrap();
        let store = EmbeddedStore::open(place.data().join("store"), StoreSettings::default(), Arc::new(SystemClock)).unwrap();
        let events = store.events();
        let scan = events.snapshot().await.unwrap().scan("by_place", &Scan::default()).await.unwrap();
        let rows: Vec<_> = scan.try_collect().await.unwrap();
        let rows = arrow::compute::concat_batches(&rows[0].schema(), &rows).unwrap();
        let ids = rows.column_by_name("id").unwrap().as_any().downcast_ref::<Int64Array>().unwrap();
        let row = rows.slice(ids.values().iter().position(|v| *v == id).unwrap(), 1);
        let positions = (Int32Array::from(vec![-1]), Int64Array::from(vec![-1]));
        let kinds = UInt8Array::from(vec![ChangeKind::Delete.code()]);
        let change = ChangeBatch::try_new(row, kinds, Int64Array::from(vec![i64::MAX / 2]), positions.0, positions.1).unwrap();
        let (flow, attempt, table) = (FlowId::new("intruder"), Attempt(1), "by_place".to_owned());
        events.begin(&flow, attempt, &table).await.unwrap();
        assert_eq!(events.commit(EpochWrite { flow, attempt, epoch: Epoch(1), table, changes: vec![change] }).await.unwrap(), 1);
    });
}

#[test]
fn a_row_that_was_removed_behind_its_back_is_named() {
    let (place, running) = three_readings();
    running.terminate();
    remove_behind_its_back(&place, 2);
    let verified = Outcome::of(&mut place.command(&["verify"]));
    assert_eq!(verified.code, Some(1), "{}\n{}", verified.stdout, verified.stderr);
    for part in ["by_place", "a row is missing", "offset 1", "\"id\":2"] {
        assert!(verified.stdout.contains(part), "no {part:?} in {}", verified.stdout);
    }
    assert_eq!(verified.stdout.matches("a row is missing").count(), 1, "{}", verified.stdout);
}

#[test]
fn an_emptied_cache_is_filled_from_the_event_store_when_it_is_asked() {
    let (place, running) = three_readings();
    eventually(&running, "select id from high", &["2"]);
    let evicted = Outcome::of(&mut place.command(&["evict", "high"]));
    assert_eq!(evicted.code, Some(0), "{}", evicted.stderr);
    assert!(running.rows("select id from high").unwrap().is_empty());
    let verified = Outcome::of(&mut place.command(&["verify"]));
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    let base = format!("http://{}/", running.listen["http"].as_str().unwrap());
    let read = |id: u8| http_get(&base, &format!("v1/tables/high?ts=2026-01-01T12:00:00Z&place=attic&id={id}"));
    let answer = read(2);
    assert!(answer.contains("\"value\":7") && answer.to_lowercase().contains("cache-status: millstream; fwd=miss"), "{answer}");
    assert!(!read(1).contains("\"value\""), "5 is not high");
    assert_eq!(running.rows("select id from high").unwrap(), ["2"], "the read has filled the cache");
    Outcome::of(&mut place.command(&["evict", "by_place"])).refused(&["by_place (event store) can't be emptied"]);
}

#[test]
fn a_dead_letter_is_replayed_repaired() {
    let (place, running) = three_readings();
    produce(&running, &["{\"id\": \"four\"}".to_owned()]);
    eventually(&running, "select \"offset\", flow from system.dead_letters", &["3,by_place"]);
    let file = place.dir().join("repaired.jsonl");
    std::fs::write(&file, format!("{{\"partition\":0,\"offset\":3,\"value\":{}}}\n", event(4, "attic", Some(1)))).unwrap();
    let replayed = Outcome::of(&mut place.command(&["replay", "dead-letters", "--file", file.to_str().unwrap()]));
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    eventually(&running, "select count(*) from by_place", &["4"]);
    assert!(running.rows("select * from system.dead_letters").unwrap().is_empty());
}

#[test]
fn a_printed_dead_letter_is_edited_and_given_back() {
    let (place, running) = three_readings();
    produce(&running, &["{\"id\": \"four\"}".to_owned()]);
    eventually(&running, "select \"offset\", flow from system.dead_letters", &["3,by_place"]);
    let printed = Outcome::of(&mut place.command(&["sql", "-e", "select * from system.dead_letters", "--format", "json"])).stdout;
    let mut row: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(row["value"].is_string() && row["value_text"].is_string(), "{printed}");
    row["value_text"] = event(4, "attic", Some(1)).into();
    let file = place.dir().join("repaired.jsonl");
    std::fs::write(&file, format!("{row}\n")).unwrap();
    let replayed = Outcome::of(&mut place.command(&["replay", "dead-letters", "--file", file.to_str().unwrap()]));
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    eventually(&running, "select count(*) from by_place", &["4"]);
    assert!(running.rows("select * from system.dead_letters").unwrap().is_empty());
}

#[test]
fn a_reset_table_is_built_again_and_only_at_rest() {
    let (place, running) = three_readings();
    Outcome::of(&mut place.command(&["reset", "by_place"])).refused(&["stop process"]);
    running.terminate();
    let reset = Outcome::of(&mut place.command(&["reset", "by_place"]));
    assert_eq!(reset.code, Some(0), "{}", reset.stderr);
    let count = |place: &Place| Outcome::of(&mut place.command(&["sql", "-e", "select count(*) from by_place", "--format", "csv"])).stdout;
    assert!(count(&place).ends_with("\n0\n"));
    let running = place.run();
    eventually(&running, "select count(*) from by_place", &["3"]);
}

#[test]
fn the_status_names_flows_and_listeners_and_nothing_runs_says_so() {
    let (place, running) = three_readings();
    let status: serde_json::Value = serde_json::from_str(&Outcome::of(&mut place.command(&["status"])).stdout).unwrap();
    assert_eq!(status["pipeline"]["flows"][0]["flow"], "by_place");
    assert_eq!(status["listen"]["kafka"], running.listen["kafka"]);
    running.terminate();
    let outcome = Outcome::of(&mut place.command(&["status"]));
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("no pipeline runs on data directory"), "{}", outcome.stderr);
    // A process that has the directory and does not answer yet is opening it.
    let _holder = DataDir::lock(place.data()).unwrap();
    for command in [&["status"][..], &["refresh", "by_place"], &["sql", "-e", "SELECT 1"]] {
        let outcome = Outcome::of(&mut place.command(command));
        assert_eq!(outcome.code, Some(3));
        assert!(outcome.stderr.contains("is not open yet, or is ending"), "{}", outcome.stderr);
    }
}

#[test]
fn an_unused_data_directory_says_how_to_use_it() {
    let place = Place::with(PIPELINE);
    let outcome = Outcome::of(&mut place.command(&["sql", "-e", "select 1"]));
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("millstream run"), "{}", outcome.stderr);
    // Where it was looked for, in full.
    let outcome = Outcome::of(millstream().args(["sql", "-e", "select 1"]).current_dir(place.dir()));
    let there = std::fs::canonicalize(place.dir()).unwrap().join("millstream-data");
    assert!(outcome.stderr.contains(&format!("there is no data directory {}", there.display())), "{}", outcome.stderr);
}
