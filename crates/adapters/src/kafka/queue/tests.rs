#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use rdkafka::consumer::DefaultConsumerContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

/// A record as a test remembers it: offset, time in milliseconds, key, value, headers.
type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn seen(message: &FetchedMessage<'_>) -> Seen {
    let headers = message.headers().into_iter().map(|h| (h.name.to_vec(), h.value.map(<[u8]>::to_vec)));
    (message.offset(), message.timestamp_ms(), message.key().map(<[u8]>::to_vec), message.value().map(<[u8]>::to_vec), headers.collect())
}

/// The queue of the only partition of `topic`, from its beginning, and rdkafka's handle of it.
fn queue(servers: &str, topic: &str) -> (FetchQueue<DefaultConsumerContext>, impl Sized + use<>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "tests").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.set("enable.partition.eof", "true").create().unwrap();
    let consumer = Arc::new(consumer);
    let split = consumer.split_partition_queue(topic, 0).unwrap();
    let queue = FetchQueue::of(&consumer, topic, 0).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(0)).unwrap();
    consumer.incremental_assign(&list).unwrap();
    (queue, split)
}

/// Everything up to the partition's end, `at_once` records a call.
fn drain<C: ConsumerContext>(queue: &FetchQueue<C>, at_once: usize) -> Vec<Seen> {
    let (mut all, mut is_over) = (Vec::new(), false);
    while !is_over {
        let mut room = at_once;
        let was_there = queue.hand_out(LIMIT, &mut |fetched| {
            match fetched {
                Fetched::Message(message) => all.push(seen(&message)),
                Fetched::End => is_over = true,
                Fetched::Failed(error) => panic!("{error}"),
            }
            room -= 1;
            if room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(was_there, "the mock cluster answers");
    }
    all
}

#[test]
fn what_a_call_does_not_take_stays_in_the_queue_in_its_order() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("records", 1, 1).unwrap();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", mock.bootstrap_servers()).create().unwrap();
    for n in 0..500_i32 {
        let (key, value) = (format!("key {n}"), format!("value {n}"));
        let mut record = BaseRecord::to("records").partition(0).timestamp(1_000 + i64::from(n));
        if n % 3 != 0 {
            record = record.key(&key);
        }
        if n % 5 != 0 {
            record = record.payload(&value);
        }
        if n % 7 == 0 {
            let headers = OwnedHeaders::new().insert(Header { key: "a", value: Some(&value) });
            record = record.headers(headers.insert(Header { key: "a", value: None::<&[u8]> }));
        }
        producer.send(record).unwrap();
    }
    producer.flush(LIMIT).unwrap();

    let expected: Vec<Seen> = (0..500_i64)
        .map(|n| {
            let (key, value) = (format!("key {n}").into_bytes(), format!("value {n}").into_bytes());
            let headers = vec![(b"a".to_vec(), Some(value.clone())), (b"a".to_vec(), None)];
            let key = (n % 3 != 0).then_some(key);
            (n, 1_000 + n, key, (n % 5 != 0).then_some(value), if n % 7 == 0 { headers } else { Vec::new() })
        })
        .collect();
    for at_once in [1, 7, 1_000] {
        let (queue, _split) = queue(&mock.bootstrap_servers(), "records");
        assert!(drain(&queue, at_once) == expected, "{at_once} records a call");
    }
}

#[test]
fn a_name_that_no_topic_can_have_has_no_queue() {
    let consumer: BaseConsumer = ClientConfig::new().set("group.id", "tests").create().unwrap();
    assert!(FetchQueue::of(&Arc::new(consumer), "a\0b", 0).is_none());
}
