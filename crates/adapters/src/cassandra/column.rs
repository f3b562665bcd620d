//! How the columns of a table are held in CQL: which types fit which (pure).
//!
//! | Spark | created as | read from, in tables of other services |
//! |---|---|---|
//! | BOOLEAN | boolean | |
//! | TINYINT, SMALLINT, INT, BIGINT | tinyint, smallint, int, bigint | narrower integers, varint where the value fits; counter for BIGINT |
//! | FLOAT, DOUBLE | float, double | float for DOUBLE |
//! | DECIMAL(p, s) | decimal | varint, any scale that loses nothing |
//! | STRING | text | ascii, uuid, timeuuid |
//! | BINARY | blob | |
//! | DATE | date | |
//! | TIMESTAMP, TIMESTAMP_NTZ | bigint of microseconds, or timestamp | timestamp, bigint of microseconds |
//! | ARRAY, MAP, STRUCT | text of JSON | |

use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::table::has_text_keys;
use millstream_core::{Error, Result};

use super::settings::TimestampColumns;

/// A CQL type that a column can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CqlType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Counter,
    Varint,
    Float,
    Double,
    Decimal,
    Text,
    Ascii,
    Uuid,
    TimeUuid,
    Blob,
    Date,
    Timestamp,
}

/// Every type, as the system tables spell it.
const NAMES: [(CqlType, &str); 17] = [
    (CqlType::Boolean, "boolean"),
    (CqlType::TinyInt, "tinyint"),
    (CqlType::SmallInt, "smallint"),
    (CqlType::Int, "int"),
    (CqlType::BigInt, "bigint"),
    (CqlType::Counter, "counter"),
    (CqlType::Varint, "varint"),
    (CqlType::Float, "float"),
    (CqlType::Double, "double"),
    (CqlType::Decimal, "decimal"),
    (CqlType::Text, "text"),
    (CqlType::Ascii, "ascii"),
    (CqlType::Uuid, "uuid"),
    (CqlType::TimeUuid, "timeuuid"),
    (CqlType::Blob, "blob"),
    (CqlType::Date, "date"),
    (CqlType::Timestamp, "timestamp"),
];

impl CqlType {
    /// The type that the system tables call `name`.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(t, _)| *t)
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(t, _)| *t == self).map_or("text", |(_, n)| n)
    }
}

/// A column: its Arrow type, and how it is held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub name: String,
    pub data_type: DataType,
    pub cql: CqlType,
}

impl Column {
    /// How a new table holds a column of `data_type`.
    pub fn created(name: &str, data_type: &DataType, timestamps: TimestampColumns) -> Result<Self> {
        let cql = match data_type {
            DataType::Boolean => CqlType::Boolean,
            DataType::Int8 => CqlType::TinyInt,
            DataType::Int16 => CqlType::SmallInt,
            DataType::Int32 => CqlType::Int,
            DataType::Int64 => CqlType::BigInt,
            DataType::Float32 => CqlType::Float,
            DataType::Float64 => CqlType::Double,
            DataType::Decimal128(_, scale) if *scale >= 0 => CqlType::Decimal,
            DataType::Utf8 => CqlType::Text,
            DataType::Binary => CqlType::Blob,
            DataType::Date32 => CqlType::Date,
            DataType::Timestamp(TimeUnit::Microsecond, _) => match timestamps {
                TimestampColumns::Bigint => CqlType::BigInt,
                TimestampColumns::Timestamp => CqlType::Timestamp,
            },
            nested if is_nested(nested) => CqlType::Text,
            other => return Err(Error::unsupported(format!("column {name}: Cassandra tables of Millstream hold no {other}"))),
        };
        Ok(Self { name: name.to_owned(), data_type: data_type.clone(), cql })
    }

    /// A column that exists as `cql`, read as `data_type`; `None` where the one isn't the other.
    pub fn existing(name: &str, data_type: &DataType, cql: &str) -> Option<Self> {
        use CqlType as C;
        let cql = C::named(cql)?;
        let fits = match data_type {
            DataType::Boolean => cql == C::Boolean,
            DataType::Int8 => matches!(cql, C::TinyInt | C::Varint),
            DataType::Int16 => matches!(cql, C::TinyInt | C::SmallInt | C::Varint),
            DataType::Int32 => matches!(cql, C::TinyInt | C::SmallInt | C::Int | C::Varint),
            DataType::Int64 => matches!(cql, C::TinyInt | C::SmallInt | C::Int | C::BigInt | C::Counter | C::Varint),
            DataType::Float32 => cql == C::Float,
            DataType::Float64 => matches!(cql, C::Double | C::Float),
            DataType::Decimal128(..) => matches!(cql, C::Decimal | C::Varint),
            DataType::Utf8 => matches!(cql, C::Text | C::Ascii | C::Uuid | C::TimeUuid),
            DataType::Binary => cql == C::Blob,
            DataType::Date32 => cql == C::Date,
            DataType::Timestamp(TimeUnit::Microsecond, _) => matches!(cql, C::BigInt | C::Timestamp),
            nested if is_nested(nested) => cql == C::Text,
            _ => false,
        };
        fits.then(|| Self { name: name.to_owned(), data_type: data_type.clone(), cql })
    }

    /// Whether Millstream can write it too: the CQL type holds every value of the column's, or refuses it.
    pub fn is_writable(&self) -> bool {
        !matches!(self.cql, CqlType::Counter | CqlType::Varint)
            && match self.data_type {
                DataType::Int16 => self.cql == CqlType::SmallInt,
                DataType::Int32 => self.cql == CqlType::Int,
                DataType::Int64 => self.cql == CqlType::BigInt,
                DataType::Float64 => self.cql == CqlType::Double,
                _ => true,
            }
    }
}

/// Types that are held as JSON, whose objects have strings as keys.
pub(super) fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Map(..) | DataType::Struct(_)) && has_text_keys(data_type)
}

#[cfg(test)]
mod tests;
