#![allow(clippy::unwrap_used, reason = "tests")]
use millstream_core::ErrorKind;

use super::*;

fn block() -> Vec<u8> {
    let mut block = BlockWriter::new(0x0102, 7);
    block.push(ChangeKind::Insert, b"abc").unwrap();
    block.push(ChangeKind::Update, b"").unwrap();
    block.push(ChangeKind::Delete, b"z").unwrap();
    block.finish()
}

#[test]
fn changes_come_back_with_their_numbers() {
    let bytes = block();
    let read = Block::parse(&bytes).unwrap();
    assert_eq!((read.committed, read.first, read.count), (0x0102, 7, 3));
    let changes: Vec<_> = read.changes().map(Result::unwrap).collect();
    assert_eq!(changes, [(7, ChangeKind::Insert, &b"abc"[..]), (8, ChangeKind::Update, b""), (9, ChangeKind::Delete, b"z")]);
}

/// Format 1, for ever: a feed that was written with it must be readable.
#[test]
fn golden_format_1() {
    let hex: String = block().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, concat!("01", "0201000000000000", "0700000000000000", "03000000", "0003000000616263", "0100000000", "02010000007a"));
    assert_eq!(key(1, 2, 3), [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(last_of(&key(1, 2, u64::MAX)).unwrap(), u64::MAX);
}

#[test]
fn a_cut_block_is_corrupt() {
    let bytes = block();
    for cut in 0..bytes.len() {
        let read = Block::parse(&bytes[..cut]).and_then(|b| b.changes().collect::<Result<Vec<_>>>().map(|_| ()));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
    }
}
