//! What a client asks first: versions, brokers, coordinators, settings, a producer id.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::{BrokerId, ProducerId, ResponseKind};
use kafka_protocol::protocol::StrBytes;

use super::{Endpoint, NODE_ID, Peer};
use crate::wire::{self, SUPPORTED};

/// What a client that wants transactions is told.
pub const NO_TRANSACTIONS: &str = "the built-in kafka endpoint has no transactions; use an idempotent producer without a transactional id";
const GROUP: i8 = 0;
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;
const STATIC_BROKER_CONFIG: i8 = 4;
const TOPIC_CONFIG: i8 = 1;

pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

impl Endpoint {
    /// The versions that are served; `future`: with the error for a request version of the future.
    pub(super) fn api_versions(&self, future: bool) -> ResponseKind {
        let version = |s: &wire::Supported| {
            ApiVersion::default().with_api_key(s.api as i16).with_min_version(s.advertised_min()).with_max_version(s.max)
        };
        let error_code = if future { ResponseError::UnsupportedVersion.code() } else { 0 };
        ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(SUPPORTED.iter().map(version).collect()).into()
    }

    pub(super) fn describe_cluster(&self, peer: &Peer) -> DescribeClusterResponse {
        let (host, port) = peer.advertised.clone();
        let broker = DescribeClusterBroker::default().with_broker_id(BrokerId(NODE_ID)).with_host(text(host)).with_port(i32::from(port));
        DescribeClusterResponse::default()
            .with_cluster_id(text(self.log.cluster_id()))
            .with_controller_id(BrokerId(NODE_ID))
            .with_endpoint_type(1)
            .with_brokers(vec![broker])
    }

    pub(super) fn find_coordinator(&self, request: FindCoordinatorRequest, version: i16, peer: &Peer) -> FindCoordinatorResponse {
        let (host, port) = peer.advertised.clone();
        let (host, port, node) = (text(host), i32::from(port), BrokerId(NODE_ID));
        let refused = request.key_type != GROUP;
        let (error_code, message) = if refused { (ResponseError::InvalidRequest.code(), Some(text(NO_TRANSACTIONS))) } else { (0, None) };
        if version < 4 {
            let response = FindCoordinatorResponse::default().with_error_code(error_code).with_error_message(message);
            return if refused { response } else { response.with_node_id(node).with_host(host).with_port(port) };
        }
        let coordinator = |key: StrBytes| {
            let found = Coordinator::default().with_key(key).with_error_code(error_code).with_error_message(message.clone());
            if refused { found } else { found.with_node_id(node).with_host(host.clone()).with_port(port) }
        };
        FindCoordinatorResponse::default().with_coordinators(request.coordinator_keys.into_iter().map(coordinator).collect())
    }

    pub(super) async fn init_producer_id(&self, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        let refused = |error: ResponseError| {
            InitProducerIdResponse::default().with_error_code(error.code()).with_producer_id(ProducerId(-1)).with_producer_epoch(-1)
        };
        if request.transactional_id.is_some() {
            return refused(ResponseError::InvalidRequest);
        }
        match self.log.new_producer_id().await {
            Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
            Err(error) => {
                tracing::warn!(%error, "no producer id could be reserved");
                refused(ResponseError::CoordinatorNotAvailable)
            }
        }
    }

    pub(super) fn describe_configs(&self, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let results = request.resources.into_iter().map(|r| self.describe_config(r));
        DescribeConfigsResponse::default().with_results(results.collect())
    }

    fn describe_config(&self, resource: DescribeConfigsResource) -> DescribeConfigsResult {
        let answer =
            DescribeConfigsResult::default().with_resource_type(resource.resource_type).with_resource_name(resource.resource_name.clone());
        let (source, settings) = match resource.resource_type {
            TOPIC_RESOURCE => match self.log.topic(&resource.resource_name) {
                Ok(topic) => (TOPIC_CONFIG, self.topic_settings(topic.retention(self.log.settings().retention()))),
                Err(e) => return answer.with_error_code(wire::of_log_error(&e).code()).with_error_message(Some(text(e.to_string()))),
            },
            BROKER_RESOURCE => (STATIC_BROKER_CONFIG, self.broker_settings()),
            other => {
                let why = format!("resources of type {other} have no settings here (2 is a topic, 4 the broker)");
                return answer.with_error_code(ResponseError::InvalidRequest.code()).with_error_message(Some(text(why)));
            }
        };
        let asked = resource.configuration_keys;
        let wanted = |name: &str| asked.as_ref().is_none_or(|keys| keys.iter().any(|k| &**k == name));
        let configs = settings.into_iter().filter(|(name, _)| wanted(name)).map(|(name, value)| {
            DescribeConfigsResourceResult::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
                .with_read_only(true)
                .with_config_source(source)
        });
        answer.with_configs(configs.collect())
    }

    fn topic_settings(&self, retention: Option<std::time::Duration>) -> Vec<(&'static str, String)> {
        let settings = self.log.settings();
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("compression.type", "producer".to_owned()),
            ("max.message.bytes", settings.message_bytes_max.to_string()),
            ("message.timestamp.type", "CreateTime".to_owned()),
            ("min.insync.replicas", "1".to_owned()),
            ("retention.ms", retention.map_or_else(|| "-1".to_owned(), |r| r.as_millis().to_string())),
            ("segment.bytes", settings.segment_bytes.to_string()),
        ]
    }

    fn broker_settings(&self) -> Vec<(&'static str, String)> {
        let settings = self.log.settings();
        vec![
            ("auto.create.topics.enable", settings.auto_create_topics.to_string()),
            ("default.replication.factor", "1".to_owned()),
            ("log.retention.ms", settings.retention().map_or_else(|| "-1".to_owned(), |r| r.as_millis().to_string())),
            ("log.segment.bytes", settings.segment_bytes.to_string()),
            ("message.max.bytes", settings.message_bytes_max.to_string()),
            ("num.partitions", settings.default_partitions.to_string()),
        ]
    }
}
