//! What is acknowledged survives `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::records::Compression;
use millstream_broker::{BrokerSettings, Log, Server};
use millstream_core::ports::{EventLog, SystemClock};
use millstream_core::{Offset, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, batch, produce_request};

/// Names the folder to serve, for this test program when it runs as the process that is killed.
const FOLDER: &str = "MILLSTREAM_TEST_ENDPOINT_FOLDER";
const ANNOUNCED: &str = "endpoint at ";

/// No test of its own: the process that the other test starts, and kills. Without a folder it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn serves_as_the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = Log::open(folder, BrokerSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), log).await.unwrap();
    writeln!(std::io::stdout(), "{ANNOUNCED}{}", server.local_addr()).unwrap();
    server.run(CancellationToken::new()).await.unwrap();
}

struct Process {
    child: Child,
    address: std::net::SocketAddr,
}

fn start(folder: &Path) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::serves_as_the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The test runner may have begun the line with the test's name.
    let address = lines.into_iter().find_map(|line| line.split_once(ANNOUNCED).map(|(_, address)| address.to_owned()));
    Process { child, address: address.expect("the endpoint did not start").trim().parse().unwrap() }
}

impl Drop for Process {
    fn drop(&mut self) {
        // `kill` is SIGKILL; it fails only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PER_BATCH: usize = 7;

fn values_of(number: usize) -> Vec<String> {
    (0..PER_BATCH).map(|i| format!("{number}-{i}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_records_survive_kill_9_and_retries_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut producer = None;
    for round in 0..6 {
        let process = start(folder.path());
        let mut client = Client::connect(process.address).await;
        if round == 0 {
            client.create("t", 1).await;
            producer = Some(client.producer_id().await);
        }
        let send = |number: usize| {
            let values = values_of(number);
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let sequence = (number * PER_BATCH) as i32;
            produce_request("t", 0, batch(&values, (producer.unwrap(), 0, sequence), Compression::None), -1)
        };
        // Several in flight, so that the kill hits between an append and its acknowledgement. What was in flight at the last
        // kill is sent again here: it may be in the log or not.
        let mut sent = acknowledged;
        for _ in 0..40 + 13 * round {
            while sent < acknowledged + 5 {
                client.send(9, &send(sent)).await;
                sent += 1;
            }
            let (_, response) = client.receive::<ProduceRequest>(9).await;
            let answer = &response.responses[0].partition_responses[0];
            assert_eq!((answer.error_code, answer.base_offset), (0, (acknowledged * PER_BATCH) as i64), "{:?}", answer.error_message);
            acknowledged += 1;
        }
        drop(process);
    }
    let log = Log::open(folder.path(), BrokerSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let mut read = Vec::new();
    let mut next = Offset(0);
    loop {
        let outcome = log.read(&TopicPartition::new("t", 0), next, 1 << 20).await.unwrap();
        if outcome.records.is_empty() {
            break;
        }
        next = outcome.next;
        read.extend(outcome.records.into_iter().map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap()));
    }
    let expected: Vec<String> = (0..read.len() / PER_BATCH).flat_map(values_of).collect();
    assert_eq!(read, expected, "each record once, in order");
    assert!(read.len() >= acknowledged * PER_BATCH, "{} of {} acknowledged", read.len(), acknowledged * PER_BATCH);
}
