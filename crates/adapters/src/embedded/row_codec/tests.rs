#![allow(clippy::unwrap_used, reason = "tests")]
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int32Builder, ListBuilder, MapBuilder, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Fields;
use millstream_core::ErrorKind;
use millstream_core::table::timestamp_type;

use super::super::seeded::Seeded;
use super::*;

fn field(name: &str, array: &dyn Array) -> Field {
    Field::new(name, array.data_type().clone(), true)
}

/// `count` rows with a column of every type that a table can have, nested ones too; some cells are null.
fn rows(random: &mut Seeded, count: usize) -> RecordBatch {
    fn column<T>(random: &mut Seeded, count: usize, mut make: impl FnMut(&mut Seeded) -> T) -> Vec<Option<T>> {
        (0..count).map(|_| (random.below(4) > 0).then(|| make(random))).collect()
    }
    let decimals: Decimal128Array = column(random, count, |r| i128::from(r.integer()) * 1_000_000_007)
        .into_iter()
        .collect::<Decimal128Array>()
        .with_precision_and_scale(38, 6)
        .unwrap();
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for _ in 0..count {
        for _ in 0..random.below(3) {
            lists.values().append_option((random.below(3) > 0).then(|| random.text()));
        }
        lists.append(random.below(4) > 0);
        for _ in 0..random.below(3) {
            maps.keys().append_value(random.text());
            maps.values().append_option((random.below(3) > 0).then(|| random.integer() as i32));
        }
        maps.append(random.below(4) > 0).unwrap();
    }
    let lists: ArrayRef = Arc::new(lists.finish());
    let flags: ArrayRef = Arc::new(BooleanArray::from(column(random, count, |r| r.below(2) == 0)));
    let structs = StructArray::try_new(
        Fields::from(vec![field("list", &lists), field("flag", &flags)]),
        vec![lists.clone(), flags.clone()],
        Some((0..count).map(|_| random.below(4) > 0).collect::<Vec<_>>().into()),
    )
    .unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from((0..count as i64).collect::<Vec<_>>())),
        flags,
        Arc::new(Int8Array::from(column(random, count, |r| r.integer() as i8))),
        Arc::new(Int16Array::from(column(random, count, |r| r.integer() as i16))),
        Arc::new(Int32Array::from(column(random, count, |r| r.integer() as i32))),
        Arc::new(Int64Array::from(column(random, count, Seeded::integer))),
        Arc::new(Float32Array::from(column(random, count, |r| f32::from_bits(r.next() as u32 & 0x7F7F_FFFF)))),
        Arc::new(Float64Array::from(column(random, count, |r| r.integer() as f64 / 3.0))),
        Arc::new(decimals),
        Arc::new(StringArray::from(column(random, count, Seeded::text))),
        Arc::new(BinaryArray::from_iter(column(random, count, Seeded::bytes))),
        Arc::new(Date32Array::from(column(random, count, |r| r.integer() as i32))),
        Arc::new(TimestampMicrosecondArray::from(column(random, count, Seeded::integer)).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(column(random, count, Seeded::integer))),
        lists,
        Arc::new(structs),
        Arc::new(maps.finish()),
        Arc::new(StringArray::from(column(random, count, Seeded::text))),
    ];
    let fields: Vec<_> = columns.iter().enumerate().map(|(i, c)| field(&format!("c{i}"), c)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn decode(codec: &RowCodec, encoded: &EncodedRows, count: usize, columns: Option<&[usize]>, with_version: bool) -> RecordBatch {
    let mut decoder = RowDecoder::new(codec, columns, with_version, count).unwrap();
    (0..count).for_each(|row| decoder.push(encoded.row(row)).unwrap());
    decoder.finish().unwrap()
}

#[test]
fn every_type_comes_back_as_it_was_also_from_a_slice() {
    let mut random = Seeded(1);
    for _ in 0..50 {
        let whole = rows(&mut random, 40);
        let codec = RowCodec::new(whole.schema(), &[0]).unwrap();
        for (offset, length) in [(0, 40), (7, 20), (39, 1), (5, 0)] {
            let some = whole.slice(offset, length);
            let encoded = codec.encode(&some, &vec![5; length], &[]).unwrap();
            assert_eq!(decode(&codec, &encoded, length, None, false), some);
        }
    }
}

#[test]
fn a_projection_reads_the_columns_that_it_names_in_its_order_with_the_version() {
    let all = rows(&mut Seeded(2), 30);
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    let versions: Vec<i64> = (100..130).collect();
    let encoded = codec.encode(&all, &versions, &[]).unwrap();
    let projection = [17, 9, 0, 14];
    let read = decode(&codec, &encoded, 30, Some(&projection), true);
    assert_eq!(read.schema().field(4), &version_field());
    assert_eq!(read.project(&[0, 1, 2, 3]).unwrap(), all.project(&projection).unwrap());
    assert_eq!(read.column(4).as_ref(), &Int64Array::from(versions) as &dyn Array);
    assert_eq!(decode(&codec, &encoded, 30, Some(&[]), false).num_rows(), 30);
    assert_eq!(RowDecoder::new(&codec, Some(&[18]), false, 0).err().unwrap().kind(), ErrorKind::InvalidInput);
}

#[test]
fn equal_rows_have_equal_bytes_after_their_version() {
    let all = rows(&mut Seeded(3), 60);
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    let (one, other) = (codec.encode(&all, &[1; 60], &[]).unwrap(), codec.encode(&all.slice(10, 50), &[2; 50], &[]).unwrap());
    for row in 0..50 {
        assert_eq!(one.row(row + 10)[HEADER_BYTES..], other.row(row)[HEADER_BYTES..]);
        assert_eq!(Stored::parse(other.row(row)).unwrap().version(), Version(2));
    }
}

#[test]
fn of_a_delete_only_the_key_is_kept() {
    let all = rows(&mut Seeded(4), 3);
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    let encoded = codec.encode(&all, &[1; 3], &[0, 2, 1]).unwrap();
    let mut decoder = RowDecoder::nullable(&codec, 3).unwrap();
    (0..3).for_each(|row| decoder.push(encoded.row(row)).unwrap());
    let read = decoder.finish().unwrap();
    assert_eq!((read.slice(0, 1), read.slice(2, 1)), (all.slice(0, 1), all.slice(2, 1)));
    assert!(read.column(0).is_valid(1));
    assert!((1..18).all(|c| read.column(c).is_null(1)));
}

fn golden_rows() -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("raw", DataType::Binary, true),
        Field::new("day", DataType::Date32, true),
        Field::new("at", timestamp_type(), true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
        Field::new("small", DataType::Int16, true),
    ]));
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("x"), None]);
    tags.append_null();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, -2])),
        Arc::new(StringArray::from(vec![Some("é"), None])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0, 255]), Some(&[])])),
        Arc::new(Date32Array::from(vec![Some(15_908), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("UTC")),
        Arc::new(tags.finish()),
        Arc::new(Int16Array::from(vec![Some(-2), None])),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Format 1, for ever: a store that was written with it must be readable.
#[test]
fn golden_format_1() {
    let all = golden_rows();
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    let golden = [
        concat!(
            "01000807060504030201", // format, row, version
            "ff",                   // which columns are not null
            "0100000000000000",
            "01",
            "243e0000",
            "ffffffffffffffff",
            "feff",
            "02000000040000000f000000", // ends of name, raw, tags
            "c3a9",
            "00ff",
            "02000000010100000078",
            "00"
        ),
        concat!("0100ffffffffffffffff", "09", "feffffffffffffff", "00", "00000000", "0000000000000000", "0000", "000000000000000000000000"),
    ];
    let bytes = |hex: &str| -> Vec<u8> { (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect() };
    let encoded = codec.encode(&all, &[0x0102_0304_0506_0708, -1], &[]).unwrap();
    let mut decoder = RowDecoder::new(&codec, None, false, 2).unwrap();
    for (row, golden) in golden.iter().enumerate() {
        let hex: String = encoded.row(row).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, *golden, "row {row}");
        decoder.push(&bytes(golden)).unwrap();
    }
    assert_eq!(decoder.finish().unwrap(), all);
    let tombstone: String = tombstone(Version(2), 1).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(tombstone, "010102000000000000000100000000000000");
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let all = rows(&mut Seeded(5), 20);
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    let encoded = codec.encode(&all, &[1; 20], &[]).unwrap();
    let mut random = Seeded(6);
    let read = |value: &[u8]| {
        let mut decoder = RowDecoder::new(&codec, None, true, 1)?;
        decoder.push(value)?;
        decoder.finish()
    };
    for row in 0..20 {
        let whole = encoded.row(row);
        for cut in 0..codec.cells_at.min(whole.len()) {
            assert_eq!(read(&whole[..cut]).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
        }
        for _ in 0..200 {
            let mut damaged = whole.to_vec();
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.next() as u8;
            if let Err(error) = read(&damaged) {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            }
        }
    }
    let mut newer = encoded.row(0).to_vec();
    newer[0] = 2;
    assert!(read(&newer).unwrap_err().message().contains("format 2"));
}

#[test]
fn rows_of_another_shape_and_nulls_in_not_null_columns_are_refused() {
    let all = golden_rows();
    let codec = RowCodec::new(all.schema(), &[0]).unwrap();
    codec.check("t", &all, &[]).unwrap();
    let other = all.project(&[0, 2, 1, 3, 4, 5, 6, 7]).unwrap();
    assert!(codec.check("t", &other, &[]).unwrap_err().message().contains("table t has the columns (id Int64, name Utf8,"));
    let strict = Schema::new(all.schema().fields().iter().map(|f| Field::clone(f).with_nullable(false)).collect::<Vec<_>>());
    let codec = RowCodec::new(Arc::new(strict), &[0]).unwrap();
    assert!(codec.check("t", &all, &[0, 0]).unwrap_err().message().contains("a null in column name, which is NOT NULL"));
    codec.check("t", &all, &[0, 2]).unwrap();
}
