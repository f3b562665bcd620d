//! Starting, bounds, bad clients, and ending.

use std::sync::Arc;

use kafka_protocol::messages::{FetchRequest, HeartbeatRequest, JoinGroupRequest, MetadataRequest};
use millstream_broker::{BrokerSettings, Log, Server};
use millstream_core::ErrorKind;
use millstream_core::ports::SystemClock;
use tokio::net::TcpStream;

use crate::client::{Endpoint, fetch_request, plain};

#[tokio::test]
async fn a_shutdown_ends_waiting_fetches_and_closes_everything() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let mut client = endpoint.client().await;
    client.create("t", 1).await;
    client.produce("t", 0, plain(&["a"])).await;
    client.send(11, &fetch_request("t", &[(0, 1)], 1, 60_000, 1000)).await;
    let idle = endpoint.client().await;
    endpoint.shutdown.cancel();
    let Endpoint { mut serving, address, log, .. } = endpoint;
    serving.join_next().await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    drop((client, idle, log));
    Log::open(folder.path(), BrokerSettings::default(), Arc::new(SystemClock)).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_refused_naming_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let error = Server::bind(endpoint.address, endpoint.log.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("listen.kafka"), "{error}");
}

#[tokio::test]
async fn a_client_that_talks_nonsense_is_cut_off_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let nonsense: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        &[0, 0, 0, 3, 1, 2, 3],
        &[0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        // Metadata for two thousand million topics.
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
    ];
    for bytes in nonsense {
        let mut client = endpoint.client().await;
        client.send_raw(bytes).await;
        assert!(client.receive_frame().await.is_none(), "{bytes:?}");
    }
    endpoint.client().await.call(9, MetadataRequest::default()).await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { connections_max: 2, ..BrokerSettings::default() };
    let endpoint = Endpoint::start_with(folder.path(), settings, Arc::new(SystemClock)).await;
    let (mut one, mut two) = (endpoint.client().await, endpoint.client().await);
    one.call(9, MetadataRequest::default()).await;
    two.call(9, MetadataRequest::default()).await;
    assert!(endpoint.client().await.receive_frame().await.is_none());
    one.call(4, HeartbeatRequest::default()).await;
}

#[tokio::test]
async fn a_waiting_fetch_holds_nobody_else_up() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(folder.path()).await;
    let (mut slow, mut quick) = (endpoint.client().await, endpoint.client().await);
    quick.create("t", 1).await;
    slow.send(11, &fetch_request("t", &[(0, 0)], 1, 60_000, 1000)).await;
    slow.send(9, &JoinGroupRequest::default()).await;
    let others = async {
        for _ in 0..20 {
            quick.call(9, MetadataRequest::default()).await;
            endpoint.client().await.call(9, MetadataRequest::default()).await;
        }
    };
    tokio::select! {
        answer = slow.receive_frame() => panic!("others were answered after the fetch: {answer:?}"),
        () = others => {}
    }
    // It still waits, and gets what comes now.
    quick.produce("t", 0, plain(&["a"])).await;
    let (_, response) = slow.receive::<FetchRequest>(11).await;
    assert!(response.responses[0].partitions[0].records.as_ref().is_some_and(|records| !records.is_empty()), "{response:?}");
}
