#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

use crate::decode::tests::{events, record, schema};
use crate::decode::{Decoded, ParseMode, ReadFormat, Reading, RecordDecoder};
use crate::pattern::TimePattern;
use crate::style::{CsvStyle, TimeFormats};
use crate::table::timestamp_type;

fn reading(style: CsvStyle) -> Reading {
    Reading { format: ReadFormat::Csv(style, TimeFormats::default()), ..Reading::default() }
}

fn cells(decoded: &Decoded, row: usize) -> Vec<String> {
    let text = |column: &arrow::array::ArrayRef| {
        if column.is_null(row) { "null".to_owned() } else { array_value_to_string(column, row).unwrap() }
    };
    decoded.rows.columns().iter().map(text).collect()
}

/// The two strings of a line, or the reason why it isn't one.
fn strings(style: CsvStyle, line: &str) -> Result<Vec<String>, String> {
    let columns = schema(&[("a", DataType::Utf8, true), ("b", DataType::Utf8, true)]);
    let decoded = RecordDecoder::new(columns, &reading(style)).unwrap().decode(&events(&[line])).unwrap();
    match decoded.rejected.first() {
        Some(rejected) => Err(rejected.reason.clone()),
        None => Ok(cells(&decoded, 0)),
    }
}

#[test]
fn lines_are_split_as_spark_splits_them() {
    let cases = [
        ("x,y", ["x", "y"]),
        ("x,y\r\n", ["x", "y"]),
        (",", ["null", "null"]),
        (r#""",y"#, ["null", "y"]),
        (r#""a,b",c"#, ["a,b", "c"]),
        (r#""say \"hi\"",c"#, ["say \"hi\"", "c"]),
        (r#""back\\slash","\n""#, ["back\\slash", "\\n"]),
        ("\"two\nlines\",c", ["two\nlines", "c"]),
        (r#"in"side,c"#, ["in\"side", "c"]),
        (" x , y ", [" x ", " y "]),
        ("é,日", ["é", "日"]),
    ];
    for (line, expected) in cases {
        assert_eq!(strings(CsvStyle::default(), line).as_deref(), Ok(&expected.map(str::to_owned)[..]), "{line}");
    }
}

#[test]
fn options_change_what_separates_quotes_and_is_null() {
    let style = CsvStyle { separator: "||".to_owned(), quote: Some(b'\''), null_value: "NULL".to_owned(), ..CsvStyle::default() };
    let of = |line: &str| strings(style.clone(), line).unwrap();
    assert_eq!(of("a|b||'c||d'"), ["a|b", "c||d"]);
    assert_eq!(of("NULL||''"), ["null", ""]);
    assert_eq!(of("||'NULL'"), ["null", "null"]);
    let doubled = CsvStyle { escape: Some(b'"'), ..CsvStyle::default() };
    assert_eq!(strings(doubled, r#""a ""b"" c",d"#).unwrap(), ["a \"b\" c", "d"]);
    let unquoted = CsvStyle { quote: None, ..CsvStyle::default() };
    assert_eq!(strings(unquoted, r#""a",b"#).unwrap(), ["\"a\"", "b"]);
    let trimmed = CsvStyle { ignores_leading_space: true, ignores_trailing_space: true, ..CsvStyle::default() };
    assert_eq!(strings(trimmed, "  x ,  \" y \" ").unwrap(), ["x", " y "]);
}

#[test]
fn lines_that_millstream_wrote_are_read_exactly() {
    let exact = CsvStyle { exact: true, null_value: "NULL".to_owned(), empty_value: Some("EMPTY".to_owned()), ..CsvStyle::default() };
    assert_eq!(strings(exact.clone(), "NULL,EMPTY").unwrap(), ["null", ""]);
    assert_eq!(strings(exact, r#""NULL","EMPTY""#).unwrap(), ["NULL", "EMPTY"]);
    let plain = CsvStyle { exact: true, ..CsvStyle::default() };
    assert_eq!(strings(plain, r#","""#).unwrap(), ["null", ""]);
}

#[test]
fn values_become_what_their_columns_hold() {
    let columns = schema(&[
        ("b", DataType::Boolean, true),
        ("i", DataType::Int32, true),
        ("f", DataType::Float32, true),
        ("d", DataType::Float64, true),
        ("m", DataType::Decimal128(8, 2), true),
        ("x", DataType::Binary, true),
        ("day", DataType::Date32, true),
        ("ts", timestamp_type(), true),
    ]);
    let mut decoder = RecordDecoder::new(columns, &reading(CsvStyle::default())).unwrap();
    let decoded = decoder
        .decode(&events(&[
            "TRUE,-7,0.1,1e3,\"1,234.5\",AP8=,2013-07-04,2013-07-04T01:02:03Z",
            "false,+7,NaN,-Inf,.5,,2013-07-04,2013-07-04",
            "1,,,,,,,",
            ",1.0,,,,,,",
            ",,,inf,,,,",
            ",,,,,,4.7.2013,",
            ",,,,,,,yesterday",
        ]))
        .unwrap();
    assert_eq!(decoded.accepted, [0, 1]);
    assert_eq!(cells(&decoded, 0), ["true", "-7", "0.1", "1000.0", "1234.50", "00ff", "2013-07-04", "2013-07-04T01:02:03Z"]);
    assert_eq!(cells(&decoded, 1), ["false", "7", "NaN", "-inf", "0.50", "null", "2013-07-04", "2013-07-04T00:00:00Z"]);
    let reasons: Vec<_> = decoded.rejected.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "column b: 1 does not fit BOOLEAN",
            "column i: 1.0 does not fit INT",
            "column d: inf does not fit DOUBLE",
            "column day: 4.7.2013 does not fit DATE",
            "column ts: yesterday does not fit TIMESTAMP",
        ]
    );
}

#[test]
fn times_follow_their_patterns() {
    let times = TimeFormats { timestamp: Some(TimePattern::try_new("d/M/yyyy H:mm").unwrap()), ..TimeFormats::default() };
    let reading = Reading { format: ReadFormat::Csv(CsvStyle::default(), times), ..Reading::default() };
    let decoded =
        RecordDecoder::new(schema(&[("t", timestamp_type(), true)]), &reading).unwrap().decode(&events(&["4/7/2013 9:05"])).unwrap();
    assert_eq!(cells(&decoded, 0), ["2013-07-04T09:05:00Z"]);
}

#[test]
fn what_is_not_one_line_of_so_many_values_is_rejected() {
    let reason = |line: &str| strings(CsvStyle::default(), line).unwrap_err();
    assert!(reason("").contains("it is empty"));
    assert!(reason("\n").contains("it is empty"));
    assert_eq!(reason("a"), "the line has 1 values, and the table 2 columns: a");
    assert_eq!(reason("a,b,c"), "the line has 3 values, and the table 2 columns: a,b,c");
    assert!(reason("a,b\nc,d").contains("more than one line"));
    assert!(reason("\"a,b").contains("ends within quotes"));
    assert!(reason("\"a\\\",b").contains("ends within quotes"));
    assert!(reason("\"a\"x,b").contains("follows the closing quote"));
    let columns = schema(&[("a", DataType::Utf8, true)]);
    let decoded = RecordDecoder::new(columns, &reading(CsvStyle::default())).unwrap().decode(&[record(Some(b"\xff"), None)]).unwrap();
    assert_eq!(decoded.rejected[0].reason, "the value is not UTF-8 at byte 0");
}

#[test]
fn permissive_mode_keeps_what_it_can_and_the_line() {
    let columns = schema(&[("a", DataType::Int32, true), ("b", DataType::Utf8, true), ("bad", DataType::Utf8, true)]);
    let reading = Reading { mode: ParseMode::Permissive, corrupt_record: Some("bad".to_owned()), ..reading(CsvStyle::default()) };
    let decoded = RecordDecoder::new(columns, &reading).unwrap().decode(&events(&["1,x", "1", "1,x,y", "z,x", "\"", ""])).unwrap();
    assert_eq!(decoded.rejected, []);
    let rows: Vec<_> = (0..6).map(|row| cells(&decoded, row).join("|")).collect();
    assert_eq!(rows, ["1|x|null", "1|null|1", "1|x|1,x,y", "null|x|z,x", "null|null|\"", "null|null|"]);
}

#[test]
fn nested_columns_are_refused_by_name_and_null_in_not_null_is_rejected() {
    let list = DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("item", DataType::Int32, true)));
    let error = RecordDecoder::new(schema(&[("tags", list, true)]), &reading(CsvStyle::default())).unwrap_err();
    assert!(error.message().contains("tags"), "{error}");
    let columns = schema(&[("a", DataType::Int32, false), ("b", DataType::Utf8, true)]);
    let decoded = RecordDecoder::new(columns, &reading(CsvStyle::default())).unwrap().decode(&events(&[",x", "1,x"])).unwrap();
    assert_eq!(decoded.accepted, [1]);
    assert!(decoded.rejected[0].reason.contains("NOT NULL"), "{}", decoded.rejected[0].reason);
}

/// As `from_csv` reads a line, permissively.
fn by_function(types: &[DataType], line: &str) -> Vec<String> {
    let names = ["a", "b", "c"];
    let columns: Vec<_> = names.iter().zip(types).map(|(name, kind)| (*name, kind.clone(), true)).collect();
    let style = CsvStyle { of_function: true, ..CsvStyle::default() };
    let reading = Reading { mode: ParseMode::Permissive, ..reading(style) };
    let decoded = RecordDecoder::new(schema(&columns), &reading).unwrap().decode(&events(&[line])).unwrap();
    cells(&decoded, 0)
}

/// What Spark 4.1.1 gave.
#[test]
fn from_csv_takes_values_that_break_their_quotes_as_they_are_written() {
    let texts = [DataType::Utf8, DataType::Utf8, DataType::Utf8];
    for (line, expected) in [
        (r#"1,"He said ""hi""",2"#, ["1", r#""He said ""hi""""#, "2"]),
        (r#""a"x,b,c"#, [r#""a"x"#, "b", "c"]),
        (r#""a" ,b,c"#, ["a", "b", "c"]),
        (r#""a" b","c",d"#, [r#""a" b""#, "c", "d"]),
        (r#""a""b",c,d"#, [r#""a""b""#, "c", "d"]),
        (r#""a"",b,c"#, ["a\"", "b", "c"]),
        (r#""a""","b",c"#, ["a\"\"", "b", "c"]),
        (r#""""",b,c"#, ["\"\"", "b", "c"]),
        (r#""a"" ",b,c"#, [r#""a"" ""#, "b", "c"]),
        (r#""a\b\"c",d,e"#, [r#"a\b"c"#, "d", "e"]),
        (r#""x"y\"z",b,c"#, [r#""x"y\"z""#, "b", "c"]),
        (r#"a,b,"c,d"#, ["a", "b", "c,d"]),
        (r#"a,b,"c\"#, ["a", "b", "c"]),
        (r#"a,b,""#, ["a", "b", "\""]),
        (r#"a, "b",c"#, ["a", " \"b\"", "c"]),
        ("a\nb,c,\"d\ne\"", ["a\nb", "c", "d\ne"]),
    ] {
        assert_eq!(by_function(&texts, line), expected, "{line}");
    }
}

#[test]
fn from_csv_takes_what_spark_takes_for_dates_bytes_and_numbers() {
    for (kind, text, expected) in [
        (DataType::Date32, "2024-2-9", "2024-02-09"),
        (DataType::Date32, "2024-02-09T10:00:00", "2024-02-09"),
        (DataType::Date32, "2024", "2024-01-01"),
        (DataType::Binary, "AP8=", "4150383d"),
        (DataType::Float64, "1d", "1.0"),
        (DataType::Float64, " 1 ", "1.0"),
        (DataType::Float64, " NaN", "NaN"),
        (timestamp_type(), " 2024-02-09 ", "2024-02-09T00:00:00Z"),
        (DataType::Int32, " 1", "null"),
        (DataType::Float32, " 0.1f", "0.1"),
        (DataType::Float64, "d", "null"),
        (DataType::Float64, "one", "null"),
    ] {
        assert_eq!(by_function(&[kind], text), [expected], "{text}");
    }
}
