#![allow(clippy::unwrap_used, reason = "tests")]
use millstream_core::ErrorKind;
use millstream_core::ports::SystemClock;
use millstream_testkit::generate::Changes;

use super::super::StoreSettings;
use super::*;

/// Format 1, for ever: a checkpoint that was written with it must be readable.
#[test]
fn golden_format_1() {
    let value = encode(Attempt(3), b"123456789");
    let hex: String = value.iter().map(|b| format!("{b:02x}")).collect();
    // e3069283 is the check value of CRC-32C.
    assert_eq!(hex, "010000000000000003e3069283313233343536373839");
    assert_eq!(decode(&FlowId::new("f"), Epoch(1), &value).unwrap(), "123456789");
    assert_eq!(checkpoint_key(&FlowId::new("a\0b"), Epoch(258)), b"ca\0\xFFb\0\0\0\0\0\0\0\0\x01\x02");
}

#[test]
fn every_damaged_byte_is_known() {
    let whole = encode(Attempt(3), b"some checkpoint");
    for at in (0..whole.len()).filter(|at| !(1..9).contains(at)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let error = decode(&FlowId::new("f"), Epoch(7), &damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().starts_with("the checkpoint of flow f at epoch 7"), "{error}");
    }
    assert_eq!(decode(&FlowId::new("f"), Epoch(1), &whole[..12]).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Bytes that nothing can compress.
fn noise(bytes: usize) -> Bytes {
    let mut noise = Changes::seeded(1, 1);
    (0..bytes).map(|_| u8::try_from(noise.below(256)).unwrap()).collect()
}

fn open(dir: &tempfile::TempDir) -> Arc<Store> {
    let settings = StoreSettings { memtable_bytes: 1 << 20, ..StoreSettings::default() };
    Arc::new(Store::open(dir.path(), &settings, Arc::new(SystemClock)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_checkpoints_give_their_space_back() {
    const BYTES: usize = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let (checkpoints, flow) = (EmbeddedCheckpointStore::new(store.clone()), FlowId::new("f"));
    let attempt = checkpoints.claim(&flow).await.unwrap();
    let payload = noise(BYTES);
    for epoch in 1..=100 {
        checkpoints.put(&flow, attempt, Epoch(epoch), payload.clone()).await.unwrap();
    }
    store.checkpoints.rotate_memtable_and_wait().unwrap();
    assert!(store.checkpoints.disk_space() > 99 * BYTES as u64);
    // Some more files with what flows write, and the worker has merged the removals and left out emptied files: nobody asks for it.
    for epoch in 101..=106 {
        checkpoints.put(&flow, attempt, Epoch(epoch), payload.clone()).await.unwrap();
        checkpoints.prune(&flow, attempt, Epoch(epoch - 1)).await.unwrap();
        store.checkpoints.rotate_memtable_and_wait().unwrap();
    }
    assert!(store.checkpoints.disk_space() < 20 * BYTES as u64, "{} bytes are left", store.checkpoints.disk_space());
    drop((store, checkpoints));
    let checkpoints = EmbeddedCheckpointStore::new(open(&dir));
    assert_eq!(checkpoints.epochs(&flow).await.unwrap(), [Epoch(105), Epoch(106)]);
    for epoch in 105..=106 {
        assert_eq!(checkpoints.get(&flow, Epoch(epoch)).await.unwrap(), Some(payload.clone()));
    }
}
