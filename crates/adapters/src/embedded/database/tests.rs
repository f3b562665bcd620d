#![allow(clippy::unwrap_used, reason = "tests")]

use millstream_core::ports::SystemClock;

use super::*;

/// The worker is kept from its work as by a long merge. What is written meanwhile must neither stay in memory nor fill its queue of a thousand messages.
#[test]
fn who_writes_begins_files_while_the_worker_is_busy() {
    const BATCHES: u32 = 1800;
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings { memtable_bytes: 1 << 20, ..StoreSettings::default() };
    let store = Store::open(dir.path(), &settings, Arc::new(SystemClock)).unwrap();
    let write = |keyspace: &Keyspace, key: u32, bytes: usize| {
        let mut batch = store.batch(1);
        batch.insert(keyspace, key.to_be_bytes(), vec![1; bytes]);
        store.commit(batch).unwrap();
    };
    let busy = store.rows.tree.get_flush_lock();
    write(&store.rows, 0, 2 << 20);
    for key in 0..BATCHES {
        write(&store.critical, key, 1000);
        let kept = store.critical.tree.active_memtable().size();
        assert!(kept < 600_000, "{kept} bytes of a memtable of half a MiB after {key} batches");
    }
    drop(busy);
    store.critical.rotate_memtable_and_wait().unwrap();
    assert_eq!(store.critical.iter().count(), BATCHES as usize);
}
