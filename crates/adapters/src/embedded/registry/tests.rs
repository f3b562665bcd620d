#![allow(clippy::unwrap_used, reason = "tests")]
use arrow::datatypes::{DataType, Field, Schema};
use millstream_core::{ClusteringColumn, ErrorKind, SortOrder};

use super::*;

fn spec() -> TableSpec {
    TableSpec {
        name: "t".into(),
        kind: TableKind::EventStore,
        schema: Arc::new(Schema::new(vec![
            Field::new("p", DataType::Utf8, false),
            Field::new("c", DataType::Int64, false),
            Field::new("v", DataType::new_list(DataType::Utf8, true), true),
        ])),
        key: KeySpec { partition: vec!["p".into()], clustering: vec![ClusteringColumn { name: "c".into(), order: SortOrder::Desc }] },
        ttl: Some(Duration::from_secs(60)),
    }
}

#[test]
fn an_entry_comes_back_as_it_was() {
    let bytes = encode(42, &spec()).unwrap();
    let (id, read) = parse(&bytes).unwrap();
    assert_eq!((id, &read), (42, &spec()));
    assert_eq!(read.fingerprint(), spec().fingerprint());
}

#[test]
fn damage_and_other_formats_are_known() {
    let bytes = encode(1, &spec()).unwrap();
    assert_eq!(parse(&bytes[..3]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(parse(&bytes[..20]).unwrap_err().kind(), ErrorKind::Corrupt);
    let mut other = bytes;
    other[0] = 9;
    assert!(parse(&other).unwrap_err().message().contains("format 9"));
}

/// The JSON of entry format 1, for ever.
#[test]
fn golden_format_1() {
    let bytes = encode(3, &spec()).unwrap();
    let length = u32::from_le_bytes(bytes[1..5].try_into().unwrap()) as usize;
    let json = std::str::from_utf8(&bytes[5..5 + length]).unwrap();
    assert_eq!(
        json,
        r#"{"id":3,"name":"t","kind":"event_store","key":{"partition":["p"],"clustering":[{"name":"c","order":"desc"}]},"ttl":{"secs":60,"nanos":0},"fingerprint":"FP","key_format":1,"row_format":1}"#
            .replace("FP", &spec().fingerprint())
    );
}
