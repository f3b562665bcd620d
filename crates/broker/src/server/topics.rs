//! Metadata, and creating and deleting topics.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_response::{CreatePartitionsResponse, CreatePartitionsTopicResult};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{CreatableTopicResult, CreateTopicsResponse};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use millstream_core::ports::TopicSpec;

use super::cluster::text;
use super::{Endpoint, NODE_ID, Peer};
use crate::log::{LEADER_EPOCH, LogError, Topic};
use crate::wire;

/// A refusal with its reason.
type Refused = (ResponseError, String);

fn refused(error: &LogError) -> Refused {
    (wire::of_log_error(error), error.to_string())
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let node = || vec![BrokerId(NODE_ID)];
    let partitions = (0..topic.meta().partitions).map(|p| {
        MetadataResponsePartition::default()
            .with_partition_index(p)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(node())
            .with_isr_nodes(node())
    });
    let name = TopicName(text(topic.meta().name.clone()));
    MetadataResponseTopic::default().with_name(Some(name)).with_partitions(partitions.collect())
}

impl Endpoint {
    pub(super) async fn metadata(&self, request: MetadataRequest, version: i16, peer: &Peer) -> MetadataResponse {
        // Version 0 has no null: there an empty list asks for all topics.
        let asked = request.topics.filter(|t| version > 0 || !t.is_empty());
        let may_create = request.allow_auto_topic_creation && self.log.settings().auto_create_topics;
        let topics = match asked {
            None => self.log.all_topics().iter().map(|t| describe(t)).collect(),
            Some(asked) => {
                let mut topics = Vec::with_capacity(asked.len());
                for name in asked.into_iter().filter_map(|t| t.name) {
                    topics.push(self.metadata_of(name, may_create).await);
                }
                topics
            }
        };
        let (host, port) = peer.advertised.clone();
        let broker = MetadataResponseBroker::default().with_node_id(BrokerId(NODE_ID)).with_host(text(host)).with_port(i32::from(port));
        MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_cluster_id(Some(text(self.log.cluster_id())))
            .with_controller_id(BrokerId(NODE_ID))
            .with_topics(topics)
    }

    async fn metadata_of(&self, name: TopicName, may_create: bool) -> MetadataResponseTopic {
        let mut found = self.log.topic(&name);
        if found.is_err() && may_create {
            let spec = TopicSpec { name: name.to_string(), partitions: self.log.settings().default_partitions, retention: None };
            found = match self.log.create(spec).await {
                Ok(_) => self.log.topic(&name),
                Err(e) => Err(e),
            };
        }
        let found = found.map_err(|e| crate::log::check_name(&name).err().unwrap_or(e));
        match found {
            Ok(topic) => describe(&topic),
            Err(error) => MetadataResponseTopic::default().with_name(Some(name)).with_error_code(wire::of_log_error(&error).code()),
        }
    }

    pub(super) async fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut results = Vec::with_capacity(request.topics.len());
        for (at, topic) in request.topics.iter().enumerate() {
            let twice = request.topics.iter().enumerate().any(|(other, t)| other != at && t.name == topic.name);
            let created = if twice {
                Err((ResponseError::InvalidRequest, "the topic is named twice in one request".to_owned()))
            } else {
                self.create_topic(topic, request.validate_only).await
            };
            let result = CreatableTopicResult::default().with_name(topic.name.clone());
            results.push(match created {
                Ok(partitions) => result
                    .with_num_partitions(partitions)
                    .with_replication_factor(1)
                    .with_error_message(None)
                    .with_configs(Some(Vec::new())),
                Err((error, why)) => result.with_error_code(error.code()).with_error_message(Some(text(why))).with_configs(None),
            });
        }
        CreateTopicsResponse::default().with_topics(results)
    }

    async fn create_topic(&self, topic: &CreatableTopic, validate_only: bool) -> Result<i32, Refused> {
        let spec = self.spec_of(topic)?;
        let partitions = spec.partitions;
        let fresh = if validate_only { self.log.check_new_topic(&spec) } else { self.log.create(spec).await };
        match fresh.map_err(|e| refused(&e))? {
            true => Ok(partitions),
            false => Err((ResponseError::TopicAlreadyExists, format!("topic {} exists already", &*topic.name))),
        }
    }

    fn spec_of(&self, topic: &CreatableTopic) -> Result<TopicSpec, Refused> {
        if !topic.assignments.is_empty() {
            return Err((
                ResponseError::InvalidReplicaAssignment,
                "there is one broker, so partitions can't be assigned to any".to_owned(),
            ));
        }
        if !matches!(topic.replication_factor, -1 | 1) {
            let why = format!("replication factor {} is impossible: there is one broker", topic.replication_factor);
            return Err((ResponseError::InvalidReplicationFactor, why));
        }
        let partitions = if topic.num_partitions == -1 { self.log.settings().default_partitions } else { topic.num_partitions };
        let mut retention = None;
        for config in &topic.configs {
            let value = config.value.as_ref().map(|v| v.to_string()).unwrap_or_default();
            let impossible = || (ResponseError::InvalidConfig, format!("{}={value} is not served by the built-in endpoint", &*config.name));
            match (&*config.name, value.as_str()) {
                ("retention.ms", "-1") => retention = Some(Duration::MAX),
                ("retention.ms", ms) => retention = Some(Duration::from_millis(ms.parse().map_err(|_| impossible())?)),
                ("cleanup.policy", "delete")
                | ("compression.type", "producer")
                | ("message.timestamp.type", "CreateTime")
                | ("min.insync.replicas", "1") => {}
                _ => return Err(impossible()),
            }
        }
        Ok(TopicSpec { name: topic.name.to_string(), partitions, retention })
    }

    pub(super) async fn delete_topics(&self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let mut results = Vec::with_capacity(request.topic_names.len());
        for name in request.topic_names {
            let deleted = self.log.delete(name.to_string()).await;
            let result = DeletableTopicResult::default().with_name(Some(name));
            results.push(match deleted {
                Ok(()) => result,
                Err(e) => result.with_error_code(wire::of_log_error(&e).code()).with_error_message(Some(text(e.to_string()))),
            });
        }
        DeleteTopicsResponse::default().with_responses(results)
    }

    pub(super) fn create_partitions(&self, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let results = request.topics.into_iter().map(|topic| {
            let (error, why) = match self.log.topic(&topic.name) {
                Err(e) => refused(&e),
                Ok(_) => (ResponseError::InvalidPartitions, "a topic keeps its number of partitions: keys would move to others".to_owned()),
            };
            CreatePartitionsTopicResult::default().with_name(topic.name).with_error_code(error.code()).with_error_message(Some(text(why)))
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    }
}
