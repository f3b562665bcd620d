//! Which of Millstream's types holds every value of a MySQL column.

use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::table::timestamp_type;

/// What `information_schema.columns` says of a column.
pub(super) struct Described {
    /// `data_type`: `int`, `varchar`.
    pub data_type: String,
    /// `column_type`: `int(10) unsigned`.
    pub column_type: String,
    /// `numeric_precision` and `numeric_scale`.
    pub precision: Option<u64>,
    pub scale: Option<u64>,
}

/// A name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The type that holds every value of the column; `None`: only its text can be read.
pub(super) fn arrow_type(column: &Described) -> Option<DataType> {
    let unsigned = column.column_type.contains("unsigned");
    Some(match (column.data_type.as_str(), unsigned) {
        ("tinyint", false) => DataType::Int8,
        ("tinyint", true) | ("smallint", false) => DataType::Int16,
        ("smallint", true) | ("mediumint", _) | ("int", false) | ("year", _) => DataType::Int32,
        ("int", true) | ("bigint", false) => DataType::Int64,
        ("bigint", true) => DataType::Decimal128(20, 0),
        ("float", _) => DataType::Float32,
        ("double", _) => DataType::Float64,
        ("decimal", _) => {
            let (precision, scale) = (u8::try_from(column.precision?).ok()?, i8::try_from(column.scale?).ok()?);
            if precision > 38 {
                return None;
            }
            DataType::Decimal128(precision, scale)
        }
        ("bit", _) => match column.precision? {
            1 => DataType::Boolean,
            2..=63 => DataType::Int64,
            _ => DataType::Decimal128(20, 0),
        },
        ("date", _) => DataType::Date32,
        ("datetime", _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        ("timestamp", _) => timestamp_type(),
        // TIME reaches from -838:59:59 to 838:59:59, which no type of Spark SQL holds.
        ("char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "json" | "time", _) => DataType::Utf8,
        ("binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob", _) => DataType::Binary,
        _ => return None,
    })
}
