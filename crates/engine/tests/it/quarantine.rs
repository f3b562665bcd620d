//! Events that can't become rows, and events that come too late: each is in exactly one place, and can be replayed.

use millstream_core::ErrorKind;
use millstream_engine::{RepairedEvent, ReplayRequest};
use millstream_testkit::faults::Call;

use crate::events::{Reading, hourly, readings};
use crate::straight::check;
use crate::world::{World, checked, hours, rows};

const BAD: [(&str, &str); 4] = [
    ("{\"id\":1,\"ts\":", "malformed"),
    ("{\"id\":\"x\",\"ts\":\"2024-01-01T00:00:00Z\",\"meter\":\"a\"}", "a string in a BIGINT column"),
    ("{\"id\":1,\"meter\":\"a\"}", "a missing NOT NULL column"),
    ("[1]", "not an object"),
];

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_dead_letters_once_for_each_flow_whatever_dies() {
    let world = World::with_epochs_of(9);
    let events = readings(11, 100);
    drop(world.engine().await);
    world.publish(&events[..50]).await;
    world.publish_values(BAD.iter().map(|(value, _)| (0, (*value).to_owned()))).await;
    world.publish(&events[50..]).await;
    world.faults.fail(Call::Commit, 7, ErrorKind::Internal);
    world.faults.fail_after(Call::Commit, 13, ErrorKind::Internal);
    let engine = world.run_through_deaths().await;
    check(&engine, &events).await;
    let dead = rows(&engine, "SELECT flow, count(*) FROM system.dead_letters GROUP BY flow ORDER BY flow").await;
    assert_eq!(dead, ["by_meter 4", "closed 4", "hourly 4"]);
}

/// Each read of a log gives many records, and a Kafka cluster takes a while to answer it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_late_together_are_not_read_one_by_one() {
    let world = World::new();
    let events = readings(38, 300);
    drop(world.engine().await);
    // The first hundred come hours late.
    world.publish(events[100..].iter().chain(&events[..100])).await;
    let engine = world.run().await.unwrap();
    let late = rows(&engine, "SELECT count(*), count(value) FROM system.late_rows").await;
    let (late, with_values) = late[0].split_once(' ').map(|(a, b)| (a.parse::<u64>().unwrap(), b.parse::<u64>().unwrap())).unwrap();
    assert!(late > 100 && with_values == late, "{late} late rows, {with_values} with their values");
    let reads = world.faults.calls(Call::ReadLog);
    assert!(reads < late / 4, "{reads} reads for {late} late rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_dead_letter_becomes_a_row_of_every_flow_once() {
    let world = World::new();
    let events = readings(12, 60);
    drop(world.engine().await);
    // The last event, for which no window has closed.
    let (broken, whole) = events.split_last().unwrap();
    world.publish(whole).await;
    world.publish_values([(broken.partition(), "{broken".to_owned())]).await;
    let engine = world.run().await.unwrap();
    let place = rows(&engine, "SELECT DISTINCT partition, \"offset\" FROM system.dead_letters").await;
    let (partition, offset) = place[0].split_once(' ').unwrap();
    let repaired = RepairedEvent {
        flow: None,
        source: None,
        partition: partition.parse().unwrap(),
        offset: offset.parse().unwrap(),
        value: broken.json(),
    };
    let outcome = engine.replay_dead_letters(ReplayRequest { repaired: vec![repaired], ..ReplayRequest::default() }).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (1, 3));
    let engine = world.run().await.unwrap();
    check(&engine, &events).await;
    assert_eq!(rows(&engine, "SELECT count(*) FROM system.dead_letters").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_in_a_query_is_dead_for_that_flow_alone() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, text STRING) USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '2');
         CREATE STREAMING TABLE numbers USING cassandra PARTITIONED BY (id) AS SELECT id, CAST(text AS INT) AS number FROM STREAM readings;
         CREATE STREAMING TABLE texts USING cassandra PARTITIONED BY (id) AS SELECT id, text FROM STREAM readings;",
    );
    drop(world.engine().await);
    let value = |id: i32| {
        (0, if id % 10 == 3 { format!("{{\"id\":{id},\"text\":\"x{id}\"}}") } else { format!("{{\"id\":{id},\"text\":\"{id}\"}}") })
    };
    world.publish_values((0..100).map(value)).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT count(*), sum(number) FROM numbers").await, ["90 4470"]);
    assert_eq!(rows(&engine, "SELECT count(*) FROM texts").await, ["100"]);
    let dead = rows(&engine, "SELECT flow, count(*) FROM system.dead_letters GROUP BY flow").await;
    assert_eq!(dead, ["numbers 10"]);
    let reasons = rows(&engine, "SELECT reason FROM system.dead_letters ORDER BY \"offset\"").await;
    assert!(
        reasons[0].starts_with("column number: Cast error: Cannot cast string 'x3'") && reasons[0].contains(", in CAST("),
        "{reasons:?}"
    );
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    // Published again, they are events of the flow that they are dead for alone, and each event is told to be in one place.
    let outcome = engine.replay_dead_letters(ReplayRequest::default()).await.unwrap();
    assert_eq!((outcome.published, outcome.released), (10, 10));
    let report = world.run().await.unwrap().verify(&|_| {}).await.unwrap();
    let figures = |table: &str| {
        let check = report.checks.iter().find(|c| c.subject == table).unwrap();
        let figures = check.figures.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}"));
        figures.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(figures("numbers"), "dead 10, events 110, replayed 10, rows 90");
    assert_eq!(figures("texts"), "events 100, rows 100");
}

/// Arrow's own words (`Divide by zero error`) say nothing of where.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_names_the_column_and_the_expression_that_failed() {
    let mut world = World::new();
    world.pipeline = checked(
        "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, value INT, share INT)
         USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
         CREATE STREAMING TABLE shares USING cassandra PARTITIONED BY (id) AS SELECT id, value DIV share AS part, value * 2 AS twice FROM STREAM readings;
         CREATE STREAMING TABLE large USING cassandra PARTITIONED BY (id) AS SELECT id FROM STREAM readings WHERE value DIV share > 3;
         CREATE STREAMING TABLE hourly USING cassandra PARTITIONED BY (hour) TBLPROPERTIES ('output_mode' = 'update')
         AS SELECT window.start AS hour, sum(value DIV share) AS parts FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR
            GROUP BY window(ts, '1 hour');",
    );
    drop(world.engine().await);
    let event =
        |(id, value, share): (i64, i64, i64)| (0, format!(r#"{{"id":{id},"ts":"2024-01-01T00:00:00Z","value":{value},"share":{share}}}"#));
    world.publish_values([(1, 8, 2), (2, 8, 0), (3, 2_000_000_000, 1)].into_iter().map(event)).await;
    let engine = world.run().await.unwrap();
    let dead = rows(&engine, "SELECT flow, \"offset\", reason FROM system.dead_letters ORDER BY flow, \"offset\"").await;
    let begins =
        ["hourly 1 Divide by zero error, in ", "large 1 Divide by zero error, in ", "shares 1 column part: Divide by zero error, in "];
    for (dead, begins) in dead.iter().zip(begins) {
        assert!(dead.starts_with(begins) && dead.contains("value") && dead.contains(" DIV ") && dead.contains("share"), "{dead}");
    }
    assert!(dead[3].starts_with("shares 2 column twice: Arithmetic overflow: ") && dead[3].contains(", in (value * "), "{dead:?}");
    assert_eq!(dead.len(), 4, "{dead:?}");
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

/// Of no row nothing is computed, so nothing fails before a window is due; then the flow stops, and says why. Spark's would, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_constant_that_fails_stops_its_flow_alone_and_not_before_there_is_a_row() {
    for (column, condition, names) in [
        ("1 DIV 0 AS x", "", ["column x: ", "Divide by zero", "(1 DIV 0)"]),
        ("count(*) AS x", "HAVING max(ts) > to_timestamp('2024-13-01')", ["2024-13-01", "could not be computed", ", in "]),
    ] {
        let mut world = World::new();
        world.pipeline = checked(&format!(
            "CREATE TABLE readings (id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, meter STRING NOT NULL)
             USING kafka OPTIONS (subscribe 'readings', value.format 'json', partitions '1');
             CREATE STREAMING TABLE failing USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'hour')
             AS SELECT meter, window.start AS hour, {column} FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 0 SECONDS
                GROUP BY meter, window(ts, '1 hour') {condition};
             CREATE STREAMING TABLE copies USING cassandra PARTITIONED BY (id) AS SELECT id, meter FROM STREAM readings;",
        ));
        drop(world.engine().await);
        let event = |(id, hour): (i64, i64)| (0, format!(r#"{{"id":{id},"ts":"2024-01-01T0{hour}:00:00Z","meter":"a"}}"#));
        world.publish_values([(1, 1), (2, 1)].into_iter().map(event)).await;
        let engine = world.run().await.unwrap();
        assert_eq!(rows(&engine, "SELECT count(*) FROM copies").await, ["2"]);
        // Now a window is due.
        world.publish_values([(3, 3)].into_iter().map(event)).await;
        let running = world.start().await;
        let error = running.engine.caught_up().await.unwrap_err();
        for name in ["flow failing: ", "the result of a window could not be computed: "].into_iter().chain(names) {
            assert!(error.message().contains(name), "no {name:?} in {error}");
        }
        let engine = running.engine.clone();
        let copied = async {
            while rows(&engine, "SELECT count(*) FROM copies").await != ["3"] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), copied).await.expect("the other flow goes on");
        running.stop().await;
    }
}

/// A join of streams, whose steps run on no rows in most epochs.
#[tokio::test(flavor = "multi_thread")]
async fn a_constant_that_fails_in_a_join_of_streams_is_of_the_rows_that_are_joined() {
    let mut world = World::new();
    world.pipeline = checked(&format!(
        "{} CREATE STREAMING TABLE joined USING cassandra PARTITIONED BY (meter) TBLPROPERTIES ('clustering_key' = 'reading, alarm')
         AS SELECT r.meter, r.id AS reading, a.id AS alarm, CASE WHEN r.value > 5 THEN 1 DIV 0 ELSE r.value END AS x
            FROM STREAM readings WATERMARK ts DELAY OF INTERVAL 1 HOUR r JOIN STREAM alarms WATERMARK ts DELAY OF INTERVAL 1 HOUR a
            ON r.meter = a.meter AND a.ts BETWEEN r.ts AND r.ts + INTERVAL 1 HOUR;",
        crate::joins::TABLES
    ));
    drop(world.engine().await);
    let event = |id: i64| Reading { id, ts: 1_704_067_200, meter: "a", value: Some(i32::try_from(id).unwrap()) }.json();
    world.publish_to("readings", [(0, event(1)), (0, event(9))]).await;
    world.run().await.unwrap();
    world.publish_to("alarms", [(0, event(2))]).await;
    let engine = world.run().await.unwrap();
    assert_eq!(rows(&engine, "SELECT reading, alarm, x FROM joined").await, ["1 2 1"]);
    let dead = rows(&engine, "SELECT reason FROM system.dead_letters").await;
    assert!(dead.len() == 1 && dead[0].starts_with("column x: Divide by zero error, in "), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_an_unknown_flow_is_refused_with_the_flows_that_there_are() {
    let world = World::new();
    let engine = world.engine().await;
    let request = || ReplayRequest { flow: Some("hourli".to_owned()), ..ReplayRequest::default() };
    for error in [engine.replay_dead_letters(request()).await.unwrap_err(), engine.replay_late_rows(request()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("there is no flow hourli: the flows are by_meter, closed, high, hourly"), "{error}");
    }
}

/// Events, then one that comes two days too late.
async fn with_a_late_row(seed: u64) -> (World, Vec<Reading>, Reading) {
    let world = World::with_epochs_of(16);
    let events = readings(seed, 2_000);
    let late = Reading { id: 9_999, value: Some(5), ..events[0].clone() };
    drop(world.engine().await);
    world.publish(&events).await;
    world.publish([&late]).await;
    (world, events, late)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_is_put_aside_and_not_aggregated() {
    let (world, events, _) = with_a_late_row(13).await;
    let engine = world.run().await.unwrap();
    assert_eq!(hours(&engine, "hourly").await, hourly(&events));
    let late = rows(&engine, "SELECT flow, value_text FROM system.late_rows ORDER BY flow").await;
    assert_eq!(late.len(), 2, "{late:?}");
    assert!(late[0].starts_with("closed") && late[0].contains("9999"), "{late:?}");
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_late_row_is_in_its_window() {
    let (world, mut events, late) = with_a_late_row(14).await;
    let running = world.start().await;
    let engine = running.engine.clone();
    engine.caught_up().await.unwrap();
    let outcome = engine.replay_late_rows(ReplayRequest::default()).await.unwrap();
    assert_eq!(outcome.released, 2);
    events.push(late);
    assert_eq!(hours(&engine, "hourly").await, hourly(&events));
    assert_eq!(rows(&engine, "SELECT count(*) FROM system.late_rows").await, ["0"]);
    let report = engine.verify(&|_| {}).await.unwrap();
    assert!(report.is_clean(), "{report}");
    running.stop().await;
}

/// A flow that has stopped takes no commands: who asks it is told, and does not wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_has_stopped_refuses_to_replay() {
    let (world, _, _) = with_a_late_row(15).await;
    world.run().await.unwrap();
    world.faults.fail_from(Call::Claim, 1, ErrorKind::Internal);
    let running = world.start().await;
    running.engine.caught_up().await.unwrap_err();
    let replay = running.engine.replay_late_rows(ReplayRequest::default());
    let error = tokio::time::timeout(std::time::Duration::from_secs(60), replay).await.expect("an answer").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("flow closed has stopped"), "{error}");
    running.stop().await;
}
