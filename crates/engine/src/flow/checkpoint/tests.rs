#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{ErrorKind, EventTime};

use super::*;
use crate::source::{PartitionState, SourcePosition};

fn checkpoint() -> Checkpoint {
    let mut watermark = WatermarkTracker::new(2, 60_000_000);
    watermark.observe(0, EventTime(1_000_000_000));
    watermark.observe(1, EventTime(2_000_000_000));
    let partitions = vec![
        PartitionState { position: SourcePosition::Offset(42), version: Version(7) },
        PartitionState { position: SourcePosition::Feed("0000002a".to_owned()), version: Version(8) },
    ];
    let schema = Schema::new(vec![Field::new("origin", DataType::Utf8, true), Field::new("count", DataType::Int64, true)]);
    let rows = RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(StringArray::from(vec![Some("EWR"), None])), Arc::new(Int64Array::from(vec![19, 1]))],
    );
    Checkpoint {
        header: Header {
            signature: Some(Signature::default()),
            fingerprint: None,
            source: SourceState { partitions, starts: Vec::new() },
            watermark: Some(watermark),
            version_bound: Version(99),
            reach: None,
            base: Epoch(3),
            altered: None,
            reports: None,
            data: None,
            repetition: None,
            made_of: None,
            emitted: None,
        },
        state: vec![rows.unwrap()],
        redo: None,
    }
}

/// Two changes, the second a delete.
fn changes() -> ChangeBatch {
    let schema = Schema::new(vec![Field::new("origin", DataType::Utf8, true), Field::new("kind", DataType::Int64, true)]);
    let rows = RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(StringArray::from(vec!["EWR", "JFK"])), Arc::new(Int64Array::from(vec![Some(19), None]))],
    );
    ChangeBatch::try_new(rows.unwrap(), vec![1, 2].into(), vec![100, 101].into(), vec![0, -1].into(), vec![7, -1].into()).unwrap()
}

#[test]
fn what_was_encoded_is_decoded() {
    let full = checkpoint();
    let stateless = Checkpoint { state: Vec::new(), ..full.clone() };
    let redone = Checkpoint { redo: Some(changes()), ..full.clone() };
    let stateless_redone = Checkpoint { redo: Some(changes()), ..stateless.clone() };
    let stages = Checkpoint { state: vec![full.state[0].clone(), full.state[0].slice(0, 1)], ..full.clone() };
    let stages_redone = Checkpoint { redo: Some(changes()), ..stages.clone() };
    for checkpoint in [full, stateless, redone, stateless_redone, stages, stages_redone] {
        let bytes = checkpoint.encode().unwrap();
        let read = Checkpoint::decode(&bytes).unwrap();
        assert_eq!((&read.header.source, &read.state), (&checkpoint.header.source, &checkpoint.state));
        assert_eq!(read.redo.is_some(), checkpoint.redo.is_some());
        if let (Some(read), Some(written)) = (&read.redo, &checkpoint.redo) {
            assert_eq!((read.rows(), read.kinds(), read.versions()), (written.rows(), written.kinds(), written.versions()));
            assert_eq!((read.partitions(), read.offsets()), (written.partitions(), written.offsets()));
        }
        // All that is stored is the same; which partitions are idle is not, on purpose.
        assert_eq!(read.encode().unwrap(), bytes);
    }
}

#[test]
fn bytes_of_format_1_can_still_be_read() {
    let header = r#"{"fingerprint":"plan","source":{"partitions":[{"position":{"offset":42},"version":7}]},"watermark":{"delay_micros":60000000,"greatest":[1000000000,null],"current":null},"version_bound":99,"base":3}"#;
    let mut bytes = vec![1, 0, 0, 0, u8::try_from(header.len()).unwrap()];
    bytes.extend_from_slice(header.as_bytes());
    let read = Checkpoint::decode(&bytes).unwrap();
    assert_eq!(read.header.source.partitions[0].position, SourcePosition::Offset(42));
    assert_eq!((read.header.base, read.header.version_bound, read.state), (Epoch(3), Version(99), Vec::new()));
}

#[test]
fn bytes_of_format_3_can_be_read() {
    let header = r#"{"fingerprint":"plan","source":{"partitions":[]},"watermark":null,"version_bound":99,"reach":{"greatest_gap":5,"horizon":7},"base":3}"#;
    let state = ipc(&checkpoint().state[0]).unwrap();
    let mut bytes = vec![3, 0, 0, 0, u8::try_from(header.len()).unwrap()];
    bytes.extend_from_slice(header.as_bytes());
    bytes.push(2);
    for _ in 0..2 {
        bytes.extend_from_slice(&(state.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&state);
    }
    let read = Checkpoint::decode(&bytes).unwrap();
    assert_eq!(read.header.reach, Some(Reach { greatest_gap: 5, horizon: 7 }));
    assert_eq!(read.state, [checkpoint().state, checkpoint().state].concat());
}

#[test]
fn bytes_of_format_4_can_be_read() {
    let header = r#"{"signature":{"version":1,"parts":[{"name":"filter","scope":"state","text":"a"}]},"source":{"partitions":[]},"watermark":null,"version_bound":99,"base":3,"altered":{"after":2,"source":{"partitions":[]}},"reports":{"runs":{"stats":"7"},"after":2,"source":{"partitions":[]}},"repetition":{"after":1,"up_to":2,"closed":5}}"#;
    let mut rest = u32::try_from(header.len()).unwrap().to_be_bytes().to_vec();
    rest.extend_from_slice(header.as_bytes());
    rest.push(0);
    let bytes = [&[4], crc32c::crc32c(&rest).to_be_bytes().as_slice(), &rest].concat();
    let read = Checkpoint::decode(&bytes).unwrap();
    assert_eq!(read.header.altered.as_ref().map(|a| a.after), Some(Epoch(2)));
    assert_eq!(read.header.reports.as_ref().map(|r| (r.revisions["stats"].as_str(), r.after)), Some(("7", Epoch(2))));
    let repetition = Repetition { after: Epoch(1), up_to: Epoch(2), closed: Some(EventTime(5)) };
    assert_eq!(read.header.repetition, Some(repetition));
    assert_eq!(read.encode().unwrap(), bytes, "what is written now");
}

#[test]
fn a_header_says_what_an_epoch_was_made_of() {
    let header = r#"{"signature":{"version":1,"parts":[]},"source":{"partitions":[{"position":{"offset":42},"version":7}]},"watermark":null,"version_bound":99,"base":3,"made_of":{"source":{"partitions":[{"position":{"offset":40},"version":5}]},"records":2,"changes":1}}"#;
    let mut rest = u32::try_from(header.len()).unwrap().to_be_bytes().to_vec();
    rest.extend_from_slice(header.as_bytes());
    rest.push(0);
    let bytes = [&[4], crc32c::crc32c(&rest).to_be_bytes().as_slice(), &rest].concat();
    let read = Checkpoint::decode(&bytes).unwrap();
    let made_of = read.header.made_of.as_ref().unwrap();
    assert_eq!((&made_of.source.partitions[0].position, made_of.records, made_of.changes), (&SourcePosition::Offset(40), 2, 1));
    assert_eq!(read.encode().unwrap(), bytes, "what is written now");
}

#[test]
fn a_header_says_how_far_rows_have_come_out() {
    let header = r#"{"signature":{"version":1,"parts":[]},"source":{"partitions":[]},"watermark":null,"version_bound":99,"base":3,"emitted":{"sides":[[5,7],null]}}"#;
    let mut rest = u32::try_from(header.len()).unwrap().to_be_bytes().to_vec();
    rest.extend_from_slice(header.as_bytes());
    rest.push(0);
    let bytes = [&[4], crc32c::crc32c(&rest).to_be_bytes().as_slice(), &rest].concat();
    let read = Checkpoint::decode(&bytes).unwrap();
    assert_eq!(read.header.emitted.as_ref().map(|emitted| emitted.sides), Some([Some((5, 7)), None]));
    assert_eq!(read.encode().unwrap(), bytes, "what is written now");
    // A group is told by its row.
    let group = checkpoint().state[0].slice(1, 1);
    let header = Header { emitted: Some(Emitted::of([None, None], &[None, Some(group.clone())]).unwrap()), ..read.header };
    let read = Checkpoint::decode(&Checkpoint { header, ..read }.encode().unwrap()).unwrap();
    assert_eq!(read.header.emitted.unwrap().windows().unwrap(), [None, Some(group)]);
}

#[test]
fn no_damaged_byte_passes() {
    let whole = Checkpoint { redo: Some(changes()), ..checkpoint() }.encode().unwrap();
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] ^= flip;
            assert_eq!(Checkpoint::decode(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
        }
        assert_eq!(Checkpoint::decode(&whole[..at]).unwrap_err().kind(), ErrorKind::Corrupt, "cut to {at} bytes");
    }
}

#[test]
fn a_header_of_one_format_is_not_taken_for_that_of_another() {
    let header = r#"{"source":{"partitions":[]},"watermark":null,"version_bound":99,"base":3}"#;
    let mut bytes = vec![1];
    bytes.extend_from_slice(&u32::try_from(header.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(header.as_bytes());
    let error = Checkpoint::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "a checkpoint of format 1 does not name its query as that format does");
}

#[test]
fn damage_is_reported_and_never_read_as_something_else() {
    let bytes = checkpoint().encode().unwrap();
    let redone = Checkpoint { redo: Some(changes()), ..checkpoint() }.encode().unwrap();
    let header = bytes.len().min(redone.len()) / 2;
    for length in 0..5 {
        assert_eq!(Checkpoint::decode(&bytes[..length]).unwrap_err().kind(), ErrorKind::Corrupt, "cut to {length} bytes");
    }
    for length in 0..header {
        assert_eq!(Checkpoint::decode(&redone[..length]).unwrap_err().kind(), ErrorKind::Corrupt, "with changes, cut to {length} bytes");
    }
    let mut other = bytes.to_vec();
    other[0] = 9;
    let error = Checkpoint::decode(&other).unwrap_err();
    assert_eq!(error.to_string(), "a checkpoint has format 9; this program reads formats 1 to 4");
}
