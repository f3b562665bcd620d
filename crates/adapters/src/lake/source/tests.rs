#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, LargeStringArray, StringArray, TimestampNanosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use millstream_core::ErrorKind;
use millstream_core::table::timestamp_type;
use millstream_testkit::{OnData, suite};
use parquet::arrow::ArrowWriter;

use super::*;

async fn table(source: &LakeReferenceSource) -> Vec<String> {
    let batches = source.load().await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema(), source.schema().await.unwrap());
    }
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let rows = text.lines().filter(|l| l.starts_with('|')).skip(1);
    rows.map(|l| l.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(",")).collect()
}

fn types(schema: &Schema) -> Vec<(&str, DataType)> {
    schema.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect()
}

#[tokio::test]
async fn a_csv_file_is_read_with_inferred_columns() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("airports.csv");
    fs::write(&file, "\u{feff}code,Lat,alt,name,opened\nEWR,40.7,18,\"Newark, Liberty\",1928-10-01\nJFK,,13,Kennedy,\n").unwrap();
    let source = LakeReferenceSource::new(LakeFormat::Csv, file, None);
    let schema = source.schema().await.unwrap();
    let expected = [
        ("code", DataType::Utf8),
        ("Lat", DataType::Float64),
        ("alt", DataType::Int32),
        ("name", DataType::Utf8),
        ("opened", DataType::Date32),
    ];
    assert_eq!(types(&schema), expected);
    assert_eq!(table(&source).await, ["EWR,40.7,18,Newark, Liberty,1928-10-01", "JFK,,13,Kennedy,"]);
}

#[tokio::test]
async fn declared_columns_are_found_by_name_and_cast() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.csv");
    fs::write(&file, "b,A,c\n1,x,2013-01-01 10:00:00\n2,y,2013-01-02T00:00:00Z\n").unwrap();
    let declared = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Utf8, false),
        Field::new("b", DataType::Int64, true),
        Field::new("c", timestamp_type(), true),
    ]));
    let source = LakeReferenceSource::new(LakeFormat::Csv, file.clone(), Some(declared));
    assert_eq!(table(&source).await, ["x,1,2013-01-01T10:00:00Z", "y,2,2013-01-02T00:00:00Z"]);

    fs::write(&file, "b,A,c\nnope,x,\n").unwrap();
    let error = source.load().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("column b of") && error.to_string().contains("t.csv holds a value that is no BIGINT"), "{error}");
    fs::write(&file, "b,A,c\n1,,\n").unwrap();
    let error = source.load().await.unwrap_err().to_string();
    assert!(error.contains("column a of") && error.contains("holds a null and is declared NOT NULL"), "{error}");
    fs::write(&file, "b,c\n1,\n").unwrap();
    let error = source.load().await.unwrap_err().to_string();
    assert!(error.contains("has no column a (it has b, c)"), "{error}");
}

#[tokio::test]
async fn json_lines_give_their_columns_by_name_and_absent_ones_are_null() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.json");
    fs::write(&file, "{\"z\":1,\"a\":\"x\"}\n{\"a\":null,\"z\":2.5,\"m\":true}\n").unwrap();
    let source = LakeReferenceSource::new(LakeFormat::Json, file.clone(), None);
    let schema = source.schema().await.unwrap();
    assert_eq!(types(&schema), [("a", DataType::Utf8), ("m", DataType::Boolean), ("z", DataType::Float64)]);
    assert_eq!(table(&source).await, ["x,,1.0", ",true,2.5"]);
    fs::write(&file, "{\"z\":1,\n").unwrap();
    assert_eq!(source.load().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn write_parquet(file: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_columns_get_the_types_that_tables_have() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.parquet");
    write_parquet(
        &file,
        vec![
            ("large", Arc::new(LargeStringArray::from(vec!["a", "b"])) as ArrayRef),
            ("dictionary", Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "x"]))),
            ("unsigned", Arc::new(UInt64Array::from(vec![1, u64::MAX]))),
            ("nanos", Arc::new(TimestampNanosecondArray::from(vec![1_001, 2_000]))),
            ("zoned", Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000]).with_timezone("Europe/Paris"))),
        ],
    );
    let source = LakeReferenceSource::new(LakeFormat::Parquet, file, None);
    let schema = source.schema().await.unwrap();
    let expected = [
        ("large", DataType::Utf8),
        ("dictionary", DataType::Utf8),
        ("unsigned", DataType::Decimal128(20, 0)),
        ("nanos", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("zoned", timestamp_type()),
    ];
    assert_eq!(types(&schema), expected);
    assert_eq!(table(&source).await[1], "b,x,18446744073709551615,1970-01-01T00:00:00.000002,1970-01-01T00:00:00.000002Z");
}

#[tokio::test]
async fn a_folder_is_one_table_of_its_files_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    write_parquet(&dir.path().join("part-2.parquet"), vec![("v", column(vec![3]))]);
    write_parquet(&dir.path().join("part-1.parquet"), vec![("v", column(vec![1, 2])), ("extra", column(vec![0, 0]))]);
    fs::write(dir.path().join("_SUCCESS"), "").unwrap();
    fs::write(dir.path().join(".part-1.parquet.crc"), "x").unwrap();
    let declared = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let source = LakeReferenceSource::new(LakeFormat::Parquet, dir.path().to_owned(), Some(declared));
    assert_eq!(table(&source).await, ["1", "2", "3"]);
    let before = source.revision().await.unwrap();
    assert_eq!(source.revision().await.unwrap(), before);
    write_parquet(&dir.path().join("part-3.parquet"), vec![("v", column(vec![4]))]);
    assert_ne!(source.revision().await.unwrap(), before);
    assert_eq!(table(&source).await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn what_is_not_there_or_not_the_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = LakeReferenceSource::new(LakeFormat::Csv, dir.path().join("absent.csv"), None);
    for error in [absent.schema().await.unwrap_err(), absent.revision().await.unwrap_err(), absent.load().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("absent.csv does not exist: check LOCATION"), "{error}");
    }
    let empty = LakeReferenceSource::new(LakeFormat::Csv, dir.path().to_owned(), None);
    assert_eq!(empty.schema().await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(dir.path().join("x.parquet"), "a,b\n1,2\n").unwrap();
    let wrong = LakeReferenceSource::new(LakeFormat::Parquet, dir.path().join("x.parquet"), None);
    let error = wrong.schema().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("x.parquet is not a Parquet file"), "{error}");
    let file = dir.path().join("x.csv.gz");
    fs::write(&file, "x").unwrap();
    let packed = LakeReferenceSource::new(LakeFormat::Csv, file, None);
    assert_eq!(packed.load().await.unwrap_err().kind(), ErrorKind::Unsupported);
    let text = Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    write_parquet(&dir.path().join("y.parquet"), vec![("a", text.clone()), ("A", text)]);
    let declared = Arc::new(Schema::new(vec![Field::new("\u{e4}", DataType::Utf8, true)]));
    let other = LakeReferenceSource::new(LakeFormat::Parquet, dir.path().join("y.parquet"), Some(declared));
    assert!(other.load().await.unwrap_err().to_string().contains("has no column \u{e4} (it has a, A)"));
}

/// Puts `rows` into a file of `format`, written beside it and renamed.
fn replace(file: &Path, format: LakeFormat, rows: &[millstream_testkit::Row]) {
    let batch = millstream_testkit::rows::batch(&suite::reference_source::table(), rows).unwrap();
    let beside = file.with_extension("new");
    let out = fs::File::create(&beside).unwrap();
    match format {
        LakeFormat::Parquet => {
            let mut writer = ArrowWriter::try_new(out, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        LakeFormat::Csv => arrow::csv::Writer::new(out).write(&batch).unwrap(),
        LakeFormat::Json => {
            let mut writer = arrow::json::LineDelimitedWriter::new(out);
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
        }
    }
    fs::rename(beside, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_format_keep_the_contract_of_a_reference_source() {
    for format in [LakeFormat::Parquet, LakeFormat::Csv, LakeFormat::Json] {
        let harness = || {
            OnData::new(tempfile::tempdir().unwrap(), move |dir, _| async move {
                let file = dir.path().join("reference");
                let declared = (format != LakeFormat::Parquet).then(suite::reference_source::table);
                let source = Arc::new(LakeReferenceSource::new(format, file.clone(), declared)) as Arc<dyn ReferenceSource>;
                let replace: suite::reference_source::Replace = Arc::new(move |rows| {
                    replace(&file, format, rows);
                    Ok(())
                });
                Ok(suite::reference_source::Port { source, replace })
            })
        };
        suite::reference_source::run(&format!("{} files", format.as_str()), harness).await.assert_passed();
    }
}
