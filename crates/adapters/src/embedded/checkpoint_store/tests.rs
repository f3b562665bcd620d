#![allow(clippy::unwrap_used, reason = "tests")]
use millstream_core::ErrorKind;

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
