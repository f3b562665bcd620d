//! Every request in every version that the endpoint offers.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Request};

use crate::client::{Client, Endpoint, batch, fetch_request, plain, produce_request, text, topic};

async fn offered(client: &mut Client) -> ApiVersionsResponse {
    client.call(3, ApiVersionsRequest::default().with_client_software_name(text("it")).with_client_software_version(text("1"))).await
}

/// Calls `request` in every version that is offered from `min` on.
async fn in_every_version<R: Request + Clone>(client: &mut Client, offered: &ApiVersionsResponse, min: i16, request: R) {
    let range = offered.api_keys.iter().find(|k| k.api_key == R::KEY).unwrap();
    assert!(range.max_version >= min);
    for version in range.min_version.max(min)..=range.max_version {
        client.call(version, request.clone()).await;
    }
}

#[tokio::test]
async fn every_offered_version_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let c = &mut endpoint.client().await;
    c.create("t", 1).await;
    let o = &offered(c).await;
    assert_eq!(o.api_keys.len(), 22);

    in_every_version(c, o, 3, produce_request("t", 0, plain(&["a"]), -1)).await;
    in_every_version(
        c,
        o,
        3,
        produce_request("t", 0, batch(&["a"], (-1, -1, -1), kafka_protocol::records::Compression::None).slice(..9), 1),
    )
    .await;
    in_every_version(c, o, 0, fetch_request("t", &[(0, 0)], 1, 0, 1 << 20)).await;
    for timestamp in [-1, -2, 5] {
        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(timestamp);
        let asked = list_offsets_request::ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
        in_every_version(c, o, 0, ListOffsetsRequest::default().with_topics(vec![asked])).await;
    }
    let name = metadata_request::MetadataRequestTopic::default().with_name(Some(topic("t")));
    in_every_version(c, o, 0, MetadataRequest::default().with_topics(Some(vec![name]))).await;
    in_every_version(c, o, 1, MetadataRequest::default().with_topics(None)).await;
    let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
    let committed = offset_commit_request::OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default().with_group_id(GroupId(text("g"))).with_generation_id_or_member_epoch(-1);
    in_every_version(c, o, 0, commit.with_topics(vec![committed])).await;
    let wanted = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0, 7]);
    for version in 1..=7 {
        let request = OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![wanted.clone()]));
        let fetched = c.call(version, request).await;
        assert_eq!(fetched.topics[0].partitions.iter().map(|p| p.committed_offset).collect::<Vec<_>>(), [1, -1]);
    }
    let all = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g"))).with_topics(None);
    let fetched = c.call(8, OffsetFetchRequest::default().with_groups(vec![all])).await;
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 1);
    for version in 0..=3 {
        assert_eq!(c.call(version, FindCoordinatorRequest::default().with_key(text("g"))).await.node_id, BrokerId(1));
    }
    let found = c.call(4, FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")])).await;
    assert_eq!(found.coordinators.len(), 2);
    let refused = c.call(4, FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(vec![text("tx")])).await;
    assert_eq!(refused.coordinators[0].error_code, ResponseError::InvalidRequest.code());
    assert_ne!(c.call(2, FindCoordinatorRequest::default().with_key_type(1).with_key(text("tx"))).await.error_code, 0);

    in_every_version(c, o, 0, JoinGroupRequest::default().with_group_id(GroupId(text("j")))).await;
    in_every_version(c, o, 0, SyncGroupRequest::default().with_group_id(GroupId(text("j")))).await;
    in_every_version(c, o, 0, HeartbeatRequest::default().with_group_id(GroupId(text("j")))).await;
    in_every_version(c, o, 0, LeaveGroupRequest::default().with_group_id(GroupId(text("j")))).await;
    let leaver = leave_group_request::MemberIdentity::default().with_member_id(text("m"));
    in_every_version(c, o, 3, LeaveGroupRequest::default().with_group_id(GroupId(text("j"))).with_members(vec![leaver])).await;
    in_every_version(c, o, 0, ListGroupsRequest::default()).await;
    in_every_version(c, o, 0, DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g")), GroupId(text("?"))])).await;
    in_every_version(c, o, 0, ApiVersionsRequest::default()).await;
    in_every_version(c, o, 0, CreateTopicsRequest::default().with_topics(vec![create_topics_request::CreatableTopic::default()])).await;
    in_every_version(c, o, 0, DeleteTopicsRequest::default().with_topic_names(vec![topic("?")])).await;
    in_every_version(c, o, 0, InitProducerIdRequest::default()).await;
    let epoch = offset_for_leader_epoch_request::OffsetForLeaderPartition::default().with_leader_epoch(0);
    let asked = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(topic("t")).with_partitions(vec![epoch]);
    in_every_version(c, o, 0, OffsetForLeaderEpochRequest::default().with_topics(vec![asked])).await;
    for resource_type in [2, 4, 8] {
        let resource = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text("t"))
            .with_configuration_keys(None);
        in_every_version(c, o, 0, DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    }
    in_every_version(c, o, 0, CreatePartitionsRequest::default().with_topics(vec![Default::default()])).await;
    in_every_version(c, o, 0, DescribeClusterRequest::default()).await;
    in_every_version(c, o, 0, DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("g")), GroupId(text("?"))])).await;
}

#[tokio::test]
async fn a_client_of_the_future_is_told_the_versions() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    // ApiVersions, version 99, correlation id 7, in a header that nobody knows yet.
    client.send_raw(&[0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 7, 1, 2, 3, 4]).await;
    let mut frame = client.receive_frame().await.unwrap();
    assert_eq!(frame.split_to(4)[..], 7_i32.to_be_bytes());
    let response = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    assert!(response.api_keys.iter().any(|k| k.api_key == ApiVersionsRequest::KEY));
    offered(&mut client).await;
}
