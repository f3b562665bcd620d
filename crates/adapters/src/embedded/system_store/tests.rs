#![allow(clippy::unwrap_used, reason = "tests")]
use millstream_core::{ErrorKind, EventTime, Timestamp};

use super::*;

fn late() -> LateRow {
    LateRow {
        flow: FlowId::new("f"),
        epoch: Epoch(2),
        source: "flights".into(),
        position: RowPosition { partition: 1, offset: 5 },
        timestamp: Timestamp(6),
        key: None,
        value: Some(Bytes::from_static(&[0, 255])),
        event_time: EventTime(7),
        window_end: EventTime(8),
        watermark: EventTime(9),
        at: Timestamp(10),
    }
}

/// Format 1, for ever: rows that were put aside with it must be readable.
#[test]
fn golden_format_1() {
    let json = r#"{"flow":"f","epoch":2,"source":"flights","position":{"partition":1,"offset":5},"timestamp":6,"key":null,"value":null,"event_time":7,"window_end":8,"watermark":9,"at":10}"#;
    let bytes = [&[1], (json.len() as u32).to_le_bytes().as_slice(), json.as_bytes(), &[0, 1, 2, 0, 0, 0, 0, 255]].concat();
    assert_eq!(encode_aside(late()).unwrap(), bytes);
    assert_eq!(decode_aside::<LateRow>(&bytes).unwrap(), late());
    assert_eq!(aside_key(&late()), b"lf\0\0\0\0\0\0\0\0\0\x02\x80\0\0\x01\x80\0\0\0\0\0\0\x05flights");
}

#[test]
fn cut_and_foreign_values_are_corrupt() {
    let whole = encode_aside(late()).unwrap();
    for cut in 0..whole.len() {
        assert_eq!(decode_aside::<LateRow>(&whole[..cut]).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
    }
    let mut other = whole;
    other[0] = 2;
    assert!(decode_aside::<LateRow>(&other).unwrap_err().message().contains("format 2"));
}
