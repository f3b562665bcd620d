//! The types that cases are generated for, and the values of each: null, ordinary ones, extremes.

/// A type's name, and its values as the golden files spell them, the most telling first.
type Values = (&'static str, &'static [&'static str]);

/// All types. Texts are quoted.
const TYPES: [Values; 15] = [
    ("BOOLEAN", &["NULL", "true", "false"]),
    ("TINYINT", &["NULL", "5", "-128", "127", "0", "-1"]),
    ("SMALLINT", &["NULL", "7", "-32768", "32767", "0", "-3"]),
    ("INT", &["NULL", "5", "2147483647", "-2147483648", "0", "-7", "1", "100"]),
    ("BIGINT", &["NULL", "5", "9223372036854775807", "-9223372036854775808", "0", "-7", "1", "86400"]),
    ("FLOAT", &["NULL", "1.5", "NaN", "-0.0", "Infinity", "-2.25", "0.1", "3.4028235e38", "-Infinity"]),
    (
        "DOUBLE",
        &["NULL", "1.5", "NaN", "-0.0", "Infinity", "-2.25", "0.1", "1.7976931348623157e308", "5e-324", "100.0", "0.5", "1e10", "-1.0"],
    ),
    ("DECIMAL(10, 2)", &["NULL", "12.34", "-0.05", "99999999.99", "0.00", "-1.50", "2.50"]),
    ("DECIMAL(38, 18)", &["NULL", "1.000000000000000001", "99999999999999999999.999999999999999999", "-3.500000000000000000", "0E-18"]),
    ("DECIMAL(38, 0)", &["NULL", "7", "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0"]),
    (
        "STRING",
        &[
            "NULL",
            "\"Spark SQL\"",
            "\"\"",
            "\"ñandú 日本🎉\"",
            "\"  a b \"",
            "\"12\"",
            "\"-3.5e2\"",
            "\"2024-02-29\"",
            "\"2013-07-22 19:35:10.5\"",
            "\"true\"",
            "\"a,b,,c\"",
            "\"100%_x\\\\y\"",
        ],
    ),
    ("BINARY", &["NULL", "X''", "X'00FF'", "X'537061726B'", "X'C328'"]),
    ("DATE", &["NULL", "2024-02-29", "1970-01-01", "1969-12-31", "1582-10-04", "0001-01-01", "9999-12-31", "+10000-01-01", "2013-07-22"]),
    (
        "TIMESTAMP",
        &[
            "NULL",
            "2013-07-22 19:35:10.5",
            "1969-12-31 23:59:59.999999",
            "2024-02-29 00:00:00",
            "1582-10-04 12:00:00",
            "0001-01-01 00:00:00",
            "9999-12-31 23:59:59.999999",
            "1970-01-01 00:00:00",
            "+10000-01-01 00:00:00",
        ],
    ),
    ("TIMESTAMP_NTZ", &["NULL", "2013-07-22 19:35:10.5", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"]),
];

/// Names of several types.
const GROUPS: [(&str, &[&str]); 5] = [
    ("integral", &["TINYINT", "SMALLINT", "INT", "BIGINT"]),
    ("fractional", &["FLOAT", "DOUBLE"]),
    ("decimal", &["DECIMAL(10, 2)", "DECIMAL(38, 18)", "DECIMAL(38, 0)"]),
    ("numeric", &["TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(10, 2)", "DECIMAL(38, 18)", "DECIMAL(38, 0)"]),
    (
        "any",
        &[
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INT",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL(10, 2)",
            "DECIMAL(38, 18)",
            "STRING",
            "BINARY",
            "DATE",
            "TIMESTAMP",
            "TIMESTAMP_NTZ",
        ],
    ),
];

/// The types that `name` stands for: itself, or those of the group.
pub(super) fn types(name: &str) -> Vec<&str> {
    GROUPS.iter().find(|(group, _)| *group == name).map_or_else(|| vec![name], |(_, members)| members.to_vec())
}

/// The values of a type; `None` for a type that is none.
pub(super) fn of(type_name: &str) -> Option<&'static [&'static str]> {
    TYPES.iter().find(|(name, _)| *name == type_name).map(|(_, values)| *values)
}

/// How many values of each argument are combined with each other, by the number of arguments.
pub(super) fn most(arguments: usize) -> usize {
    match arguments {
        0 | 1 => usize::MAX,
        2 => 5,
        _ => 3,
    }
}

/// The value as a literal of Spark SQL.
pub(super) fn literal(value: &str, type_name: &str) -> String {
    if value == "NULL" {
        format!("CAST(NULL AS {type_name})")
    } else if type_name == "BINARY" {
        value.to_owned()
    } else if let Some(text) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // The golden files' escapes are Spark's, but for the quote that ends the literal here.
        format!("'{}'", text.replace("\\\"", "\"").replace('\'', "\\'"))
    } else {
        format!("CAST('{value}' AS {type_name})")
    }
}
