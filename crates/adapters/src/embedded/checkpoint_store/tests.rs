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

#[tokio::test(flavor = "multi_thread")]
async fn removed_checkpoints_give_their_space_back() {
    const BYTES: usize = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreSettings { memtable_bytes: 1 << 20, ..StoreSettings::default() };
    let store = Arc::new(Store::open(dir.path(), &settings, Arc::new(SystemClock)).unwrap());
    let (checkpoints, flow) = (EmbeddedCheckpointStore::new(store.clone()), FlowId::new("f"));
    let attempt = checkpoints.claim(&flow).await.unwrap();
    // Nothing that could be compressed.
    let mut noise = Changes::seeded(1, 1);
    let payload = Bytes::from((0..BYTES).map(|_| u8::try_from(noise.below(256)).unwrap()).collect::<Vec<_>>());
    for epoch in 1..=100 {
        checkpoints.put(&flow, attempt, Epoch(epoch), payload.clone()).await.unwrap();
    }
    store.checkpoints.rotate_memtable_and_wait().unwrap();
    checkpoints.prune(&flow, attempt, Epoch(99)).await.unwrap();
    store.checkpoints.rotate_memtable_and_wait().unwrap();
    store.compact_checkpoints(u64::MAX).unwrap();
    assert!(store.checkpoints.disk_space() > 50 * BYTES as u64, "what was removed takes space, and may");
    store.compact_checkpoints(BYTES as u64).unwrap();
    assert!(store.checkpoints.disk_space() < 4 * BYTES as u64, "{} bytes are left", store.checkpoints.disk_space());
    assert_eq!(checkpoints.epochs(&flow).await.unwrap(), [Epoch(99), Epoch(100)]);
    assert_eq!(checkpoints.get(&flow, Epoch(99)).await.unwrap(), Some(payload));
}
