#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::toys::{GATE, World};
use super::*;

struct Running {
    world: World,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: JoinSet<Result<()>>,
}

async fn start(settings: HttpSettings) -> Running {
    let (world, parts) = World::parts();
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), settings, parts.about.clone()).await.unwrap();
    server.door().open(parts);
    let (address, shutdown, mut running) = (server.local_addr(), CancellationToken::new(), JoinSet::new());
    running.spawn(server.run(shutdown.clone()));
    Running { world, address, shutdown, server: running }
}

/// What the server sends until it closes the connection.
async fn say(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_request_over_a_socket_is_answered() {
    let it = start(HttpSettings::default()).await;
    let answer = say(it.address, "GET /v1/tables/events?k=a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("cache-status: millstream; fwd=miss; stored; detail=event-store\r\n"), "{answer}");
    assert!(answer.ends_with("{\"table\":\"events\",\"rows\":[],\"next_page\":null}\n"), "{answer}");
}

#[tokio::test]
async fn an_overlong_head_is_431() {
    let it = start(HttpSettings { header_bytes_max: 8192, ..HttpSettings::default() }).await;
    let answer = say(it.address, &format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "a".repeat(10_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_shutdown_lets_a_request_that_has_begun_end_and_takes_no_other() {
    let mut it = start(HttpSettings::default()).await;
    let closed = it.world.toy_events.switches.gate.acquire_many(GATE).await.unwrap();
    let asking = say(it.address, "GET /v1/tables/events?k=a HTTP/1.1\r\nhost: x\r\n\r\n");
    let ending = async {
        it.world.clock.until_sleepers(1).await;
        it.shutdown.cancel();
        // The drain's own wait stands beside the request's time-out: now the listener is gone.
        it.world.clock.until_sleepers(2).await;
        assert!(TcpStream::connect(it.address).await.is_err());
        drop(closed);
        it.server.join_next().await.unwrap().unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(asking, ending);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_waits_no_longer_than_it_may() {
    let mut it = start(HttpSettings { drain_s_max: 1, ..HttpSettings::default() }).await;
    let _closed = it.world.toy_events.switches.gate.acquire_many(GATE).await.unwrap();
    let asking = say(it.address, "GET /v1/tables/events?k=a HTTP/1.1\r\nhost: x\r\n\r\n");
    let ending = async {
        it.world.clock.until_sleepers(1).await;
        it.shutdown.cancel();
        it.world.clock.until_sleepers(2).await;
        it.world.clock.advance(Duration::from_secs(1));
        it.server.join_next().await.unwrap().unwrap().unwrap();
    };
    let (answer, ()) = tokio::join!(asking, ending);
    assert_eq!(answer, "", "the connection was closed");
}

#[tokio::test]
async fn an_address_in_use_is_the_users_to_change() {
    let it = start(HttpSettings::default()).await;
    let (_, parts) = World::parts();
    let error = HttpServer::bind(it.address, HttpSettings::default(), parts.about).await.err().unwrap();
    assert_eq!(error.kind(), millstream_core::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("setting listen.http"), "{error}");
}

#[tokio::test]
async fn a_connection_from_before_the_opening_gets_the_tables_after_it() {
    let (_world, parts) = World::parts();
    let server = HttpServer::bind(([127, 0, 0, 1], 0).into(), HttpSettings::default(), parts.about.clone()).await.unwrap();
    let (address, door, shutdown, mut running) = (server.local_addr(), server.door(), CancellationToken::new(), JoinSet::new());
    running.spawn(server.run(shutdown.clone()));
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"GET /v1/tables/events?k=a HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut answer = [0_u8; 12];
    socket.write_all(request).await.unwrap();
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    door.open(parts);
    socket.write_all(b"GET /v1/tables/events?k=a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
}
