#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as Codec, Record as WireRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use millstream_core::ports::{NewRecord, Record};
use millstream_core::{Offset, Timestamp};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_123_456);

fn new_record(key: Option<&str>, value: Option<&str>) -> NewRecord {
    let bytes = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    NewRecord { timestamp: None, key: key.map(bytes), value: value.map(bytes), headers: Vec::new() }
}

/// A batch as another implementation writes it.
pub(crate) fn client_batch(values: &[&str], codec: Codec, timestamp: i64) -> Bytes {
    let records: Vec<WireRecord> = values
        .iter()
        .enumerate()
        .map(|(i, v)| WireRecord {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: i as i64,
            sequence: i as i32 - 1,
            timestamp,
            key: None,
            value: Some(Bytes::copy_from_slice(v.as_bytes())),
            headers: IndexMap::from_iter([(StrBytes::from_static_str("h"), Some(Bytes::from_static(b"1")))]),
        })
        .collect();
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &RecordEncodeOptions { version: 2, compression: codec }).unwrap();
    out.freeze()
}

fn decode_all(checked: &CheckedBatch) -> Vec<Record> {
    let mut out = Vec::new();
    let whole = Bytes::copy_from_slice(checked.bytes());
    let mut budget = usize::MAX;
    assert!(decode_into(checked.header(), &whole, 0, &mut budget, &mut out).unwrap());
    out
}

#[test]
fn records_come_back_as_they_were_given() {
    let records = vec![
        NewRecord {
            timestamp: Some(Timestamp(1_600_000_000_007_900)),
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"v")),
            headers: vec![("a".to_owned(), Some(Bytes::from_static(b"1"))), ("a".to_owned(), None)],
        },
        NewRecord { timestamp: Some(Timestamp(1_599_999_999_000_000)), ..new_record(None, None) },
        new_record(Some(""), Some("")),
    ];
    let mut batch = encode(&records, NOW);
    batch.place(40, 0);
    let read = decode_all(&batch);
    assert_eq!(read.iter().map(|r| r.offset.0).collect::<Vec<_>>(), [40, 41, 42]);
    assert_eq!(read[0].timestamp, Timestamp(1_600_000_000_007_000), "kept to the millisecond");
    assert_eq!(read[1].timestamp, Timestamp(1_599_999_999_000_000), "earlier than the first record's");
    assert_eq!(read[2].timestamp, Timestamp(1_700_000_000_123_000), "the log's own");
    for (read, given) in read.iter().zip(&records) {
        assert_eq!((&read.key, &read.value, &read.headers), (&given.key, &given.value, &given.headers));
    }
}

#[test]
fn another_implementation_reads_what_is_written() {
    let batch = encode(&[new_record(Some("k"), Some("v")), new_record(None, Some("w"))], NOW);
    let mut bytes = Bytes::copy_from_slice(batch.bytes());
    let set = RecordBatchDecoder::decode(&mut bytes).unwrap();
    let values: Vec<_> = set.records.iter().map(|r| r.value.clone().unwrap()).collect();
    assert_eq!(values, ["v", "w"]);
    assert_eq!(set.records[0].timestamp, 1_700_000_000_123);
}

#[test]
fn every_compression_is_read() {
    let long = "a long value that compresses ".repeat(3000);
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let batch = check(&client_batch(&["x", &long, "z"], codec, 5), NOW).unwrap();
        let read = decode_all(&batch);
        assert_eq!(read.iter().map(|r| r.value.clone().unwrap()).collect::<Vec<_>>(), ["x", &long, "z"], "{codec:?}");
        assert_eq!(read[2].timestamp, Timestamp(5000));
        assert_eq!(read[2].headers, [("h".to_owned(), Some(Bytes::from_static(b"1")))]);
    }
}

#[test]
fn values_share_the_bytes_of_their_batch() {
    let batch = Bytes::copy_from_slice(encode(&[new_record(None, Some("value"))], NOW).bytes());
    let header = BatchHeader::parse(&batch).unwrap();
    let (mut out, mut budget) = (Vec::new(), usize::MAX);
    decode_into(&header, &batch, 0, &mut budget, &mut out).unwrap();
    let value = out[0].value.as_ref().unwrap();
    assert!(batch.as_ptr_range().contains(&value.as_ptr()), "no copy is made");
}

#[test]
fn decoding_begins_at_an_offset_and_ends_with_the_budget() {
    let batch = encode(&(0..10).map(|_| new_record(None, Some("0123456789"))).collect::<Vec<_>>(), NOW);
    let bytes = Bytes::copy_from_slice(batch.bytes());
    let mut out = Vec::new();
    assert!(!decode_into(batch.header(), &bytes, 3, &mut 30, &mut out).unwrap());
    assert_eq!(out.iter().map(|r| r.offset.0).collect::<Vec<_>>(), [3, 4]);
    out.clear();
    assert!(!decode_into(batch.header(), &bytes, 3, &mut 0, &mut out).unwrap());
    assert_eq!(out.len(), 1, "one record always");
}

#[test]
fn any_flipped_byte_is_noticed() {
    let good = client_batch(&["some", "values"], Codec::None, 7);
    for at in 0..good.len() {
        let mut bad = BytesMut::from(&good[..]);
        bad[at] ^= 0x40;
        let outcome = check(&bad.freeze(), NOW);
        // The log sets base offset and leader epoch itself, so they may be anything.
        assert!(outcome.is_err() || at < 8 || (12..16).contains(&at), "byte {at}");
    }
}

#[test]
fn a_cut_batch_is_refused_at_every_length() {
    let good = client_batch(&["some", "values"], Codec::Gzip, 7);
    for len in 0..good.len() {
        assert!(check(&good.slice(..len), NOW).is_err(), "{len} bytes");
    }
}

#[test]
fn garbage_with_a_right_checksum_is_refused_and_never_panics() {
    let good = client_batch(&["some", "values"], Codec::None, 7);
    let garbled = (HEADER_LEN..good.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte)));
    for (at, byte) in garbled {
        let mut bad = BytesMut::from(&good[..]);
        bad[at] = byte;
        let crc = crc32c::crc32c(&bad[21..]);
        bad[17..21].copy_from_slice(&crc.to_be_bytes());
        if let Ok(batch) = check(&bad.freeze(), NOW) {
            decode_all(&batch);
        }
    }
}

#[test]
fn what_the_endpoint_does_not_serve_is_refused_by_name() {
    let patched = |at: usize, bytes: &[u8]| {
        let mut bad = BytesMut::from(&client_batch(&["a", "b"], Codec::None, 7)[..]);
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c::crc32c(&bad[21..]);
        bad[17..21].copy_from_slice(&crc.to_be_bytes());
        check(&bad.freeze(), NOW).unwrap_err()
    };
    assert_eq!(patched(16, &[1]), BatchError::Magic(1));
    assert_eq!(patched(21, &5_i16.to_be_bytes()), BatchError::Compression(5));
    assert_eq!(patched(21, &0b10000_i16.to_be_bytes()), BatchError::Transactional);
    assert_eq!(patched(21, &0b100000_i16.to_be_bytes()), BatchError::Transactional);
    assert!(matches!(patched(57, &3_i32.to_be_bytes()), BatchError::Malformed(_)));
    assert!(matches!(patched(23, &7_i32.to_be_bytes()), BatchError::Malformed(_)));
    let two: Vec<u8> = [client_batch(&["a"], Codec::None, 7), client_batch(&["b"], Codec::None, 7)].concat();
    assert!(matches!(check(&Bytes::from(two), NOW).unwrap_err(), BatchError::Malformed(_)));
}

#[test]
fn a_block_that_grows_without_bound_is_refused() {
    let zeros = vec![0_u8; DECOMPRESSED_BYTES_MAX + 1];
    let bomb = zstd::stream::encode_all(&zeros[..], 1).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(Compression::Zstd.decompress(&bomb), Err(BatchError::TooLarge));
}

#[test]
fn records_without_time_get_the_time_of_their_append() {
    let batch = check(&client_batch(&["a"], Codec::None, NONE), NOW).unwrap();
    assert!(batch.header().has_append_time());
    check_crc(batch.header(), batch.bytes()).unwrap();
    assert_eq!(decode_all(&batch)[0].timestamp, Timestamp(1_700_000_000_123_000));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    assert_eq!(sequence_after(5, 0), 5);
}

/// The format on disk is Kafka's; this pins the very bytes.
#[test]
fn the_format_is_pinned() {
    let mut batch = encode(&[NewRecord { timestamp: Some(Timestamp(1_000)), ..new_record(Some("k"), Some("v")) }], NOW);
    batch.place(258, 0);
    let mut expected = vec![0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 58, 0, 0, 0, 0, 2];
    expected.extend_from_slice(&batch.header().crc.to_be_bytes());
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    expected.extend_from_slice(&[0xff; 14]);
    expected.extend_from_slice(&[0, 0, 0, 1]);
    expected.extend_from_slice(&[16, 0, 0, 0, 2, b'k', 2, b'v', 0]);
    assert_eq!(batch.bytes(), expected);
    assert_eq!(batch.header().crc, crc32c::crc32c(&expected[21..]));
    assert_eq!(decode_all(&batch)[0].offset, Offset(258));
}
