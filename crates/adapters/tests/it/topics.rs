//! [`LogTopicSink`] on a log in memory: the contract, and answers that are lost in the middle of an epoch.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use millstream_adapters::topics::LogTopicSink;
use millstream_core::ports::{EpochSink, EventLog, SystemStore, TopicOutput, TopicSink, ValueFormat};
use millstream_core::style::TextStyle;
use millstream_core::{Attempt, Epoch, ErrorKind, Offset, TopicPartition};
use millstream_testkit::changes::{Change, Writer, insert};
use millstream_testkit::faults::{Call, Faults, FaultyEventLog};
use millstream_testkit::{ManualClock, OnData, row, suite, tables, toy};
use tokio::task::JoinSet;

/// Few records an append, so that an epoch is several.
const APPEND_BYTES_MAX: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn any_log_keeps_the_contract_of_topics_that_flows_write() {
    let harness = || {
        OnData::new(toy::Disk::default(), |disk: Arc<toy::Disk>, clock| async move {
            let log = Arc::new(toy::ToyEventLog::open(disk.clone(), clock)) as Arc<dyn EventLog>;
            let system = Arc::new(toy::ToySystemStore::open(disk)) as Arc<dyn SystemStore>;
            let sink = Arc::new(LogTopicSink::new(log.clone(), "toy", system, APPEND_BYTES_MAX));
            Ok(suite::topic_sink::Port { sink, log, prefix: String::new() })
        })
    };
    suite::topic_sink::run("any log", harness).await.assert_passed();
}

/// A log and a system store that outlive the sinks on them.
struct World {
    disk: Arc<toy::Disk>,
    faults: Arc<Faults>,
}

impl World {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(toy::ToyEventLog::open(self.disk.clone(), Arc::new(ManualClock::default())))
    }

    async fn sink(&self) -> LogTopicSink {
        self.sink_at("toy").await
    }

    async fn sink_at(&self, place: &str) -> LogTopicSink {
        self.sink_of(place, 2).await
    }

    /// Of a topic of so many partitions.
    async fn sink_of(&self, place: &str, partitions: i32) -> LogTopicSink {
        let log = Arc::new(FaultyEventLog::new(self.log(), self.faults.clone()));
        let sink = LogTopicSink::new(log, place, Arc::new(toy::ToySystemStore::open(self.disk.clone())), APPEND_BYTES_MAX);
        let output = TopicOutput {
            topic: "t".to_owned(),
            partitions,
            retention: None,
            format: ValueFormat::Json,
            style: TextStyle::default(),
            key_columns: vec!["id".to_owned()],
        };
        sink.ensure_topic(&tables::topic("t"), &output).await.unwrap();
        sink
    }

    async fn values(&self) -> Vec<String> {
        let log = self.log();
        let mut values = Vec::new();
        let topics = log.topics().await.unwrap();
        let partitions = topics.iter().find(|topic| topic.name == "t").unwrap().partitions;
        for partition in 0..partitions {
            let all = log.read(&TopicPartition::new("t", partition), Offset(0), usize::MAX).await.unwrap();
            values.extend(all.records.into_iter().map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()));
        }
        values.sort();
        values
    }
}

fn epoch(number: i64) -> Vec<Change> {
    (0..60).map(|id| insert(1_000_000 + id, row!["f", number, id, format!("{number}-{id}")])).collect()
}

fn expected(epochs: i64) -> Vec<String> {
    let value = |number, id| format!(r#"{{"flow":"f","epoch":{number},"id":{id},"note":"{number}-{id}"}}"#);
    let mut all: Vec<String> = (1..=epochs).flat_map(|number| (0..60).map(move |id| value(number, id))).collect();
    all.sort();
    all
}

/// Every append of every epoch fails once, before or after it took effect; the next attempt is a new process, or the same one.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_torn_anywhere_is_finished_and_nothing_is_there_twice() {
    for after in [false, true] {
        for restarts in [false, true] {
            for nth in 1..=12 {
                let world = World { disk: Arc::default(), faults: Arc::default() };
                if after {
                    world.faults.fail_after(Call::Append, nth, ErrorKind::Unavailable);
                } else {
                    world.faults.fail(Call::Append, nth, ErrorKind::Unavailable);
                }
                let (spec, mut sink, mut attempt) = (tables::topic("t"), world.sink().await, 1);
                let mut writer = Writer::begin(&sink, &spec, "f", attempt).await.unwrap();
                while writer.epoch < Epoch(3) {
                    let number = i64::try_from(writer.epoch.0 + 1).unwrap();
                    if writer.commit(&sink, &epoch(number)).await.is_err() && restarts {
                        sink = world.sink().await;
                        attempt += 1;
                        let again = Writer::begin(&sink, &spec, "f", attempt).await.unwrap();
                        assert_eq!(again.epoch, writer.epoch, "an epoch is committed when its commit returns");
                        writer = again;
                    }
                }
                assert_eq!(world.values().await, expected(3), "append {nth} failed, after: {after}, restarts: {restarts}");
            }
        }
    }
}

/// The partitions that a topic has got since an epoch was committed are looked through as well for what stands of a torn one.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_was_torn_in_a_topic_that_has_got_partitions_is_there_once() {
    for begins_anew in [false, true] {
        for nth in 1..=12 {
            let world = World { disk: Arc::default(), faults: Arc::default() };
            let (spec, sink) = (tables::topic("t"), world.sink().await);
            Writer::begin(&sink, &spec, "f", 1).await.unwrap().commit(&sink, &epoch(1)).await.unwrap();
            toy::ToyEventLog::open(world.disk.clone(), Arc::new(ManualClock::default())).set_partitions("t", 4).unwrap();
            world.faults.fail(Call::Append, world.faults.calls(Call::Append) + nth, ErrorKind::Unavailable);
            let (mut sink, mut attempt) = (world.sink_of("toy", 4).await, 2);
            let mut writer = Writer::begin(&sink, &spec, "f", attempt).await.unwrap();
            while writer.epoch < Epoch(3) {
                let number = i64::try_from(writer.epoch.0 + 1).unwrap();
                if writer.commit(&sink, &epoch(number)).await.is_err() && begins_anew {
                    (sink, attempt) = (world.sink_of("toy", 4).await, attempt + 1);
                    writer = Writer::begin(&sink, &spec, "f", attempt).await.unwrap();
                }
            }
            assert_eq!(world.values().await, expected(3), "append {nth} failed, a new sink: {begins_anew}");
        }
    }
}

/// What still runs when a commit has failed would be appended behind the back of whoever looks for what stands in the topic.
#[tokio::test]
async fn a_commit_that_failed_has_nothing_under_way() {
    let world = World { disk: Arc::default(), faults: Arc::default() };
    world.faults.fail(Call::Append, 1, ErrorKind::Unavailable);
    let gate = world.faults.block(Call::Append, 2);
    let (spec, sink) = (tables::topic("t"), Arc::new(world.sink().await));
    let mut writer = Writer::begin(&*sink, &spec, "f", 1).await.unwrap();
    let write = writer.write(Epoch(1), &epoch(1), 10).unwrap();
    let mut failing = JoinSet::new();
    failing.spawn({
        let sink = sink.clone();
        async move { sink.commit(write).await }
    });
    gate.reached().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(failing.try_join_next().is_none(), "it returned while an append to another partition was under way");
    gate.release();
    assert_eq!(failing.join_next().await.unwrap().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    writer.commit(&*sink, &epoch(1)).await.unwrap();
    assert_eq!(world.values().await, expected(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_holds_less_than_was_written_is_noticed_until_it_is_dropped() {
    let world = World { disk: Arc::default(), faults: Arc::default() };
    let (spec, sink) = (tables::topic("t"), world.sink().await);
    Writer::begin(&sink, &spec, "f", 1).await.unwrap().commit(&sink, &epoch(1)).await.unwrap();
    let elsewhere = world.sink_at("another broker").await;
    let refused = Writer::begin(&elsewhere, &spec, "f", 2).await.unwrap_err();
    assert!(refused.to_string().contains("another broker") && refused.to_string().contains("millstream reset t"), "{refused}");
    world.log().delete_topic("t").await.unwrap();
    let sink = world.sink().await;
    let refused = Writer::begin(&sink, &spec, "f", 2).await.unwrap_err();
    assert!(refused.kind() == ErrorKind::InvalidInput && refused.to_string().contains("millstream reset t"), "{refused}");
    sink.drop_topic("t", "t").await.unwrap();
    let sink = world.sink().await;
    let mut writer = Writer::begin(&sink, &spec, "f", 3).await.unwrap();
    writer.commit(&sink, &epoch(1)).await.unwrap();
    assert_eq!(world.values().await, expected(1));
}

/// The engine calls it from the attempt that it was given; a second process on the same stores is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_of_an_earlier_attempt_is_fenced_by_what_the_store_says() {
    let world = World { disk: Arc::default(), faults: Arc::default() };
    let (spec, sink) = (tables::topic("t"), world.sink().await);
    let flow = millstream_core::FlowId::new("f");
    sink.begin(&flow, Attempt(2), "t").await.unwrap();
    let late = world.sink().await;
    let refused = Writer::begin(&late, &spec, "f", 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced, "{refused}");
}
