//! A server that is paused, killed, or forgets.

use std::sync::Arc;

use millstream_adapters::redis::{RedisCriticalStore, RedisSettings, probe};
use millstream_core::ports::{CriticalStore, EpochSink};
use millstream_core::{Epoch, ErrorKind, TableSpec, Value};
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::rows::collect;
use millstream_testkit::{ManualClock, row, tables};

use super::server::Server;

fn settings(server: &Server) -> RedisSettings {
    RedisSettings { connect_timeout_ms: 300, request_timeout_ms: 300, ..RedisSettings::new(server.url()) }
}

async fn store(settings: RedisSettings) -> (Arc<RedisCriticalStore>, TableSpec, Writer) {
    let store = RedisCriticalStore::new(settings, Arc::new(ManualClock::default())).unwrap();
    let spec = tables::critical("t", None);
    store.ensure_table(&spec).await.unwrap();
    let writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();
    (store, spec, writer)
}

fn key(id: i64) -> [Value; 2] {
    [Value::Str("EWR".to_owned()), Value::Int(id)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_unavailable_and_is_used_again_when_it_goes_on() {
    let Some(server) = Server::start(&["--appendonly", "yes"]) else { return };
    let (store, _, mut w) = store(settings(&server)).await;
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1])]).await.unwrap();
    // Redis tells of the write after its answer. The first read's answer comes after that, so the second read's row is kept.
    for _ in 0..2 {
        assert!(store.get("t", &key(1)).await.unwrap().is_some());
    }
    server.signal("STOP");
    assert!(store.get("t", &key(1)).await.unwrap().is_some(), "a row that was read is still known");
    let (second, third) = (key(2), key(3));
    let (a, b, c) = futures::join!(store.get("t", &second), store.get("t", &third), store.begin(&w.flow, w.attempt, "t"));
    for kind in [a.map(drop), b.map(drop), c.map(drop)].map(|r| r.unwrap_err().kind()) {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    let again = w.write(Epoch(2), &[insert(2, row!["EWR", 2, 1])], 10).unwrap();
    assert_eq!(store.commit(again.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.signal("CONT");
    // The write that was given up may have arrived after all; then this one changes nothing.
    store.commit(again).await.unwrap();
    assert_eq!(collect(store.scan("t", None).await.unwrap()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_aof_has_everything_that_was_committed() {
    let Some(mut server) = Server::start(&["--appendonly", "yes"]) else { return };
    let (store, _, mut w) = store(settings(&server)).await;
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1])]).await.unwrap();
    server.kill();
    let next = w.write(Epoch(2), &[insert(2, row!["EWR", 2, 1])], 10).unwrap();
    assert_eq!(store.commit(next.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    server.run();
    store.commit(next).await.unwrap();
    assert_eq!(store.begin(&w.flow, w.attempt, "t").await.unwrap(), Epoch(2));
    assert_eq!(collect(store.scan("t", None).await.unwrap()).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_without_aof_forgets_and_the_flow_hears_of_it() {
    let Some(mut server) = Server::start(&["--appendonly", "no"]) else { return };
    let settings = settings(&server);
    let line = probe(&settings).await.unwrap();
    assert!(line.contains("warning: appendonly is off"), "{line}");
    let (store, spec, mut w) = store(settings).await;
    w.commit(&*store, &[insert(1, row!["EWR", 1, 1])]).await.unwrap();
    assert!(store.get("t", &key(1)).await.unwrap().is_some());
    server.kill();
    server.run();
    let next = w.write(Epoch(2), &[insert(2, row!["EWR", 2, 1])], 10).unwrap();
    let mut error = store.commit(next.clone()).await.unwrap_err();
    if error.kind() == ErrorKind::Unavailable {
        // The connection of before was still being used; a flow tries again.
        error = store.commit(next).await.unwrap_err();
    }
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(store.get("t", &key(1)).await.unwrap().is_none(), "what the server forgot is not found in memory either");
    assert_eq!(Writer::begin(&*store, &spec, "f", 2).await.unwrap().epoch, Epoch(0));
}
