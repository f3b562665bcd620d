#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::ports::SystemClock;

use super::super::StoreSettings;
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
