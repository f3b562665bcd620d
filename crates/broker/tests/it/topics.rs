//! Metadata, and creating and deleting topics.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use millstream_broker::BrokerSettings;
use millstream_core::ports::SystemClock;

use crate::client::{Client, Endpoint, plain, text, topic, values};

async fn create(client: &mut Client, wanted: CreatableTopic) -> i16 {
    client.call(6, CreateTopicsRequest::default().with_topics(vec![wanted])).await.topics[0].error_code
}

fn asked(name: &str) -> MetadataRequest {
    MetadataRequest::default().with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic(name)))]))
}

#[tokio::test]
async fn topics_are_created_described_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("b", 3).await;
    client.create("a", 1).await;
    let all = client.call(9, MetadataRequest::default().with_topics(None)).await;
    let described: Vec<_> = all.topics.iter().map(|t| (t.name.clone().unwrap().to_string(), t.partitions.len())).collect();
    assert_eq!(described, [("a".to_owned(), 1), ("b".to_owned(), 3)]);
    let broker = &all.brokers[0];
    assert_eq!((&*broker.host, broker.port), ("127.0.0.1", i32::from(endpoint.address.port())));

    client.produce("b", 0, plain(&["x"])).await;
    let delete = || DeleteTopicsRequest::default().with_topic_names(vec![topic("b")]);
    assert_eq!(client.call(5, delete()).await.responses[0].error_code, 0);
    assert_eq!(client.call(5, delete()).await.responses[0].error_code, ResponseError::UnknownTopicOrPartition.code());
    assert!(!folder.path().join("topics/b").exists());
    client.create("b", 1).await;
    assert!(values(&client.fetch("b", 0, 0).await).is_empty(), "the new topic has nothing of the old one");
}

#[tokio::test]
async fn what_can_not_be_created_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    let wanted = |name: &str, partitions| {
        CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(-1)
    };
    let config = |name: &str, value: &str| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let cases = [
        (wanted("t", 1), ResponseError::TopicAlreadyExists),
        (wanted("t", 2), ResponseError::TopicAlreadyExists),
        (wanted("../evil", 1), ResponseError::InvalidTopicException),
        (wanted("u", 0), ResponseError::InvalidPartitions),
        (wanted("u", 1_000_000), ResponseError::InvalidPartitions),
        (wanted("u", 1).with_replication_factor(3), ResponseError::InvalidReplicationFactor),
        (wanted("u", 1).with_configs(vec![config("cleanup.policy", "compact")]), ResponseError::InvalidConfig),
        (wanted("u", 1).with_configs(vec![config("retention.ms", "soon")]), ResponseError::InvalidConfig),
    ];
    for (wanted, expected) in cases {
        assert_eq!(create(&mut client, wanted).await, expected.code(), "{expected:?}");
    }
    let only_checked = CreateTopicsRequest::default().with_topics(vec![wanted("u", 1)]).with_validate_only(true);
    assert_eq!(client.call(6, only_checked).await.topics[0].error_code, 0);
    assert_eq!(client.call(9, asked("u")).await.topics[0].error_code, ResponseError::UnknownTopicOrPartition.code());
    let grow = CreatePartitionsTopic::default().with_name(topic("t")).with_count(5);
    let grown = client.call(3, CreatePartitionsRequest::default().with_topics(vec![grow])).await;
    assert_eq!(grown.results[0].error_code, ResponseError::InvalidPartitions.code());
}

#[tokio::test]
async fn a_topics_retention_is_set_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    for (name, value) in [("day", "86400000"), ("ever", "-1")] {
        let config = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text(value)));
        let wanted = CreatableTopic::default().with_name(topic(name)).with_num_partitions(-1).with_replication_factor(-1);
        assert_eq!(create(&mut client, wanted.with_configs(vec![config])).await, 0);
        let resource = DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text(name))
            .with_configuration_keys(Some(vec![text("retention.ms")]));
        let described = client.call(4, DescribeConfigsRequest::default().with_resources(vec![resource])).await;
        assert_eq!(described.results[0].configs.len(), 1);
        assert_eq!(described.results[0].configs[0].value.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn topics_are_created_on_demand_only_where_that_is_set() {
    for on in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let settings = BrokerSettings { auto_create_topics: on, default_partitions: 4, ..BrokerSettings::default() };
        let endpoint = Endpoint::start_with(folder.path(), settings, Arc::new(SystemClock)).await;
        let mut client = endpoint.client().await;
        let found = client.call(9, asked("t").with_allow_auto_topic_creation(true)).await.topics[0].clone();
        let expected = if on { (0, 4) } else { (ResponseError::UnknownTopicOrPartition.code(), 0) };
        assert_eq!((found.error_code, found.partitions.len()), expected);
        let bad = client.call(9, asked("b/d").with_allow_auto_topic_creation(true)).await.topics[0].clone();
        assert_eq!(bad.error_code, ResponseError::InvalidTopicException.code());
    }
}

#[tokio::test]
async fn the_configured_host_is_told_to_clients() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { advertised_host: Some("kafka.internal".to_owned()), ..BrokerSettings::default() };
    let endpoint = Endpoint::start_with(folder.path(), settings, Arc::new(SystemClock)).await;
    let metadata = endpoint.client().await.call(9, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(&*metadata.brokers[0].host, "kafka.internal");
}
