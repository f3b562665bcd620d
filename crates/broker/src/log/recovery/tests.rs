#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::os::unix::fs::FileExt;

use bytes::Bytes;
use millstream_core::Timestamp;
use millstream_core::ports::NewRecord;

use super::*;
use crate::batch::encode;

fn batch_at(offset: i64, values: &[&str]) -> Vec<u8> {
    let records: Vec<_> =
        values.iter().map(|v| NewRecord { value: Some(Bytes::copy_from_slice(v.as_bytes())), ..NewRecord::default() }).collect();
    let mut batch = encode(&records, Timestamp(1_000_000));
    batch.place(offset, 0);
    batch.bytes().to_vec()
}

/// A folder with one segment of three batches: offsets 0 to 5. Gives the segment's path and where the last batch begins.
fn three_batches(folder: &Path) -> (PathBuf, usize) {
    let mut bytes = SEGMENT_HEADER.to_vec();
    bytes.extend(batch_at(0, &["a", "b"]));
    bytes.extend(batch_at(2, &["c"]));
    let last = bytes.len();
    bytes.extend(batch_at(3, &["d", "e", "f"]));
    let path = Segment::path_in(folder, 0);
    fs::write(&path, bytes).unwrap();
    (path, last)
}

#[test]
fn a_whole_log_is_recovered_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = three_batches(folder.path());
    let len = fs::metadata(&path).unwrap().len();
    let found = recover(folder.path()).unwrap();
    assert_eq!((found.end, found.cut_bytes, found.segments.len()), (6, 0, 1));
    assert_eq!(found.segments[0].file.len, len);
}

#[test]
fn a_tail_cut_at_any_byte_loses_only_the_last_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (path, last) = three_batches(folder.path());
    let whole = fs::read(&path).unwrap();
    for len in last..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let found = recover(folder.path()).unwrap();
        assert_eq!((found.end, found.cut_bytes as usize), (3, len - last), "cut at {len}");
        assert_eq!(fs::read(&path).unwrap(), &whole[..last], "cut at {len}");
    }
}

#[test]
fn a_tail_garbled_at_any_byte_loses_only_the_last_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (path, last) = three_batches(folder.path());
    let whole = fs::read(&path).unwrap();
    for at in last..whole.len() {
        // The leader epoch is the log's own, outside of the checksum, and always 0: nothing reads it.
        if (last + 12..last + 16).contains(&at) {
            continue;
        }
        for flip in [0x01, 0x80, 0xff] {
            let mut garbled = whole.clone();
            garbled[at] ^= flip;
            fs::write(&path, &garbled).unwrap();
            let found = recover(folder.path()).unwrap_or_else(|e| panic!("byte {at} ^ {flip:02x}: {e}"));
            assert_eq!(found.end, 3, "byte {at} ^ {flip:02x}");
            assert_eq!(fs::read(&path).unwrap(), &whole[..last]);
        }
    }
}

#[test]
fn a_tail_of_zeros_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = three_batches(folder.path());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.clone(), vec![0; 5000]].concat()).unwrap();
    let found = recover(folder.path()).unwrap();
    assert_eq!((found.end, found.cut_bytes), (6, 5000));
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn damage_before_whole_batches_is_an_error_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = three_batches(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[SEGMENT_HEADER.len() + HEADER_LEN + 3] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = recover(folder.path()).unwrap_err();
    assert!(matches!(error, LogError::DamagedInside { position: 8, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_segment_that_was_only_just_begun_is_begun_again() {
    for len in 0..SEGMENT_HEADER.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(Segment::path_in(folder.path(), 0), &SEGMENT_HEADER[..len]).unwrap();
        assert_eq!(recover(folder.path()).unwrap().end, 0);
    }
    for len in 0..=SEGMENT_HEADER.len() {
        let folder = tempfile::tempdir().unwrap();
        three_batches(folder.path());
        // The roll to it failed, and then a smaller batch went into its predecessor.
        fs::write(Segment::path_in(folder.path(), 3), &SEGMENT_HEADER[..len]).unwrap();
        let found = recover(folder.path()).unwrap();
        assert_eq!((found.end, found.segments.len()), (6, 1), "{len} bytes");
    }
}

#[test]
fn segments_must_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    three_batches(folder.path());
    fs::write(Segment::path_in(folder.path(), 7), [SEGMENT_HEADER.to_vec(), batch_at(7, &["x"])].concat()).unwrap();
    let error = recover(folder.path()).unwrap_err().to_string();
    assert!(error.contains("begins at offset 7") && error.contains("ends at 6"), "{error}");
}

#[test]
fn a_newer_format_is_refused_by_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = three_batches(folder.path());
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[9], 4).unwrap();
    assert!(matches!(recover(folder.path()).unwrap_err(), LogError::Version { found: 9, known: 1, .. }));
}

/// A segment file of format version 1, byte for byte: it must stay readable.
#[test]
fn the_golden_segment_of_version_1_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let golden = include_bytes!("golden_v1.log");
    fs::write(Segment::path_in(folder.path(), 1000), golden).unwrap();
    let found = recover(folder.path()).unwrap();
    assert_eq!((found.end, found.cut_bytes, found.segments[0].base), (1003, 0, 1000));
    let mut written = SEGMENT_HEADER.to_vec();
    written.extend(batch_at(1000, &["one", "two"]));
    written.extend(batch_at(1002, &["three"]));
    assert_eq!(written, golden, "and what is written today is the same");
}
