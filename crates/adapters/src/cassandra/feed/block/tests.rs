#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_core::ErrorKind;

use super::*;

/// Format 1, byte by byte: an update of (EWR, 7, null) with version 5, and the delete of (EWR, 8).
const GOLDEN: &[u8] = &[
    1, 0, 0, 0, 2, //
    1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3, b'E', b'W', b'R', 0, 0, 0, 1, 7, 0xFF, 0xFF, 0xFF, 0xFF, //
    2, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 3, b'E', b'W', b'R', 0, 0, 0, 1, 8, 0xFF, 0xFF, 0xFF, 0xFF,
];

#[test]
fn the_format_is_as_written_down() {
    let mut writer = BlockWriter::new();
    for (kind, version, id) in [(ChangeKind::Update, 5, 7), (ChangeKind::Delete, 6, 8)] {
        writer.begin(kind, version);
        writer.value(Some(b"EWR"));
        writer.value(Some(&[id]));
        writer.value(None);
    }
    assert_eq!(writer.finish(), GOLDEN);
    let changes = parse(GOLDEN, 3).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0], BlockChange { kind: ChangeKind::Update, version: 5, values: vec![Some(b"EWR"), Some(&[7]), None] });
    assert_eq!((changes[1].kind, changes[1].version), (ChangeKind::Delete, 6));
}

#[test]
fn empty_and_null_values_differ() {
    let mut writer = BlockWriter::new();
    writer.begin(ChangeKind::Insert, -1);
    writer.value(Some(b""));
    writer.value(None);
    let bytes = writer.finish();
    assert_eq!(parse(&bytes, 2).unwrap()[0].values, [Some(b"".as_slice()), None]);
}

#[test]
fn damage_is_noticed() {
    for end in 0..GOLDEN.len() {
        assert_eq!(parse(&GOLDEN[..end], 3).unwrap_err().kind(), ErrorKind::Corrupt, "{end} bytes");
    }
    assert_eq!(parse(&[GOLDEN, &[0]].concat(), 3).unwrap_err().kind(), ErrorKind::Corrupt, "a byte too many");
    assert_eq!(parse(GOLDEN, 2).unwrap_err().kind(), ErrorKind::Corrupt, "other columns");
    assert_eq!(parse(&[&[9], &GOLDEN[1..]].concat(), 3).unwrap_err().kind(), ErrorKind::Corrupt, "another format");
}
