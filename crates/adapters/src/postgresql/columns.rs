//! Which PostgreSQL type holds a column's values, and the names of things in SQL text.

use arrow::datatypes::{DataType, TimeUnit};
use millstream_core::table::has_text_keys;
use millstream_core::{Error, Result};
use tokio_postgres::types::Type;

/// A name as an identifier: `"carrier"`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names as identifiers, each after `prefix`, separated by commas.
pub(super) fn list<'a>(prefix: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("{prefix}{}", quoted(name))).collect::<Vec<_>>().join(", ")
}

/// The type of a report's column, as `format_type` of PostgreSQL's catalog writes it.
pub(super) fn sql_type(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(precision, scale) if *scale >= 0 => return Ok(format!("numeric({precision},{scale})")),
        DataType::Utf8 => "text",
        DataType::Binary => "bytea",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp with time zone",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp without time zone",
        nested @ (DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _)) if has_text_keys(nested) => "jsonb",
        other => return Err(Error::unsupported(format!("PostgreSQL has no type for values of type {other}"))),
    }
    .to_owned())
}

/// The type and its array's type on the wire.
pub(super) fn wire_types(data_type: &DataType) -> Result<(Type, Type)> {
    Ok(match data_type {
        DataType::Boolean => (Type::BOOL, Type::BOOL_ARRAY),
        DataType::Int8 | DataType::Int16 => (Type::INT2, Type::INT2_ARRAY),
        DataType::Int32 => (Type::INT4, Type::INT4_ARRAY),
        DataType::Int64 => (Type::INT8, Type::INT8_ARRAY),
        DataType::Float32 => (Type::FLOAT4, Type::FLOAT4_ARRAY),
        DataType::Float64 => (Type::FLOAT8, Type::FLOAT8_ARRAY),
        DataType::Decimal128(_, _) => (Type::NUMERIC, Type::NUMERIC_ARRAY),
        DataType::Utf8 => (Type::TEXT, Type::TEXT_ARRAY),
        DataType::Binary => (Type::BYTEA, Type::BYTEA_ARRAY),
        DataType::Date32 => (Type::DATE, Type::DATE_ARRAY),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => (Type::TIMESTAMPTZ, Type::TIMESTAMPTZ_ARRAY),
        DataType::Timestamp(TimeUnit::Microsecond, None) => (Type::TIMESTAMP, Type::TIMESTAMP_ARRAY),
        DataType::List(_) | DataType::Struct(_) | DataType::Map(_, _) => (Type::JSONB, Type::JSONB_ARRAY),
        other => return Err(Error::unsupported(format!("PostgreSQL has no type for values of type {other}"))),
    })
}

/// `numeric(p, s)`; without a modifier DECIMAL(38, 18), as Spark reads it. A modifier is `((p << 16) | (s & 0x7ff)) + 4`
/// (PostgreSQL's numeric.c).
pub(super) fn numeric(modifier: i32) -> Option<DataType> {
    if modifier < 4 {
        return Some(DataType::Decimal128(38, 18));
    }
    let (precision, scale) = ((modifier - 4) >> 16, ((modifier - 4) & 0x7FF) ^ 0x400);
    let (precision, scale) = (u8::try_from(precision).ok()?, scale - 0x400);
    let scale = i8::try_from(scale).ok()?;
    let fits = precision <= 38 && scale >= 0 && i16::from(scale) <= i16::from(precision);
    fits.then_some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests;
