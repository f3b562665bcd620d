#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::ControlClient;
use super::*;
use crate::cli::RowFormat;

/// Answers as the query says.
struct Scripted {
    cancelled: CancellationToken,
}

#[async_trait]
impl Responder for Scripted {
    async fn respond(&self, request: Request, answer: &Answer) -> Result<u8> {
        match request {
            Request::Sql { query, .. } if query == "hang" => {
                let _cancelled = self.cancelled.clone().drop_guard();
                answer.note("hanging").await?;
                std::future::pending::<()>().await;
                Ok(0)
            }
            Request::Sql { query, .. } => {
                for part in query.split(' ') {
                    answer.data(format!("{part}\n")).await?;
                }
                Ok(7)
            }
            other => Err(Error::unavailable(format!("can't do {other:?}"))),
        }
    }
}

struct Running {
    dir: tempfile::TempDir,
    shutdown: CancellationToken,
    cancelled: CancellationToken,
    tasks: JoinSet<()>,
}

fn serve_below(folder: &str) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(folder);
    std::fs::create_dir_all(&path).unwrap();
    let shutdown = CancellationToken::new();
    let cancelled = CancellationToken::new();
    let server = ControlServer::bind(&path).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(Arc::new(Scripted { cancelled: cancelled.clone() }), shutdown.clone()));
    Running { dir, shutdown, cancelled, tasks }
}

fn sql(query: &str) -> Request {
    Request::Sql { query: query.to_owned(), format: RowFormat::Csv }
}

#[tokio::test]
async fn frames_arrive_in_order_and_the_exit_code_last() {
    let running = serve_below("");
    let client = ControlClient::connect(running.dir.path()).await.unwrap().unwrap();
    let mut text = String::new();
    let code = client
        .call(sql("a b c"), |frame| {
            let Frame::Data { text: part } = frame else { panic!("{frame:?}") };
            text.push_str(&part);
            Ok(())
        })
        .await;
    assert_eq!((code.unwrap(), text.as_str()), (7, "a\nb\nc\n"));
}

#[tokio::test]
async fn an_error_keeps_its_message_and_exit_code() {
    let running = serve_below("");
    let client = ControlClient::connect(running.dir.path()).await.unwrap().unwrap();
    let error = client.call(Request::Status, |_| Ok(())).await.unwrap_err();
    assert_eq!(error.to_string(), "can't do Status");
    assert_eq!(error.kind().exit_code(), 3);
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_call() {
    let running = serve_below("");
    let client = ControlClient::connect(running.dir.path()).await.unwrap().unwrap();
    let stopped = client.call(sql("hang"), |_| Err(Error::internal("enough"))).await;
    assert_eq!(stopped.unwrap_err().to_string(), "enough");
    running.cancelled.cancelled().await;
}

#[tokio::test]
async fn nobody_answers_where_nothing_runs() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ControlClient::connect(dir.path()).await.unwrap().is_none());
    assert!(ControlClient::connect(&dir.path().join("absent")).await.unwrap().is_none());
    let mut running = serve_below("");
    running.shutdown.cancel();
    while running.tasks.join_next().await.is_some() {}
    assert!(ControlClient::connect(running.dir.path()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_only_the_owner_may_use_it() {
    let dir = tempfile::tempdir().unwrap();
    std::mem::forget(ControlServer::bind(dir.path()).unwrap());
    let again = ControlServer::bind(dir.path()).unwrap();
    let mode = std::fs::metadata(dir.path().join(SOCKET)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(again);
    assert!(!dir.path().join(SOCKET).exists());
}

#[tokio::test]
async fn a_data_directory_with_a_long_path_has_a_socket_too() {
    let folder = "a-folder-with-a-long-name/".repeat(8);
    let running = serve_below(&folder);
    let client = ControlClient::connect(&running.dir.path().join(folder)).await.unwrap().unwrap();
    assert_eq!(client.call(sql("x"), |_| Ok(())).await.unwrap(), 7);
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused_by_name() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let running = serve_below("");
    let mut socket = tokio::net::UnixStream::connect(running.dir.path().join(SOCKET)).await.unwrap();
    socket.write_all(b"{\"version\":99,\"request\":{\"command\":\"status\"}}\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("version 1 of the control protocol") && answer.contains("version 99"), "{answer}");
}
