#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::Bytes;
use millstream_core::ports::{CheckpointStore, EventLog, EventStore, SystemStore};
use millstream_core::{Attempt, Epoch, FlowId};
use tokio::task::JoinSet;

use super::*;
use crate::toy::{Disk, ToyCheckpointStore, ToyEventLog, ToyEventStore, ToySystemStore};
use crate::{OnData, suite};

fn flow() -> FlowId {
    FlowId::new("f")
}

fn checkpoints(faults: &Arc<Faults>) -> FaultyCheckpointStore {
    FaultyCheckpointStore::new(Arc::new(ToyCheckpointStore::open(Arc::new(Disk::default()))), faults.clone())
}

async fn put(store: &FaultyCheckpointStore, epoch: u64) -> Result<()> {
    store.put(&flow(), Attempt(1), Epoch(epoch), Bytes::from_static(b"x")).await
}

#[tokio::test]
async fn the_nth_call_fails_without_effect_and_the_next_one_works() {
    let faults = Arc::new(Faults::default());
    let store = checkpoints(&faults);
    store.claim(&flow()).await.unwrap();
    faults.fail(Call::Put, 2, ErrorKind::Exhausted);
    put(&store, 1).await.unwrap();
    assert_eq!(put(&store, 2).await.unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(store.epochs(&flow()).await.unwrap(), [Epoch(1)]);
    put(&store, 2).await.unwrap();
    assert_eq!(faults.calls(Call::Put), 3);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_call_took_effect() {
    let faults = Arc::new(Faults::default());
    let store = checkpoints(&faults);
    store.claim(&flow()).await.unwrap();
    faults.fail_after(Call::Put, 1, ErrorKind::Unavailable);
    assert_eq!(put(&store, 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.epochs(&flow()).await.unwrap(), [Epoch(1)]);
}

#[tokio::test]
async fn a_system_can_be_down_until_it_is_healed() {
    let faults = Arc::new(Faults::default());
    let store = checkpoints(&faults);
    faults.fail_from(Call::Claim, 2, ErrorKind::Unavailable);
    store.claim(&flow()).await.unwrap();
    for _ in 0..3 {
        assert!(store.claim(&flow()).await.is_err());
    }
    faults.heal();
    assert_eq!(store.claim(&flow()).await.unwrap(), Attempt(2));
}

#[tokio::test]
async fn a_blocked_call_waits_at_its_gate() {
    let faults = Arc::new(Faults::default());
    let store = Arc::new(checkpoints(&faults));
    store.claim(&flow()).await.unwrap();
    let (before, after) = (faults.block(Call::Put, 1), faults.block_after(Call::Put, 2));
    let mut tasks = JoinSet::new();
    let blocked = store.clone();
    tasks.spawn(async move { put(&blocked, 1).await });
    before.reached().await;
    assert_eq!(store.epochs(&flow()).await.unwrap(), []);
    before.release();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    let blocked = store.clone();
    tasks.spawn(async move { put(&blocked, 2).await });
    after.reached().await;
    assert_eq!(store.epochs(&flow()).await.unwrap(), [Epoch(1), Epoch(2)]);
    assert!(tasks.try_join_next().is_none());
    after.release();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

fn healthy() -> Arc<Faults> {
    Arc::new(Faults::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrappers_without_a_plan_keep_their_ports_contract() {
    let log = || {
        OnData::new(Disk::default(), |disk, clock| async {
            let toy = Arc::new(ToyEventLog::open(disk, clock));
            Ok(Arc::new(FaultyEventLog::new(toy, healthy())) as Arc<dyn EventLog>)
        })
    };
    suite::event_log::run("faulty toy", log).await.assert_passed();
    let store = || {
        OnData::new(Disk::default(), |disk, clock| async {
            let toy = Arc::new(ToyEventStore::open(disk, clock));
            Ok(Arc::new(FaultyEventStore::new(toy, healthy())) as Arc<dyn EventStore>)
        })
    };
    suite::event_store::run("faulty toy", store).await.assert_passed();
    let feed = || {
        OnData::new(Disk::default(), |disk, clock| async {
            let toy = Arc::new(ToyEventStore::open(disk, clock));
            let feed = Arc::new(FaultyChangeFeed::new(toy.clone(), healthy()));
            Ok(suite::change_feed::Port { store: toy, feed })
        })
    };
    suite::change_feed::run("faulty toy", feed).await.assert_passed();
    let checkpoints = || {
        OnData::new(Disk::default(), |disk, _| async {
            let toy = Arc::new(ToyCheckpointStore::open(disk));
            Ok(Arc::new(FaultyCheckpointStore::new(toy, healthy())) as Arc<dyn CheckpointStore>)
        })
    };
    suite::checkpoint_store::run("faulty toy", checkpoints).await.assert_passed();
    let system = || {
        OnData::new(Disk::default(), |disk, _| async {
            let toy = Arc::new(ToySystemStore::open(disk));
            Ok(Arc::new(FaultySystemStore::new(toy, healthy())) as Arc<dyn SystemStore>)
        })
    };
    suite::system_store::run("faulty toy", system).await.assert_passed();
}
