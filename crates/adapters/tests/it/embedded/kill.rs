//! What `durability = "process"` promises: a commit that returned survives kill -9, one that did not is there whole or not at all.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use millstream_core::ports::{CheckpointStore, EventStore, Scan, SystemClock};
use millstream_core::{Epoch, FlowId};
use millstream_testkit::changes::{Writer, insert};
use millstream_testkit::{row, rows, tables};
use tempfile::TempDir;

use super::open;

/// The folder in which the child writes; without it the child's test does nothing.
const CHILD_DIR: &str = "MILLSTREAM_TEST_KILL_CHILD";
const ROWS_AN_EPOCH: i64 = 250;

/// Commits epochs for ever, and says so on its standard output after each one. Runs in the process that is killed.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let store = super::EmbeddedStore::open(std::path::Path::new(&dir).join("store"), super::settings(), Arc::new(SystemClock)).unwrap();
    let (events, spec) = (store.events(), tables::single("t"));
    events.ensure_table(&spec).await.unwrap();
    let attempt = store.checkpoints().claim(&FlowId::new("f")).await.unwrap();
    let mut writer = Writer::begin(&*events, &spec, "f", attempt.0).await.unwrap();
    loop {
        let first = i64::try_from(writer.epoch.0).unwrap() * ROWS_AN_EPOCH;
        let rows: Vec<_> = (first..first + ROWS_AN_EPOCH).map(|i| insert(1, row![format!("key {i}"), i])).collect();
        store.checkpoints().put(&FlowId::new("f"), attempt, writer.epoch.next(), vec![1; 1000].into()).await.unwrap();
        writer.commit(&*events, &rows).await.unwrap();
        writeln!(std::io::stdout(), "committed {}", writer.epoch).unwrap();
    }
}

fn run_and_kill(dir: &TempDir, after: usize) -> Epoch {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::kill::child", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let last = lines.map(Result::unwrap).filter_map(|l| l.split_once("committed ").map(|(_, n)| n.parse().unwrap())).nth(after).unwrap();
    // SIGKILL: nothing in the child gets to run any more.
    child.kill().unwrap();
    child.wait().unwrap();
    Epoch(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = Epoch(0);
    for kill in 0..5 {
        let acknowledged = run_and_kill(&dir, 3 + kill * 17);
        assert!(acknowledged > before, "the child went on after the kill before");
        let store = open(&dir, Arc::new(SystemClock)).unwrap();
        let snapshot = store.events().snapshot().await.unwrap();
        let committed = snapshot.epochs("t").await.unwrap()[&FlowId::new("f")];
        assert!(committed >= acknowledged, "epoch {acknowledged} was acknowledged and {committed} is what survived");
        let rows = rows::collect(snapshot.scan("t", &Scan::default()).await.unwrap()).await.unwrap();
        assert_eq!(rows.len() as i64, committed.0 as i64 * ROWS_AN_EPOCH, "epoch {committed} is there whole, and nothing after it");
        let checkpoint = store.checkpoints().get(&FlowId::new("f"), committed).await.unwrap();
        assert!(checkpoint.is_some(), "the checkpoint that was put before epoch {committed} survives too");
        before = committed;
    }
}
