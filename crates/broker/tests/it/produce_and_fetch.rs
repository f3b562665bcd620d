//! Producing and fetching, with everything that can be refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, InitProducerIdRequest, ProduceRequest, TransactionalId};
use kafka_protocol::records::Compression;
use millstream_broker::{BrokerSettings, Durability};
use millstream_core::Offset;
use millstream_core::ports::{EventLog, SystemClock};
use millstream_testkit::ManualClock;

use crate::client::{Endpoint, all_values, batch, fetch_request, plain, produce_request, text, topic, values};

fn numbered(from: i64, values: &[&str]) -> Vec<(i64, String)> {
    values.iter().enumerate().map(|(i, v)| (from + i as i64, (*v).to_owned())).collect()
}

#[tokio::test]
async fn what_is_produced_is_fetched_in_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 2).await;
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (i, codec) in codecs.into_iter().enumerate() {
        let produced = client.produce("t", 1, batch(&["a", "b"], (-1, -1, -1), codec)).await;
        assert_eq!((produced.error_code, produced.base_offset), (0, 2 * i as i64));
    }
    let fetched = client.fetch("t", 1, 0).await;
    assert_eq!((fetched.error_code, fetched.high_watermark, fetched.log_start_offset), (0, 10, 0));
    assert_eq!(values(&fetched), numbered(0, &["a", "b"].repeat(5)));
    let middle = client.fetch("t", 1, 5).await;
    assert_eq!(values(&middle)[0].0, 4, "whole batches are sent; the client skips");
    assert!(values(&client.fetch("t", 0, 0).await).is_empty());
}

#[tokio::test]
async fn acks_0_gets_no_answer_and_failing_it_closes_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    client.send(9, &produce_request("t", 0, plain(&["quiet"]), 0)).await;
    assert_eq!(client.produce("t", 0, plain(&["loud"])).await.base_offset, 1, "the next answer belongs to the next request");
    client.send(9, &produce_request("unknown", 0, plain(&["x"]), 0)).await;
    assert!(client.receive_frame().await.is_none());
    let wrong = endpoint.client().await.call(9, produce_request("t", 0, plain(&["x"]), 7)).await;
    assert_eq!(wrong.responses[0].partition_responses[0].error_code, ResponseError::InvalidRequiredAcks.code());
}

#[tokio::test]
async fn what_can_not_be_appended_is_refused_with_the_right_code() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    let good = plain(&["some", "values"]);
    let patched = |at: usize, to: u8, seal: bool| {
        let mut bad = BytesMut::from(&good[..]);
        bad[at] = to;
        if seal {
            let crc = crc32c::crc32c(&bad[21..]);
            bad[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        bad.freeze()
    };
    let cases = [
        ("t", 0, patched(70, 9, false), ResponseError::CorruptMessage),
        ("t", 0, good.slice(..30), ResponseError::CorruptMessage),
        ("t", 0, patched(16, 1, true), ResponseError::UnsupportedForMessageFormat),
        ("t", 0, patched(22, 6, true), ResponseError::UnsupportedCompressionType),
        ("t", 0, patched(22, 16, true), ResponseError::InvalidTxnState),
        ("t", 0, patched(60, 9, true), ResponseError::InvalidRecord),
        ("t", 0, Bytes::from([&good[..], &good[..]].concat()), ResponseError::InvalidRecord),
        ("t", 0, plain(&[&"x".repeat(2 << 20)]), ResponseError::MessageTooLarge),
        ("t", 5, good.clone(), ResponseError::UnknownTopicOrPartition),
        ("u", 0, good.clone(), ResponseError::UnknownTopicOrPartition),
    ];
    for (name, partition, records, expected) in cases {
        let produced = client.produce(name, partition, records).await;
        assert_eq!(produced.error_code, expected.code(), "{expected:?}: {:?}", produced.error_message);
        assert!(produced.error_message.is_some());
    }
    assert_eq!(client.produce("t", 0, good.clone()).await.base_offset, 0, "nothing of all that was appended");
}

#[tokio::test]
async fn an_idempotent_producer_is_not_doubled_also_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    let id = client.producer_id().await;
    let other = client.producer_id().await;
    assert_ne!(id, other);
    let sent = |epoch: i16, sequence: i32| batch(&["a", "b"], (id, epoch, sequence), Compression::Zstd);
    for (sequence, offset) in [(0, 0), (2, 2), (0, 0), (2, 2), (4, 4)] {
        let produced = client.produce("t", 0, sent(0, sequence)).await;
        assert_eq!((produced.error_code, produced.base_offset), (0, offset), "sequence {sequence}");
    }
    drop(client);
    endpoint.shutdown.cancel();
    let Endpoint { mut serving, log, .. } = endpoint;
    serving.join_next().await.unwrap().unwrap().unwrap();
    drop(log);

    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    let again = client.produce("t", 0, sent(0, 2)).await;
    assert_eq!((again.error_code, again.base_offset), (0, 2));
    assert_eq!(client.produce("t", 0, sent(0, 8)).await.error_code, ResponseError::OutOfOrderSequenceNumber.code());
    assert_eq!(client.produce("t", 0, sent(1, 0)).await.base_offset, 6);
    assert_eq!(client.produce("t", 0, sent(0, 6)).await.error_code, ResponseError::InvalidProducerEpoch.code());
    let third = client.producer_id().await;
    assert!(third > other);
}

#[tokio::test]
async fn transactions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    let request = InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text("tx"))));
    assert_eq!(client.call(4, request).await.error_code, ResponseError::InvalidRequest.code());
}

#[tokio::test]
async fn a_paused_intake_is_a_retriable_error_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, plain(&["a"])).await;
    endpoint.log.pause_intake(Some("the disk is nearly full".to_owned()));
    let refused = client.produce("t", 0, plain(&["b"])).await;
    assert_eq!(refused.error_code, ResponseError::KafkaStorageError.code());
    assert!(ResponseError::KafkaStorageError.is_retriable());
    assert_eq!(values(&client.fetch("t", 0, 0).await).len(), 1);
    endpoint.log.pause_intake(None);
    assert_eq!(client.produce("t", 0, plain(&["b"])).await.base_offset, 1);
}

#[tokio::test]
async fn a_fetch_waits_for_records_and_wakes_with_the_append() {
    let folder = tempfile::tempdir().unwrap();
    // The clock never moves, so a fetch that is answered was woken, not timed out.
    let clock = Arc::new(ManualClock::default());
    let endpoint = Endpoint::start_with(folder.path(), BrokerSettings::default(), clock.clone()).await;
    let (mut consumer, mut producer) = (endpoint.client().await, endpoint.client().await);
    producer.create("t", 2).await;
    consumer.send(11, &fetch_request("t", &[(0, 0), (1, 0)], 1, 30_000, 1 << 20)).await;
    producer.produce("t", 1, plain(&["late"])).await;
    let (_, fetched) = consumer.receive::<FetchRequest>(11).await;
    assert_eq!(all_values(&fetched), numbered(0, &["late"]));

    consumer.send(11, &fetch_request("t", &[(0, 0), (1, 0)], 100_000, 30_000, 1 << 20)).await;
    // Upkeep and group time sleep too; the fetch is the third who waits for its time.
    clock.until_sleepers(3).await;
    clock.advance(Duration::from_secs(31));
    let (_, fetched) = consumer.receive::<FetchRequest>(11).await;
    assert_eq!(all_values(&fetched), numbered(0, &["late"]), "less than min_bytes, but the time is up");
}

#[tokio::test]
async fn a_fetch_is_bounded_but_gives_at_least_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 2).await;
    let large = "x".repeat(50_000);
    for partition in [0, 1] {
        for _ in 0..3 {
            client.produce("t", partition, plain(&[&large])).await;
        }
    }
    let one = client.call(11, fetch_request("t", &[(0, 0), (1, 0)], 1, 0, 10)).await;
    assert_eq!(all_values(&one).len(), 1);
    let some = client.call(11, fetch_request("t", &[(0, 0), (1, 0)], 1, 0, 170_000)).await;
    assert_eq!(some.responses[0].partitions.iter().map(|p| values(p).len()).collect::<Vec<_>>(), [3, 0]);
    let all = client.call(11, fetch_request("t", &[(0, 0), (1, 0)], 1, 0, 1 << 20)).await;
    assert_eq!(all_values(&all).len(), 6);
}

#[tokio::test]
async fn a_fetch_outside_of_the_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, plain(&["a"])).await;
    assert_eq!(client.fetch("t", 0, 2).await.error_code, ResponseError::OffsetOutOfRange.code());
    assert_eq!(client.fetch("t", 0, -1).await.error_code, ResponseError::OffsetOutOfRange.code());
    assert_eq!(client.fetch("t", 1, 0).await.error_code, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(client.fetch("u", 0, 0).await.error_code, ResponseError::UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn requests_of_a_connection_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    let mut sent = Vec::new();
    for i in 0..50 {
        sent.push(client.send(9, &produce_request("t", 0, plain(&[&i.to_string()]), -1)).await);
    }
    for (i, sent) in sent.into_iter().enumerate() {
        let (answered, response) = client.receive::<ProduceRequest>(9).await;
        assert_eq!((answered, response.responses[0].partition_responses[0].base_offset), (sent, i as i64));
    }
}

#[tokio::test]
async fn offsets_are_listed_by_place_and_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, plain(&["a", "b", "c"])).await;
    let first = 1_700_000_000_000;
    for (asked, offset, timestamp) in
        [(-1, 3, -1), (-2, 0, -1), (-3, 2, first + 2), (first + 1, 1, first + 1), (0, 0, first), (first + 3, -1, -1)]
    {
        let partition = ListOffsetsPartition::default().with_timestamp(asked);
        let request = ListOffsetsRequest::default()
            .with_topics(vec![ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![partition])]);
        let answer = client.call(7, request).await.topics[0].partitions[0].clone();
        assert_eq!((answer.error_code, answer.offset, answer.timestamp), (0, offset, timestamp), "asked for {asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_and_clients_share_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { durability: Durability::Fsync, ..BrokerSettings::default() };
    let endpoint = Endpoint::start_with(folder.path(), settings, Arc::new(SystemClock)).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    let log = endpoint.log.clone();
    let mut engine = tokio::task::JoinSet::new();
    engine.spawn(async move { log.wait("t", &[Offset(0)]).await });
    client.produce("t", 0, batch(&["a", "b"], (-1, -1, -1), Compression::Lz4)).await;
    engine.join_next().await.unwrap().unwrap().unwrap();
    let read = endpoint.log.read(&millstream_core::TopicPartition::new("t", 0), Offset(1), 1 << 20).await.unwrap();
    assert_eq!((read.records.len(), read.next), (1, Offset(2)));
    assert_eq!(read.records[0].value.as_deref(), Some(&b"b"[..]));
}
