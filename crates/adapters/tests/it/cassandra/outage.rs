//! A cluster that hangs, goes away and comes back: through a proxy, for the cluster itself is everybody's.

use std::sync::Arc;
use std::time::Duration;

use millstream_adapters::cassandra::{CassandraSettings, CassandraStore, probe};
use millstream_core::ports::{Clock, EpochSink, EventStore, PartitionQuery, Scan, SystemClock};
use millstream_core::retry::Backoff;
use millstream_core::{ErrorKind, Value};
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::rows::collect;
use millstream_testkit::{row, tables};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::world::{World, without_feed};

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Up,
    /// Connections stay, and nothing passes: a server that is stopped.
    Hangs,
    /// Connections break, and none can be made.
    Down,
}

struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn before(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = watch::Sender::new(Line::Up);
        let mut tasks = JoinSet::new();
        let state = line.subscribe();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() == Line::Down {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&address).await else { continue };
                let (client_in, client_out) = client.into_split();
                let (server_in, server_out) = server.into_split();
                connections.spawn(pass(client_in, server_out, state.clone()));
                connections.spawn(pass(server_in, client_out, state.clone()));
            }
        });
        Self { port, line, _tasks: tasks }
    }

    fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn pass(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, mut state: watch::Receiver<Line>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = state.wait_for(|l| *l == Line::Down) => 0,
        };
        if read == 0 || state.wait_for(|l| *l != Line::Hangs).await.is_ok_and(|l| *l == Line::Down) {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Tries again until it succeeds, as a flow does.
async fn until_it_works<T, E: std::fmt::Debug>(mut call: impl AsyncFnMut() -> Result<T, E>) -> T {
    let trying = async {
        for failures in 1.. {
            if let Ok(done) = call().await {
                return done;
            }
            SystemClock.sleep(Backoff::DEFAULT.delay(failures)).await;
        }
        unreachable!("there are more numbers than seconds")
    };
    tokio::time::timeout(Duration::from_secs(40), trying).await.expect("it works again")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hangs_or_is_away_is_unavailable_and_found_again() {
    let Some(world) = World::find() else { return };
    let mut settings = world.place(without_feed()).settings;
    let proxy = Proxy::before(settings.contact_points[0].clone()).await;
    settings.contact_points = vec![format!("127.0.0.1:{}", proxy.port)];
    settings.request_timeout_ms = Some(1_500);
    settings.connect_timeout_ms = 1_000;
    let store = CassandraStore::new(settings.clone(), without_feed(), Arc::new(SystemClock)).unwrap();
    let spec = tables::single("t");

    proxy.set(Line::Down);
    assert_eq!(store.ensure_table(&spec).await.unwrap_err().kind(), ErrorKind::Unavailable, "away at the start");
    assert_eq!(probe(&settings).await.unwrap_err().kind(), ErrorKind::Unavailable);
    proxy.set(Line::Up);
    until_it_works(async || store.ensure_table(&spec).await).await;
    let writer = Writer::begin(&*store, &spec, "f", 1).await.unwrap();

    let mut epoch = writer.epoch;
    for line in [Line::Hangs, Line::Down] {
        proxy.set(line);
        epoch = epoch.next();
        let write = || writer.write(epoch, &[insert(1, row![format!("{line:?}"), 1])], 10).unwrap();
        let error = store.commit(write()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{line:?}: {error}");
        let query = PartitionQuery { partition: vec![Value::Str("x".into())], ..PartitionQuery::default() };
        assert_eq!(store.read_partition("t", &query).await.unwrap_err().kind(), ErrorKind::Unavailable, "{line:?}");
        proxy.set(Line::Up);
        until_it_works(async || store.commit(write()).await).await;
    }
    let scan = store.snapshot().await.unwrap().scan("t", &Scan::default()).await.unwrap();
    assert_eq!(collect(scan).await.unwrap().len(), 2, "what was written again is there once");
    world.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_what_it_found_and_a_wrong_password_is_named() {
    let Some(world) = World::find() else { return };
    let mut settings: CassandraSettings = world.place(without_feed()).settings;
    let line = probe(&settings).await.unwrap();
    assert!(line.starts_with("Cassandra ") && line.ends_with("will be created"), "{line}");
    settings.replication.clear();
    let error = probe(&settings).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("cassandra.replication"), "{error}");
    if settings.password.is_some() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "wrong").unwrap();
        settings.password = Some(millstream_adapters::connection::Secret::File(file.path().to_owned()));
        assert_eq!(probe(&settings).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    world.clean().await;
}
