#![allow(clippy::unwrap_used, reason = "tests")]
use millstream_core::ErrorKind;

use super::*;

/// Format 1, for ever: a checkpoint that was written with it must be readable.
#[test]
fn golden_format_1() {
    let bytes = encode(b"123456789");
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    // e3069283 is the check value of CRC-32C.
    assert_eq!(hex, "01e3069283313233343536373839");
    assert_eq!(decode("f", &bytes).unwrap(), "123456789");
}

#[test]
fn every_damaged_byte_is_known() {
    let whole = encode(b"some checkpoint");
    for at in 0..whole.len() {
        let mut damaged = whole.to_vec();
        damaged[at] ^= 0x10;
        assert_eq!(decode("f", &damaged.into()).unwrap_err().kind(), ErrorKind::Corrupt);
        if at < HEADER_BYTES {
            assert_eq!(decode("f", &whole.slice(..at)).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn names_of_flows_are_names_of_folders_everywhere() {
    for (name, folder) in [("hourly_delays", "hourly_delays"), ("A/b.é", "=41=2fb=2e=c3=a9"), ("a=b", "a=3db"), ("", "")] {
        assert_eq!(escape(name), folder);
        assert_eq!(unescape(folder).as_deref(), Some(name));
    }
    for folder in ["=4", "=zz", "=c3"] {
        assert_eq!(unescape(folder), None);
    }
}
