#![allow(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use millstream_core::ports::{CheckpointStore as _, SystemClock};
use millstream_core::{Attempt, Epoch, FlowId};

use super::super::StoreSettings;
use super::super::checkpoint_store::EmbeddedCheckpointStore;
use super::*;

fn reopened(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), &StoreSettings::default(), Arc::new(SystemClock)).unwrap()
}

#[test]
fn what_an_earlier_program_has_left_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let large = vec![7; BATCH_BYTES];
    {
        let db = Database::builder(dir.path()).open().unwrap();
        let former = db.keyspace(FORMER, KeyspaceCreateOptions::default).unwrap();
        for (key, value) in [("small", &b"1"[..]), ("large", &large[..]), ("newer", &b"old"[..]), ("removed", &b"2"[..])] {
            former.insert(key, value).unwrap();
        }
        former.remove("removed").unwrap();
        db.keyspace(NAME, options).unwrap().insert("newer", "new").unwrap();
        db.persist(PersistMode::SyncAll).unwrap();
    }
    for _ in 0..2 {
        let store = reopened(&dir);
        let found: Vec<_> = store.checkpoints.iter().map(|entry| entry.into_inner().unwrap()).collect();
        let found: Vec<(&[u8], &[u8])> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(found, [(&b"large"[..], &large[..]), (&b"newer"[..], &b"new"[..]), (&b"small"[..], &b"1"[..])]);
        drop(store);
        let db = Database::builder(dir.path()).open().unwrap();
        assert!(!db.keyspace_exists(FORMER));
    }
}

/// What a store holds.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(store: &Store) -> Entries {
    store.checkpoints.iter().map(|entry| entry.into_inner().unwrap()).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// What a store holds before a second attempt has put a checkpoint of the same epoch as the first, and after that.
async fn of_two_attempts() -> (Entries, Entries) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(reopened(&dir));
    let (checkpoints, flow) = (EmbeddedCheckpointStore::new(store.clone()), FlowId::new("f"));
    assert_eq!(checkpoints.claim(&flow).await.unwrap(), Attempt(1));
    checkpoints.put(&flow, Attempt(1), Epoch(7), Bytes::from_static(b"zz of the first")).await.unwrap();
    let before = entries(&store);
    assert_eq!(checkpoints.claim(&flow).await.unwrap(), Attempt(2));
    checkpoints.put(&flow, Attempt(2), Epoch(7), Bytes::from_static(b"aa of the second")).await.unwrap();
    (before, entries(&store))
}

/// Whichever program it ran under: the earlier one may have run again when a part of what it had left was taken over.
#[tokio::test]
async fn of_two_checkpoints_of_an_epoch_that_of_the_later_attempt_stays() {
    let (first, second) = of_two_attempts().await;
    assert!(first.len() == 2 && second.len() == 2 && first != second);
    for (former, present) in [(&first, &second), (&second, &first)] {
        let dir = tempfile::tempdir().unwrap();
        {
            let db = Database::builder(dir.path()).open().unwrap();
            for (name, entries) in [(FORMER, former), (NAME, present)] {
                let keyspace = if name == NAME { db.keyspace(name, options) } else { db.keyspace(name, KeyspaceCreateOptions::default) };
                let keyspace = keyspace.unwrap();
                entries.iter().for_each(|(key, value)| keyspace.insert(key.as_slice(), value.as_slice()).unwrap());
            }
            db.persist(PersistMode::SyncAll).unwrap();
        }
        assert_eq!(entries(&reopened(&dir)), second);
    }
}
