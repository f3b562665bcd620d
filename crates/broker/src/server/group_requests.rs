//! The requests of consumer groups, translated for the coordinator and back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{DescribeGroupsResponse, DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use kafka_protocol::messages::join_group_request::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::messages::leave_group_request::LeaveGroupRequest;
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::cluster::text;
use super::{Endpoint, Peer};
use crate::coordinator::{
    Caller, Committed, GroupDescription, GroupState, Join, JoinRefused, Joined, MemberDescription, OffsetChange, OffsetKey, Sync,
};

/// The longest note that a consumer may store with an offset (Kafka's `offset.metadata.max.bytes`).
const METADATA_LEN_MAX: usize = 4096;
const CLASSIC: &str = "classic";

fn code<T>(outcome: Result<T, ResponseError>) -> i16 {
    outcome.err().map_or(0, |e| e.code())
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn optional(text: Option<StrBytes>) -> Option<String> {
    text.map(|t| t.to_string())
}

impl Endpoint {
    pub(super) async fn join_group(&self, request: JoinGroupRequest, version: i16, peer: &Peer) -> JoinGroupResponse {
        let session = millis(request.session_timeout_ms);
        let join = Join {
            group: request.group_id.to_string(),
            member: request.member_id.to_string(),
            instance: optional(request.group_instance_id),
            client_id: peer.client_id.clone(),
            client_host: format!("/{}", peer.client.ip()),
            protocol_type: request.protocol_type.to_string(),
            protocols: request.protocols.into_iter().map(|p| (p.name.to_string(), p.metadata)).collect(),
            session,
            // Version 0 has no rebalance timeout of its own.
            rebalance: if version == 0 { session } else { millis(request.rebalance_timeout_ms) },
            id_first: version >= 4,
        };
        let response = JoinGroupResponse::default();
        match self.groups.join(join, &self.shutdown).await {
            Some(Ok(joined)) => fill_joined(response, joined, version),
            Some(Err(JoinRefused { error, member })) => {
                refused_join(response, version).with_error_code(error.code()).with_member_id(text(member))
            }
            None => refused_join(response, version)
                .with_error_code(ResponseError::CoordinatorNotAvailable.code())
                .with_member_id(request.member_id),
        }
    }

    pub(super) async fn sync_group(&self, request: SyncGroupRequest) -> SyncGroupResponse {
        let sync = Sync {
            from: Caller {
                group: request.group_id.to_string(),
                generation: request.generation_id,
                member: request.member_id.to_string(),
                instance: optional(request.group_instance_id),
            },
            protocol_type: optional(request.protocol_type),
            protocol: optional(request.protocol_name),
            assignments: request.assignments.into_iter().map(|a| (a.member_id.to_string(), a.assignment)).collect(),
        };
        let response = SyncGroupResponse::default();
        match self.groups.sync(sync, &self.shutdown).await {
            Some(Ok(synced)) => response
                .with_protocol_type(Some(text(synced.protocol_type)))
                .with_protocol_name(Some(text(synced.protocol)))
                .with_assignment(synced.assignment),
            Some(Err(error)) => response.with_error_code(error.code()),
            None => response.with_error_code(ResponseError::CoordinatorNotAvailable.code()),
        }
    }

    pub(super) fn heartbeat(&self, request: HeartbeatRequest) -> HeartbeatResponse {
        let caller = Caller {
            group: request.group_id.to_string(),
            generation: request.generation_id,
            member: request.member_id.to_string(),
            instance: optional(request.group_instance_id),
        };
        HeartbeatResponse::default().with_error_code(code(self.groups.with(|c, now| c.heartbeat(now, &caller))))
    }

    pub(super) fn leave_group(&self, request: LeaveGroupRequest, version: i16) -> LeaveGroupResponse {
        let leave = |member: &str, instance: Option<&str>| self.groups.with(|c, now| c.leave(now, &request.group_id, member, instance));
        if version < 3 {
            return LeaveGroupResponse::default().with_error_code(code(leave(&request.member_id, None)));
        }
        let members = request.members.iter().map(|m| {
            let left = leave(&m.member_id, m.group_instance_id.as_deref());
            MemberResponse::default()
                .with_member_id(m.member_id.clone())
                .with_group_instance_id(m.group_instance_id.clone())
                .with_error_code(code(left))
        });
        LeaveGroupResponse::default().with_members(members.collect())
    }

    pub(super) async fn offset_commit(&self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        let caller = Caller {
            group: request.group_id.to_string(),
            generation: request.generation_id_or_member_epoch,
            member: request.member_id.to_string(),
            instance: optional(request.group_instance_id),
        };
        let mut outcome = self.groups.with(|c, now| c.check_commit(now, &caller));
        let at = self.log.clock().now();
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = self.log.topic(&topic.name).ok();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for p in topic.partitions {
                let metadata = p.committed_metadata.map(|m| m.to_string()).unwrap_or_default();
                let checked = match &found {
                    Some(t) if t.partition(p.partition_index).is_ok() => Ok(t.meta().id),
                    _ => Err(ResponseError::UnknownTopicOrPartition),
                };
                let checked = checked
                    .and_then(|id| if metadata.len() > METADATA_LEN_MAX { Err(ResponseError::OffsetMetadataTooLarge) } else { Ok(id) });
                if let Ok(topic_id) = checked {
                    let key = OffsetKey { topic: topic.name.to_string(), topic_id, partition: p.partition_index };
                    offsets.push((key, Committed { offset: p.committed_offset, leader_epoch: p.committed_leader_epoch, metadata, at }));
                }
                partitions.push((p.partition_index, code(checked)));
            }
            topics.push((topic.name, partitions));
        }
        if outcome.is_ok() && !offsets.is_empty() {
            let change = OffsetChange::Commit { group: caller.group, offsets };
            if let Err(error) = self.groups.store(change).await {
                tracing::warn!(%error, "consumer offsets could not be stored");
                outcome = Err(ResponseError::CoordinatorNotAvailable);
            }
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, own)| {
                let error_code = if outcome.is_err() { code(outcome) } else { own };
                OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(error_code)
            });
            OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    pub(super) fn offset_fetch(&self, request: OffsetFetchRequest, version: i16) -> OffsetFetchResponse {
        if version >= 8 {
            let groups = request.groups.into_iter().map(|g| {
                let asked = g.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
                let topics = self.committed(&g.group_id, asked).into_iter().map(|(name, partitions)| {
                    let partitions = partitions.into_iter().map(|(index, c)| {
                        OffsetFetchResponsePartitions::default()
                            .with_partition_index(index)
                            .with_committed_offset(c.offset)
                            .with_committed_leader_epoch(c.leader_epoch)
                            .with_metadata(Some(text(c.metadata)))
                    });
                    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
                });
                OffsetFetchResponseGroup::default().with_topics(topics.collect()).with_group_id(g.group_id)
            });
            return OffsetFetchResponse::default().with_groups(groups.collect());
        }
        let asked = request.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
        let topics = self.committed(&request.group_id, asked).into_iter().map(|(name, partitions)| {
            let partitions = partitions.into_iter().map(|(index, c)| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(index)
                    .with_committed_offset(c.offset)
                    .with_committed_leader_epoch(c.leader_epoch)
                    .with_metadata(Some(text(c.metadata)))
            });
            OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
        });
        OffsetFetchResponse::default().with_topics(topics.collect())
    }

    /// What `group` has committed for the partitions asked for, or for all; an offset of -1 where it has nothing.
    fn committed(&self, group: &str, asked: Option<Vec<(TopicName, Vec<i32>)>>) -> Vec<(TopicName, Vec<(i32, Committed)>)> {
        let none = || Committed { offset: -1, leader_epoch: -1, metadata: String::new(), at: millstream_core::Timestamp(0) };
        let topic_id = |name: &str| self.log.topic(name).ok().map(|t| t.meta().id);
        self.groups.offsets().look(|offsets| match asked {
            Some(asked) => {
                let of = |name: &TopicName, partition: i32| {
                    let key = OffsetKey { topic: name.to_string(), topic_id: topic_id(name)?, partition };
                    offsets.get(group, &key).cloned()
                };
                asked
                    .into_iter()
                    .map(|(name, indexes)| {
                        let found = indexes.into_iter().map(|i| (i, of(&name, i).unwrap_or_else(none))).collect();
                        (name, found)
                    })
                    .collect()
            }
            None => {
                let mut topics: BTreeMap<String, Vec<(i32, Committed)>> = BTreeMap::new();
                for (key, committed) in offsets.of_group(group) {
                    if topic_id(&key.topic) == Some(key.topic_id) {
                        topics.entry(key.topic.clone()).or_default().push((key.partition, committed.clone()));
                    }
                }
                topics.into_iter().map(|(name, partitions)| (TopicName(text(name)), partitions)).collect()
            }
        })
    }

    /// A group without members is known by its offsets alone.
    fn empty_group(group: &str) -> GroupDescription {
        GroupDescription {
            group: group.to_owned(),
            state: GroupState::Empty,
            protocol_type: "consumer".to_owned(),
            protocol: String::new(),
            members: Vec::new(),
        }
    }

    pub(super) fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let mut groups = self.groups.with(|c, _| c.list());
        let present: BTreeSet<String> = groups.iter().map(|g| g.group.clone()).collect();
        self.groups.offsets().look(|o| {
            groups.extend(o.groups().filter(|g| !present.contains(*g)).map(Self::empty_group));
        });
        let matches = |filter: &[StrBytes], value: &str| filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(value));
        let listed = groups
            .into_iter()
            .filter(|g| matches(&request.states_filter, g.state.as_str()) && matches(&request.types_filter, CLASSIC))
            .map(|g| {
                ListedGroup::default()
                    .with_group_id(GroupId(text(g.group)))
                    .with_protocol_type(text(g.protocol_type))
                    .with_group_state(text(g.state.as_str()))
                    .with_group_type(text(CLASSIC))
            });
        ListGroupsResponse::default().with_groups(listed.collect())
    }

    pub(super) fn describe_groups(&self, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|id| {
            let live = self.groups.with(|c, _| c.describe(&id));
            let found = live.or_else(|| self.groups.offsets().look(|o| o.has_group(&id)).then(|| Self::empty_group(&id)));
            let described = DescribedGroup::default().with_group_id(id);
            match found {
                None => described.with_group_state(text("Dead")),
                Some(g) => described
                    .with_group_state(text(g.state.as_str()))
                    .with_protocol_type(text(g.protocol_type))
                    .with_protocol_data(text(g.protocol))
                    .with_members(g.members.into_iter().map(describe_member).collect()),
            }
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    pub(super) async fn delete_groups(&self, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for id in request.groups_names {
            let deleted = self.delete_group(&id).await;
            results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code(deleted)));
        }
        DeleteGroupsResponse::default().with_results(results)
    }

    async fn delete_group(&self, id: &str) -> Result<(), ResponseError> {
        if self.groups.with(|c, _| c.describe(id)).is_some() {
            return Err(ResponseError::NonEmptyGroup);
        }
        if !self.groups.offsets().look(|o| o.has_group(id)) {
            return Err(ResponseError::GroupIdNotFound);
        }
        self.groups.store(OffsetChange::Forget { group: id.to_owned() }).await.map_err(|error| {
            tracing::warn!(%error, "a consumer group could not be deleted");
            ResponseError::CoordinatorNotAvailable
        })
    }
}

fn fill_joined(response: JoinGroupResponse, joined: Joined, version: i16) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|m| {
        JoinGroupResponseMember::default()
            .with_member_id(text(m.member))
            .with_group_instance_id(m.instance.map(text))
            .with_metadata(m.metadata)
    });
    response
        .with_generation_id(joined.generation)
        .with_protocol_type((version >= 7).then(|| text(joined.protocol_type)))
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_member_id(text(joined.member))
        .with_members(members.collect())
}

/// Before version 7 the strategy's name can't be null.
fn refused_join(response: JoinGroupResponse, version: i16) -> JoinGroupResponse {
    response.with_generation_id(-1).with_protocol_name((version < 7).then(|| text("")))
}

fn describe_member(m: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(m.member))
        .with_group_instance_id(m.instance.map(text))
        .with_client_id(text(m.client_id))
        .with_client_host(text(m.client_host))
        .with_member_metadata(m.metadata)
        .with_member_assignment(m.assignment)
}
