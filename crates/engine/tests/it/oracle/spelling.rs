//! Values and types as the golden files spell them, which `xtask/src/oracle/golden.rs` describes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray,
};
use arrow::array::{Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use chrono::{Datelike, NaiveDate, Timelike};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A type by Spark's name.
pub fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 => "STRING",
        DataType::Binary => "BINARY",
        DataType::Date32 => "DATE",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP_NTZ",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The value in a row of a column.
pub fn value(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Float32 => floating(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => floating(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => quoted(column.as_string::<i32>().value(row)),
        DataType::Binary => format!("X'{}'", hex(column.as_binary::<i32>().value(row))),
        DataType::Date32 => date(i64::from(column.as_primitive::<Date32Type>().value(row))),
        DataType::Timestamp(TimeUnit::Microsecond, _) => timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Decimal128(_, scale) => {
            let unscaled = column.as_primitive::<Decimal128Type>().value(row);
            decimal(unscaled, usize::try_from(*scale).unwrap())
        }
        _ => array_value_to_string(column, row).unwrap(),
    }
}

fn floating(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").replace("inf", "Infinity")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other if other.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn decimal(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A day as Spark writes it: years of at least four digits, those after 9999 with a sign.
fn date(days: i64) -> String {
    // Years of 400 have as many days each; the calendar goes on for ever, where chrono's ends.
    let (cycle, within) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let day = NaiveDate::from_num_days_from_ce_opt(i32::try_from(within + 719_163).unwrap()).unwrap();
    let year = i64::from(day.year()) + cycle * 400;
    let sign = if year > 9_999 {
        "+"
    } else if year < 0 {
        "-"
    } else {
        ""
    };
    format!("{sign}{:04}-{:02}-{:02}", year.abs(), day.month(), day.day())
}

fn timestamp(micros: i64) -> String {
    let (day, of_day) = (date(micros.div_euclid(MICROS_PER_DAY)), micros.rem_euclid(MICROS_PER_DAY));
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let clock = format!("{day} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{}", format!("{fraction:06}").trim_end_matches('0')) }
}

/// A column of these values of a type.
pub fn column(values: &[&str], type_name: &str) -> ArrayRef {
    let known = || values.iter().map(|v| (*v != "NULL").then_some(*v));
    macro_rules! numbers {
        ($array:ty, $number:ty) => {
            Arc::new(known().map(|v| v.map(|v| v.parse::<$number>().unwrap())).collect::<$array>())
        };
    }
    match type_name {
        "BOOLEAN" => Arc::new(known().map(|v| v.map(|v| v == "true")).collect::<BooleanArray>()),
        "TINYINT" => numbers!(Int8Array, i8),
        "SMALLINT" => numbers!(Int16Array, i16),
        "INT" => numbers!(Int32Array, i32),
        "BIGINT" => numbers!(Int64Array, i64),
        "FLOAT" => numbers!(Float32Array, f32),
        "DOUBLE" => numbers!(Float64Array, f64),
        "STRING" => Arc::new(known().map(|v| v.map(unquoted)).collect::<StringArray>()),
        "BINARY" => Arc::new(known().map(|v| v.map(bytes)).collect::<BinaryArray>()),
        "DATE" => Arc::new(known().map(|v| v.map(days)).collect::<Date32Array>()),
        "TIMESTAMP" => Arc::new(known().map(|v| v.map(micros)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        "TIMESTAMP_NTZ" => Arc::new(known().map(|v| v.map(micros)).collect::<TimestampMicrosecondArray>()),
        other => {
            let (precision, scale) = other.strip_prefix("DECIMAL(").unwrap().strip_suffix(')').unwrap().split_once(", ").unwrap();
            let scale: i8 = scale.parse().unwrap();
            let values: Decimal128Array = known().map(|v| v.map(|v| unscaled(v, scale))).collect();
            Arc::new(values.with_precision_and_scale(precision.parse().unwrap(), scale).unwrap())
        }
    }
}

fn unscaled(text: &str, scale: i8) -> i128 {
    let plain = text.split('E').next().unwrap();
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    format!("{whole}{fraction:0<width$}", width = usize::try_from(scale).unwrap()).parse().unwrap()
}

fn unquoted(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.strip_prefix('"').unwrap().strip_suffix('"').unwrap().chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next().unwrap() {
            't' => plain.push('\t'),
            'n' => plain.push('\n'),
            'r' => plain.push('\r'),
            'u' => {
                let digits: String = letters.by_ref().take(4).collect();
                plain.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
            }
            other => plain.push(other),
        }
    }
    plain
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("X'").unwrap().strip_suffix('\'').unwrap();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

fn calendar_day(text: &str) -> NaiveDate {
    let mut parts = text.trim_start_matches('+').splitn(3, '-').map(|part| part.parse::<i32>().unwrap());
    let mut number = || parts.next().unwrap();
    let (year, month, day) = (number(), number(), number());
    NaiveDate::from_ymd_opt(year, u32::try_from(month).unwrap(), u32::try_from(day).unwrap()).unwrap()
}

fn days(text: &str) -> i32 {
    calendar_day(text).num_days_from_ce() - 719_163
}

fn micros(text: &str) -> i64 {
    let (day, clock) = text.split_once(' ').unwrap();
    let format = if clock.contains('.') { "%H:%M:%S%.f" } else { "%H:%M:%S" };
    let time = chrono::NaiveTime::parse_from_str(clock, format).unwrap();
    let seconds = i64::from(time.num_seconds_from_midnight());
    i64::from(days(day)) * MICROS_PER_DAY + seconds * 1_000_000 + i64::from(time.nanosecond() / 1_000)
}

/// How many floating-point numbers of the type lie between two that are spelt; `None` where either is none.
pub fn ulps_apart(one: &str, other: &str, type_name: &str) -> Option<u64> {
    if [one, other].iter().any(|text| ["NULL", "NaN", "Infinity", "-Infinity"].contains(text)) {
        return None;
    }
    // The bits of IEEE 754 rise with the magnitude.
    let ordered = |bits: i64| if bits < 0 { i64::MIN - bits } else { bits };
    let (one, other) = match type_name {
        "DOUBLE" => {
            (ordered(one.parse::<f64>().ok()?.to_bits().cast_signed()), ordered(other.parse::<f64>().ok()?.to_bits().cast_signed()))
        }
        _ => return None,
    };
    Some(one.abs_diff(other))
}

#[test]
fn what_is_spelt_is_read_back() {
    let cases: &[(&str, &[&str])] = &[
        ("DATE", &["+10000-01-01", "0001-01-01", "1582-10-04", "NULL"]),
        ("TIMESTAMP", &["+10000-01-01 00:00:00", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00"]),
        ("DECIMAL(10, 2)", &["-0.05", "12.34", "0.00", "NULL"]),
        ("STRING", &[r#""a\t\"b\\\u0000""#, "\"\"", "\"ñ\""]),
        ("BINARY", &["X''", "X'00FF'"]),
        ("DOUBLE", &["-0.0", "5e-324", "NaN", "-Infinity", "1.7976931348623157e308"]),
        ("FLOAT", &["3.4028235e38", "0.1"]),
        ("TINYINT", &["-128"]),
        ("BOOLEAN", &["true", "NULL"]),
    ];
    for (name, values) in cases {
        let column = column(values, name);
        assert_eq!(type_name(column.data_type()), *name);
        let spelt: Vec<_> = (0..column.len()).map(|row| value(&column, row)).collect();
        assert_eq!(spelt, *values);
    }
    assert_eq!(ulps_apart("-0.0", "5e-324", "DOUBLE"), Some(1));
}
