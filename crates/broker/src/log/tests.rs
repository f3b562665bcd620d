#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use millstream_core::ports::{EventLog, NewRecord};
use millstream_core::{ErrorKind, Offset, TopicPartition};
use millstream_testkit::ManualClock;

use super::*;

fn spec(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, retention: None }
}

fn record(value: &'static str) -> NewRecord {
    NewRecord { value: Some(Bytes::from_static(value.as_bytes())), ..NewRecord::default() }
}

async fn open(folder: &Path, settings: BrokerSettings) -> Result<(Arc<Log>, Arc<ManualClock>)> {
    let clock = Arc::new(ManualClock::default());
    Ok((Log::open(folder, settings, clock.clone()).await?, clock))
}

async fn open_default(folder: &Path) -> Arc<Log> {
    open(folder, BrokerSettings::default()).await.unwrap().0
}

#[tokio::test]
async fn a_second_opener_is_refused_while_the_first_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_default(folder.path()).await;
    let error = open(folder.path(), BrokerSettings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("another running process"), "{error}");
    drop(first);
    open_default(folder.path()).await;
}

#[tokio::test]
async fn producer_ids_are_never_given_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let log = open_default(folder.path()).await;
        for _ in 0..1500 {
            assert!(seen.insert(log.new_producer_id().await.unwrap()));
        }
    }
}

#[tokio::test]
async fn what_a_crash_left_of_creating_and_deleting_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_default(folder.path()).await;
    log.create_topic(&spec("kept", 1)).await.unwrap();
    drop(log);
    for leftover in ["staging/half", "deleted/123/0"] {
        fs::create_dir_all(folder.path().join(leftover)).unwrap();
    }
    let log = open_default(folder.path()).await;
    assert_eq!(log.topics().await.unwrap().len(), 1);
    assert_eq!(fs::read_dir(folder.path().join("staging")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.path().join("deleted")).unwrap().count(), 0);
}

#[tokio::test]
async fn paused_intake_refuses_appends_and_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_default(folder.path()).await;
    log.create_topic(&spec("t", 1)).await.unwrap();
    let p = TopicPartition::new("t", 0);
    log.append(&p, vec![record("a")]).await.unwrap();
    log.pause_intake(Some("the disk is nearly full".to_owned()));
    let error = log.append(&p, vec![record("b")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert!(error.message().contains("the disk is nearly full"), "{error}");
    assert_eq!(log.read(&p, Offset(0), 100).await.unwrap().records.len(), 1);
    log.pause_intake(None);
    assert_eq!(log.append(&p, vec![record("b")]).await.unwrap(), Offset(1));
}

#[tokio::test]
async fn retention_follows_the_topics_own_setting_and_then_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { retention_secs: Some(3600), ..BrokerSettings::default() };
    let (log, clock) = open(folder.path(), settings).await.unwrap();
    let day = Duration::from_secs(86_400);
    for (name, retention) in [("default", None), ("day", Some(day)), ("ever", Some(Duration::MAX))] {
        log.create_topic(&TopicSpec { retention, ..spec(name, 1) }).await.unwrap();
        log.append(&TopicPartition::new(name, 0), vec![record("a")]).await.unwrap();
    }
    let starts = async || {
        let mut starts = Vec::new();
        for name in ["default", "day", "ever"] {
            starts.push(log.bounds(&TopicPartition::new(name, 0)).await.unwrap().start.0);
        }
        starts
    };
    log.enforce_retention().await.unwrap();
    assert_eq!(starts().await, [0, 0, 0]);
    clock.advance(Duration::from_secs(3601));
    assert!(log.enforce_retention().await.unwrap() > 0);
    assert_eq!(starts().await, [1, 0, 0]);
    clock.advance(day);
    log.enforce_retention().await.unwrap();
    assert_eq!(starts().await, [1, 1, 0]);
    clock.advance(day * 10_000);
    log.enforce_retention().await.unwrap();
    assert_eq!(starts().await, [1, 1, 0]);
}

#[tokio::test]
async fn the_background_pass_enforces_retention_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { retention_secs: Some(10), retention_check_secs: 60, ..BrokerSettings::default() };
    let (log, clock) = open(folder.path(), settings).await.unwrap();
    log.create_topic(&spec("t", 1)).await.unwrap();
    let p = TopicPartition::new("t", 0);
    log.append(&p, vec![record("a")]).await.unwrap();
    let shutdown = CancellationToken::new();
    let pass = log.maintain(shutdown.clone());
    let look = async {
        for _ in 0..2 {
            clock.until_sleepers(1).await;
            clock.advance(Duration::from_secs(61));
            tokio::task::yield_now().await;
        }
        clock.until_sleepers(1).await;
        shutdown.cancel();
    };
    tokio::join!(pass, look);
    assert_eq!(log.bounds(&p).await.unwrap().start, Offset(1));
}

#[tokio::test]
async fn a_topic_made_again_has_another_id() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_default(folder.path()).await;
    log.create_topic(&spec("t", 1)).await.unwrap();
    let first = log.topic("t").unwrap().meta().id;
    log.delete_topic("t").await.unwrap();
    log.create_topic(&spec("t", 1)).await.unwrap();
    assert_ne!(log.topic("t").unwrap().meta().id, first);
}

#[tokio::test]
async fn the_number_of_partitions_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { partitions_max: 5, ..BrokerSettings::default() };
    let (log, _) = open(folder.path(), settings).await.unwrap();
    log.create_topic(&spec("a", 4)).await.unwrap();
    let error = log.create_topic(&spec("b", 2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("partitions_max"), "{error}");
}

/// Version 1 of the small files: a topic's and the producer ids'.
#[tokio::test]
async fn the_golden_files_of_version_1_are_read_and_written() {
    let sealed = |json: &str| [&[1][..], &crc32c::crc32c(json.as_bytes()).to_be_bytes(), json.as_bytes()].concat();
    let folder = tempfile::tempdir().unwrap();
    let topic = folder.path().join("topics/t");
    fs::create_dir_all(topic.join("0")).unwrap();
    let meta = sealed(r#"{"name":"t","id":5,"partitions":1,"retention_ms":null}"#);
    fs::write(topic.join("topic"), &meta).unwrap();
    fs::write(folder.path().join("producer-ids"), sealed(r#"{"next":7000}"#)).unwrap();
    fs::write(folder.path().join("cluster"), sealed(r#"{"id":"millstream-1"}"#)).unwrap();
    let log = open_default(folder.path()).await;
    assert_eq!(log.cluster_id(), "millstream-1");
    assert_eq!(log.new_producer_id().await.unwrap(), 7000);
    assert_eq!(fs::read(folder.path().join("producer-ids")).unwrap(), sealed(r#"{"next":8000}"#));
    assert_eq!(log.topic("t").unwrap().meta().id, 5);
    let again = folder.path().join("again");
    Topic::lay_out(&again, log.topic("t").unwrap().meta()).unwrap();
    assert_eq!(fs::read(again.join("topic")).unwrap(), meta);
}

#[tokio::test]
async fn a_damaged_or_newer_topic_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_default(folder.path()).await;
    log.create_topic(&spec("t", 1)).await.unwrap();
    drop(log);
    let path = folder.path().join("topics/t/topic");
    let good = fs::read(&path).unwrap();
    for (at, kind) in [(0, ErrorKind::Unsupported), (3, ErrorKind::Corrupt), (good.len() - 3, ErrorKind::Corrupt)] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&path, bad).unwrap();
        assert_eq!(open(folder.path(), BrokerSettings::default()).await.unwrap_err().kind(), kind, "byte {at}");
    }
}
