//! Produce: record batches into the log.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_core::TopicPartition;

use super::Endpoint;
use crate::batch;
use crate::log::{Appended, Log, LogError, Topic};
use crate::wire;

impl Endpoint {
    /// Appends what the request brings, and says whether some of it failed.
    pub(super) async fn produce(&self, request: ProduceRequest) -> (ProduceResponse, bool) {
        let refused = self.refuse_whole(&request);
        let mut response = ProduceResponse::default();
        let mut work = Vec::new();
        for topic in request.topic_data {
            let found = self.log.topic(&topic.name);
            let partitions = topic.partition_data.iter().map(|p| PartitionProduceResponse::default().with_index(p.index)).collect();
            response.responses.push(TopicProduceResponse::default().with_name(topic.name).with_partition_responses(partitions));
            work.push((found, topic.partition_data));
        }
        let outcomes = match refused {
            Some((error, why)) => Err((error, why)),
            None => {
                let log = self.log.clone();
                let cost = work.iter().map(cost).fold(0, usize::saturating_add);
                let appended = self.log.at_disk(cost, move || Ok(append_all(&log, work))).await;
                appended.map_err(|e| (wire::of_log_error(&e), e.to_string()))
            }
        };
        let mut failed = false;
        let mut outcomes = outcomes.map(IntoIterator::into_iter);
        for partition in response.responses.iter_mut().flat_map(|t| &mut t.partition_responses) {
            match &mut outcomes {
                Err((error, why)) => fill_error(partition, *error, why),
                Ok(outcomes) => match outcomes.next() {
                    Some(Ok(appended)) => {
                        partition.base_offset = appended.base_offset;
                        partition.log_append_time_ms = appended.append_time_ms;
                        partition.log_start_offset = appended.start_offset;
                    }
                    Some(Err(error)) => fill_error(partition, wire::of_log_error(&error), &error.to_string()),
                    None => fill_error(partition, ResponseError::UnknownServerError, "no outcome"),
                },
            }
            failed |= partition.error_code != 0;
        }
        (response, failed)
    }

    fn refuse_whole(&self, request: &ProduceRequest) -> Option<(ResponseError, String)> {
        if !(-1..=1).contains(&request.acks) {
            return Some((ResponseError::InvalidRequiredAcks, format!("acks={} is not 0, 1 or all", request.acks)));
        }
        if request.transactional_id.is_some() {
            return Some((ResponseError::InvalidTxnState, super::cluster::NO_TRANSACTIONS.to_owned()));
        }
        self.log.check_intake().err().map(|e| (wire::of_log_error(&e), e.to_string()))
    }
}

fn fill_error(partition: &mut PartitionProduceResponse, error: ResponseError, why: &str) {
    partition.error_code = error.code();
    partition.base_offset = -1;
    partition.log_append_time_ms = -1;
    partition.log_start_offset = -1;
    partition.error_message = Some(StrBytes::from_string(why.to_owned()));
}

type TopicWork = (Result<Arc<Topic>, LogError>, Vec<PartitionProduceData>);

/// What appending to a topic's partitions is worth at the disk, in bytes. What is refused costs nothing.
fn cost((topic, partitions): &TopicWork) -> usize {
    let Ok(topic) = topic else { return 0 };
    let of_one = |data: &PartitionProduceData| {
        let bytes = data.records.as_ref().map_or(0, Bytes::len);
        topic.partition(data.index).map_or(0, |partition| partition.append_cost(bytes))
    };
    partitions.iter().map(of_one).fold(0, usize::saturating_add)
}

/// Writes all batches first and flushes then, so that the flushes of a request don't wait for its writes.
fn append_all(log: &Log, work: Vec<TopicWork>) -> Vec<Result<Appended, LogError>> {
    let mut outcomes = Vec::new();
    let mut unsettled = Vec::new();
    for (topic, partitions) in work {
        for data in partitions {
            let appended = match &topic {
                Ok(topic) => append_one(log, topic, data.index, data.records),
                Err(error) => Err(LogError::NoTopic(match error {
                    LogError::NoTopic(name) => name.clone(),
                    other => other.to_string(),
                })),
            };
            if let (Ok(appended), Ok(topic)) = (&appended, &topic) {
                unsettled.push((outcomes.len(), topic.clone(), data.index, *appended));
            }
            outcomes.push(appended);
        }
    }
    for (at, topic, index, appended) in unsettled {
        if let Err(error) = topic.partition(index).and_then(|p| p.settle(&appended)) {
            outcomes[at] = Err(error);
        }
    }
    outcomes
}

fn append_one(log: &Log, topic: &Topic, index: i32, records: Option<Bytes>) -> Result<Appended, LogError> {
    let partition = topic.partition(index)?;
    let id = || TopicPartition::new(topic.meta().name.clone(), index);
    let records = records.unwrap_or_default();
    let max = log.settings().message_bytes_max;
    if records.len() > max {
        return Err(LogError::MessageTooLarge { partition: id(), len: records.len(), max });
    }
    let checked = batch::check(&records, log.clock().now()).map_err(|source| LogError::Refused { partition: id(), source })?;
    let count = u64::from(checked.header().record_count.unsigned_abs());
    let appended = partition.append_unsettled(checked)?;
    metrics::counter!("millstream_broker_records_appended_total").increment(count);
    Ok(appended)
}
