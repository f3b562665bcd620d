//! Fetch: record batches out of the log, waiting for them where the client asks for it.
//!
//! Fetch sessions (KIP-227) are not kept: a session id of 0 in the answer tells clients to name all partitions each time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{pending, select_all};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use millstream_core::ports::LogBounds;
use tokio::sync::watch;

use super::Endpoint;
use crate::log::{LEADER_EPOCH, LogError, Topic};
use crate::wire;

const WAIT_MAX: Duration = Duration::from_secs(60);

struct Wanted {
    name: TopicName,
    topic: Option<Arc<Topic>>,
    partitions: Vec<FetchPartition>,
}

impl Endpoint {
    pub(super) async fn fetch(&self, request: FetchRequest) -> FetchResponse {
        if request.session_id != 0 && request.session_epoch > 0 {
            return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
        }
        let wanted: Vec<Wanted> = request
            .topics
            .into_iter()
            .map(|t| Wanted { topic: self.log.topic(&t.topic).ok(), name: t.topic, partitions: t.partitions })
            .collect();
        let wait = Duration::from_millis(u64::from(request.max_wait_ms.max(0).unsigned_abs())).min(WAIT_MAX);
        self.wait_for(&wanted, u64::from(request.min_bytes.max(0).unsigned_abs()), wait).await;

        let read_committed = request.isolation_level == 1;
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(self.log.settings().fetch_bytes_max);
        let bytes = available(&wanted).map_or(max_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX).min(max_bytes));
        let read = self.log.at_disk(bytes, move || Ok(read_all(wanted, max_bytes, read_committed))).await;
        match read {
            Ok(responses) => FetchResponse::default().with_responses(responses),
            Err(e) => FetchResponse::default().with_error_code(wire::of_log_error(&e).code()),
        }
    }

    /// Waits until there are `min_bytes`, or something is to be told at once, or `wait` is over.
    async fn wait_for(&self, wanted: &[Wanted], min_bytes: u64, wait: Duration) {
        let mut changes: Vec<watch::Receiver<()>> = wanted.iter().filter_map(|w| w.topic.as_ref().map(|t| t.changes())).collect();
        let clock = self.log.clock().clone();
        let mut timeout = clock.sleep(wait);
        loop {
            for change in &mut changes {
                change.borrow_and_update();
            }
            if available(wanted).is_none_or(|bytes| bytes >= min_bytes) || wait.is_zero() {
                return;
            }
            let changed = async {
                if changes.is_empty() {
                    pending::<()>().await;
                }
                let _ = select_all(changes.iter_mut().map(|c| c.changed().boxed())).await;
            };
            tokio::select! {
                () = &mut timeout => return,
                () = self.shutdown.cancelled() => return,
                () = changed => {}
            }
        }
    }
}

/// Roughly how many bytes could be sent; `None` when a partition has an error to tell.
fn available(wanted: &[Wanted]) -> Option<u64> {
    let mut bytes = 0;
    for Wanted { topic, partitions, .. } in wanted {
        let topic = topic.as_ref().filter(|t| !t.is_deleted())?;
        for asked in partitions {
            let partition = topic.partition(asked.partition).ok()?;
            let bounds = partition.bounds();
            if !(bounds.start.0..=bounds.end.0).contains(&asked.fetch_offset) || asked.current_leader_epoch > LEADER_EPOCH {
                return None;
            }
            bytes += partition.bytes_from(asked.fetch_offset).min(u64::from(asked.partition_max_bytes.max(0).unsigned_abs()).max(1));
        }
    }
    Some(bytes)
}

/// Reads each partition in the order asked for, until `max_bytes` are used up. The first batch is sent however large it is.
fn read_all(wanted: Vec<Wanted>, max_bytes: usize, read_committed: bool) -> Vec<FetchableTopicResponse> {
    let mut left = max_bytes;
    let mut nothing_yet = true;
    let mut responses = Vec::with_capacity(wanted.len());
    for Wanted { name, topic, partitions } in wanted {
        let mut answers = Vec::with_capacity(partitions.len());
        for asked in partitions {
            let limit = left.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
            let mut answer = read_one(topic.as_deref(), &asked, limit, nothing_yet);
            let len = answer.records.as_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(len);
            nothing_yet &= len == 0;
            answer.aborted_transactions = read_committed.then(Vec::new);
            answers.push(answer);
        }
        responses.push(FetchableTopicResponse::default().with_topic(name).with_partitions(answers));
    }
    responses
}

fn read_one(topic: Option<&Topic>, asked: &FetchPartition, limit: usize, first: bool) -> PartitionData {
    let answer = PartitionData::default()
        .with_partition_index(asked.partition)
        .with_preferred_read_replica(BrokerId(-1))
        .with_records(Some(Bytes::new()));
    let failed = |answer: PartitionData, error: ResponseError| {
        answer.with_error_code(error.code()).with_high_watermark(-1).with_last_stable_offset(-1).with_log_start_offset(-1)
    };
    let Some(partition) = topic.filter(|t| !t.is_deleted()).and_then(|t| t.partition(asked.partition).ok()) else {
        return failed(answer, ResponseError::UnknownTopicOrPartition);
    };
    if asked.current_leader_epoch > LEADER_EPOCH {
        return failed(answer, ResponseError::UnknownLeaderEpoch);
    }
    let read = if limit == 0 && !first {
        partition.check_offset(asked.fetch_offset).map(|b| (b, Bytes::new()))
    } else {
        partition.read_batches(asked.fetch_offset, limit).map(|(bounds, batches)| (bounds, batches.bytes))
    };
    match read {
        Ok((bounds, bytes)) => {
            let bytes = if bytes.len() > limit && !first { Bytes::new() } else { bytes };
            with_bounds(answer, bounds).with_records(Some(bytes))
        }
        Err(error) => {
            if !matches!(error, LogError::OutOfRange { .. }) {
                tracing::error!(%error, "a fetch failed");
            }
            let bounds = partition.bounds();
            with_bounds(answer, bounds).with_error_code(wire::of_log_error(&error).code())
        }
    }
}

fn with_bounds(answer: PartitionData, bounds: LogBounds) -> PartitionData {
    answer.with_high_watermark(bounds.end.0).with_last_stable_offset(bounds.end.0).with_log_start_offset(bounds.start.0)
}
