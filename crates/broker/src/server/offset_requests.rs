//! ListOffsets and OffsetForLeaderEpoch: where a consumer begins.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::Endpoint;
use crate::log::{LEADER_EPOCH, Log, LogError, blocking};
use crate::wire;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

impl Endpoint {
    pub(super) async fn list_offsets(&self, request: ListOffsetsRequest, version: i16) -> ListOffsetsResponse {
        let log = self.log.clone();
        let found = blocking(move || Ok::<_, LogError>(find_all(&log, request, version))).await;
        ListOffsetsResponse::default().with_topics(found.unwrap_or_default())
    }

    pub(super) fn offset_for_leader_epoch(&self, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.iter().map(|topic| {
            let found = self.log.topic(&topic.topic);
            let partitions = topic.partitions.iter().map(|asked| {
                let answer = EpochEndOffset::default().with_partition(asked.partition);
                match found
                    .as_ref()
                    .map_err(wire::of_log_error)
                    .and_then(|t| t.partition(asked.partition).map_err(|e| wire::of_log_error(&e)))
                {
                    Err(error) => answer.with_error_code(error.code()),
                    Ok(_) if asked.current_leader_epoch > LEADER_EPOCH => answer.with_error_code(ResponseError::UnknownLeaderEpoch.code()),
                    Ok(partition) if asked.leader_epoch == LEADER_EPOCH => {
                        answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(partition.bounds().end.0)
                    }
                    Ok(_) => answer,
                }
            });
            OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions.collect())
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }
}

fn find_all(log: &Log, request: ListOffsetsRequest, version: i16) -> Vec<ListOffsetsTopicResponse> {
    // The field exists from version 4 on.
    let leader_epoch = if version >= 4 { LEADER_EPOCH } else { -1 };
    let mut topics = Vec::new();
    for topic in request.topics {
        let mut answers = Vec::new();
        for asked in &topic.partitions {
            let answer =
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(-1).with_timestamp(-1);
            answers.push(match find(log, &topic.name, asked.partition_index, asked.timestamp) {
                Ok(Some((offset, timestamp))) => answer.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(leader_epoch),
                Ok(None) => answer,
                Err(error) => answer.with_error_code(error.code()),
            });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(answers));
    }
    topics
}

fn find(log: &Log, topic: &str, partition: i32, timestamp: i64) -> Result<Option<(i64, i64)>, ResponseError> {
    let code = |e: LogError| wire::of_log_error(&e);
    let topic = log.topic(topic).map_err(code)?;
    let partition = topic.partition(partition).map_err(code)?;
    match timestamp {
        LATEST => Ok(Some((partition.bounds().end.0, -1))),
        EARLIEST => Ok(Some((partition.bounds().start.0, -1))),
        MAX_TIMESTAMP => partition.newest().map_err(code),
        time if time >= 0 => partition.offset_for_time(time).map_err(code),
        _ => Err(ResponseError::UnsupportedVersion),
    }
}
