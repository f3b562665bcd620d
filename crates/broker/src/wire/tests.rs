#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, GroupId, TopicName};
use kafka_protocol::protocol::{Request as _, StrBytes, encode_request_header_into_buffer};

use super::*;

fn text(s: &'static str) -> StrBytes {
    StrBytes::from_static_str(s)
}

fn frame<R: kafka_protocol::protocol::Request>(version: i16, request: &R) -> Bytes {
    let mut out = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("tester")));
    encode_request_header_into_buffer(&mut out, &header).unwrap();
    request.encode(&mut out, version).unwrap();
    out.freeze()
}

/// Requests with something in every list, in every version that is served.
fn samples() -> Vec<Bytes> {
    let versions = |key: i16| {
        let s = supported(key).unwrap();
        s.min..=s.max
    };
    let mut frames = Vec::new();
    for v in versions(ProduceRequest::KEY) {
        let data = PartitionProduceData::default().with_index(3).with_records(Some(Bytes::from_static(b"batch")));
        let topic = TopicProduceData::default().with_name(TopicName(text("t"))).with_partition_data(vec![data]);
        frames.push(frame(v, &ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic])));
    }
    for v in versions(FetchRequest::KEY) {
        let partition = FetchPartition::default().with_partition(1).with_fetch_offset(5).with_partition_max_bytes(100);
        let topic = FetchTopic::default().with_topic(TopicName(text("t"))).with_partitions(vec![partition.clone(), partition]);
        frames.push(frame(v, &FetchRequest::default().with_topics(vec![topic])));
    }
    for v in versions(MetadataRequest::KEY) {
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text("t"))));
        frames.push(frame(v, &MetadataRequest::default().with_topics(Some(vec![topic]))));
    }
    for v in versions(JoinGroupRequest::KEY) {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
        let request = JoinGroupRequest::default().with_group_id(GroupId(text("g"))).with_protocols(vec![protocol]);
        frames.push(frame(v, &request.with_protocol_type(text("consumer"))));
    }
    for v in versions(CreateTopicsRequest::KEY) {
        frames.push(frame(v, &CreateTopicsRequest::default().with_topics(vec![CreatableTopic::default().with_name(TopicName(text("t")))])));
    }
    let topic = OffsetFetchRequestTopics::default().with_name(TopicName(text("t"))).with_partition_indexes(vec![1, 2]);
    let group = OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topic]));
    frames.push(frame(8, &OffsetFetchRequest::default().with_groups(vec![group])));
    for v in versions(ApiVersionsRequest::KEY) {
        frames.push(frame(v, &ApiVersionsRequest::default()));
    }
    frames
}

#[test]
fn requests_are_decoded_in_every_version() {
    for frame in samples() {
        let request = decode(frame).unwrap();
        assert_eq!((request.correlation_id, request.client_id.as_str()), (77, "tester"));
        assert!(request.body.is_some());
    }
}

#[test]
fn cut_requests_are_errors_at_every_length() {
    for frame in samples() {
        for len in 0..frame.len() {
            assert!(decode(frame.slice(..len)).is_err(), "{len} of {frame:?}");
        }
    }
}

#[test]
fn garbled_requests_never_panic() {
    for frame in samples() {
        for at in 0..frame.len() {
            for byte in [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff] {
                let mut garbled = BytesMut::from(&frame[..]);
                garbled[at] = byte;
                let _ = decode(garbled.freeze());
            }
        }
    }
}

#[test]
fn bytes_after_a_request_are_passed_over() {
    for sample in samples() {
        let frame = [&sample[..], &[0, 0, 0]].concat();
        assert_eq!(format!("{:?}", decode(Bytes::from(frame)).unwrap()), format!("{:?}", decode(sample).unwrap()));
    }
}

#[test]
fn unknown_requests_and_versions_are_refused_but_versions_of_the_future_are_told() {
    let raw = |key: i16, version: i16| Bytes::from([&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 9, 0xff, 0xff]].concat());
    assert!(matches!(decode(raw(999, 0)), Err(WireError::Api(999))));
    assert!(matches!(decode(raw(0, 2)), Err(WireError::Version { min: 3, .. })));
    assert!(matches!(decode(raw(22, 5)), Err(WireError::Version { max: 4, .. })));
    let future = decode(raw(18, 50)).unwrap();
    assert_eq!((future.correlation_id, future.version, future.body.is_none()), (9, 0, true));
}

#[test]
fn frame_lengths_are_bounded() {
    assert_eq!(frame_len(100, 100).unwrap(), 100);
    assert!(frame_len(101, 100).is_err());
    assert!(frame_len(-1, 100).is_err());
    // "GET " read as a length: a browser, or a TLS hello, gets a hint.
    let http = frame_len(i32::from_be_bytes(*b"GET "), 1 << 20).unwrap_err().to_string();
    assert!(http.contains("Kafka client"), "{http}");
}

#[test]
fn every_served_request_is_one_that_the_decoder_knows_in_these_versions() {
    for s in SUPPORTED {
        let known = s.api.valid_versions();
        assert!(known.min <= s.min && s.max <= known.max, "{:?}: {known}", s.api);
    }
}

#[test]
fn a_response_frame_says_its_length() {
    let bytes = encode(ApiKey::Heartbeat, 4, 5, &ResponseKind::Heartbeat(Default::default())).unwrap();
    assert_eq!(bytes[..4], (bytes.len() as u32 - 4).to_be_bytes());
    assert_eq!(bytes[4..8], 5_i32.to_be_bytes());
}
