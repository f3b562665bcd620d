//! Consumer groups over the wire.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_protocol::messages::join_group_response::JoinGroupResponse;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use kafka_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest,
};
use millstream_broker::BrokerSettings;
use millstream_core::ports::SystemClock;
use millstream_testkit::ManualClock;

use crate::client::{Client, Endpoint, text, topic};

fn group() -> GroupId {
    GroupId(text("g"))
}

fn join(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"sub"));
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// Gets a member id, as every client does first.
async fn member_id(client: &mut Client) -> String {
    let first = client.call(9, join("")).await;
    assert_eq!(first.error_code, ResponseError::MemberIdRequired.code());
    first.member_id.to_string()
}

fn sync(member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assign = |(m, a): &(&str, &'static str)| {
        SyncGroupRequestAssignment::default().with_member_id(text(m)).with_assignment(Bytes::from_static(a.as_bytes()))
    };
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(generation)
        .with_member_id(text(member))
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(assignments.iter().map(assign).collect())
}

fn heartbeat(member: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default().with_group_id(group()).with_generation_id(generation).with_member_id(text(member))
}

#[tokio::test]
async fn a_member_takes_over_when_the_other_one_dies() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let endpoint = Endpoint::start_with(folder.path(), BrokerSettings::default(), clock.clone()).await;
    let (mut a, mut b) = (endpoint.client().await, endpoint.client().await);
    let a_id = member_id(&mut a).await;
    let joined: JoinGroupResponse = a.call(9, join(&a_id)).await;
    assert_eq!((joined.generation_id, &*joined.leader, joined.members.len()), (1, a_id.as_str(), 1));
    assert_eq!(a.call(5, sync(&a_id, 1, &[(&a_id, "all")])).await.assignment, "all");

    let b_id = member_id(&mut b).await;
    b.send(9, &join(&b_id)).await;
    while a.call(4, heartbeat(&a_id, 1)).await.error_code != ResponseError::RebalanceInProgress.code() {
        tokio::task::yield_now().await;
    }
    let joined = a.call(9, join(&a_id)).await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 2));
    let (_, joined) = b.receive::<JoinGroupRequest>(9).await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 0));
    b.send(5, &sync(&b_id, 2, &[])).await;
    a.call(5, sync(&a_id, 2, &[(&a_id, "first"), (&b_id, "second")])).await;
    assert_eq!(b.receive::<SyncGroupRequest>(5).await.1.assignment, "second");

    // a dies; b goes on telling that it is alive.
    drop(a);
    clock.advance(Duration::from_secs(6));
    assert_eq!(b.call(4, heartbeat(&b_id, 2)).await.error_code, 0);
    clock.advance(Duration::from_secs(5));
    while b.call(4, heartbeat(&b_id, 2)).await.error_code != ResponseError::RebalanceInProgress.code() {
        tokio::task::yield_now().await;
    }
    let joined = b.call(9, join(&b_id)).await;
    assert_eq!((joined.generation_id, &*joined.leader, joined.members.len()), (3, b_id.as_str(), 1));
    assert_eq!(b.call(5, sync(&b_id, 3, &[(&b_id, "everything")])).await.assignment, "everything");

    let described = b.call(5, DescribeGroupsRequest::default().with_groups(vec![group()])).await.groups[0].clone();
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 1));
    assert_eq!(&*described.members[0].client_host, "/127.0.0.1");
    let in_use = b.call(2, DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    assert_eq!(in_use.results[0].error_code, ResponseError::NonEmptyGroup.code());
    let left = b.call(2, LeaveGroupRequest::default().with_group_id(group()).with_member_id(text(&b_id))).await;
    assert_eq!(left.error_code, 0);
    assert!(b.call(4, ListGroupsRequest::default()).await.groups.is_empty());
}

fn commit(name: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let p = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    let t = OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![p]);
    OffsetCommitRequest::default().with_group_id(group()).with_generation_id_or_member_epoch(-1).with_topics(vec![t])
}

async fn committed(client: &mut Client, name: &str) -> i64 {
    let t = OffsetFetchRequestTopic::default().with_name(topic(name)).with_partition_indexes(vec![0]);
    let fetched = client.call(7, OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![t]))).await;
    fetched.topics[0].partitions[0].committed_offset
}

#[tokio::test]
async fn committed_offsets_survive_a_restart_but_not_their_topic() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start_with(folder.path(), BrokerSettings::default(), Arc::new(SystemClock)).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    assert_eq!(committed(&mut client, "t").await, -1);
    assert_eq!(client.call(8, commit("t", 0, 42)).await.topics[0].partitions[0].error_code, 0);
    let unknown = client.call(8, commit("t", 9, 42)).await.topics[0].partitions[0].error_code;
    assert_eq!(unknown, ResponseError::UnknownTopicOrPartition.code());
    let zombie = client.call(8, commit("t", 0, 7).with_generation_id_or_member_epoch(3).with_member_id(text("m"))).await;
    assert_eq!(zombie.topics[0].partitions[0].error_code, ResponseError::IllegalGeneration.code());
    drop(client);
    endpoint.shutdown.cancel();
    let Endpoint { mut serving, log, .. } = endpoint;
    serving.join_next().await.unwrap().unwrap().unwrap();
    drop(log);

    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    assert_eq!(committed(&mut client, "t").await, 42);
    let listed = client.call(4, ListGroupsRequest::default()).await.groups[0].clone();
    assert_eq!((&**listed.group_id, &*listed.group_state), ("g", "Empty"));
    use millstream_core::ports::EventLog;
    endpoint.log.delete_topic("t").await.unwrap();
    client.create("t", 1).await;
    assert_eq!(committed(&mut client, "t").await, -1, "an offset of the old topic means nothing in the new one");
    let deleted = client.call(2, DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    assert_eq!(deleted.results[0].error_code, 0);
    assert!(client.call(4, ListGroupsRequest::default()).await.groups.is_empty());
}

#[tokio::test]
async fn what_a_flow_has_acknowledged_is_shown_as_a_groups_offset() {
    use millstream_core::ports::EventLog;
    use millstream_core::{FlowId, Offset};
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 2).await;
    for next in [3, 7] {
        endpoint.log.acknowledge(&FlowId::new("departures"), "t", &[Offset(next), Offset(1)]).await.unwrap();
        let listed = client.call(4, ListGroupsRequest::default()).await.groups[0].clone();
        assert_eq!((&**listed.group_id, &*listed.group_state), ("millstream.departures", "Empty"));
        let t = OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0, 1]);
        let asked = OffsetFetchRequest::default().with_group_id(GroupId(text("millstream.departures"))).with_topics(Some(vec![t]));
        let found: Vec<_> = client.call(7, asked).await.topics[0].partitions.iter().map(|p| p.committed_offset).collect();
        assert_eq!(found, [next, 1]);
    }
}
