//! MySQL's values as Arrow columns. What a column's type can't hold is an error that names column, row and value; nothing is rounded.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime};
use millstream_core::{Error, Result};
use mysql_async::{Row, Value};

use super::settings::ZeroDates;

/// Rows on their way to a batch.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    zero_dates: ZeroDates,
    rows: usize,
    /// How many rows came before this batch.
    before: u64,
}

struct Column {
    field: FieldRef,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

/// Why a value is not taken.
enum Misfit {
    /// It is a date that is none.
    ZeroDate(String),
    /// It doesn't fit, in words.
    Value(String),
}

impl BatchBuilder {
    /// A builder of batches of `schema`.
    pub fn new(schema: SchemaRef, zero_dates: ZeroDates) -> Result<Self> {
        let columns = schema.fields().iter().map(Column::new).collect::<Result<_>>()?;
        Ok(Self { schema, columns, zero_dates, rows: 0, before: 0 })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row. Behind the table's columns it has those of the primary key, by which messages name it.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        let count = self.columns.len();
        for (i, column) in self.columns.iter_mut().enumerate() {
            let value = row.as_ref(i).unwrap_or(&Value::NULL);
            let result = match column.push(value) {
                Err(Misfit::ZeroDate(_)) if self.zero_dates == ZeroDates::Null => column.push(&Value::NULL),
                other => other,
            };
            let (misfit, what) = match result {
                Ok(()) => continue,
                Err(Misfit::ZeroDate(date)) => (date, " is no date: correct it, or set zero_dates = \"null\" in [mysql]"),
                Err(Misfit::Value(value)) => (value, " does not fit its type"),
            };
            let number = self.before + self.rows as u64 + 1;
            return Err(Error::invalid(format!(
                "column {} ({}), row {}: {misfit}{what}",
                column.field.name(),
                column.field.data_type(),
                named(row, count).unwrap_or_else(|| format!("number {number}"))
            )));
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows as a batch; the builder is empty again.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.before += std::mem::take(&mut self.rows) as u64;
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

/// A row's primary key in words; `None` where the table has none.
fn named(row: &Row, from: usize) -> Option<String> {
    let columns = row.columns_ref().get(from..).filter(|c| !c.is_empty())?;
    let values = columns.iter().enumerate().map(|(i, column)| {
        let value = row.as_ref(from + i).map_or_else(|| "NULL".to_owned(), |v| v.as_sql(false));
        format!("{} = {value}", column.name_str())
    });
    Some(values.collect::<Vec<_>>().join(", "))
}

impl Column {
    fn new(field: &FieldRef) -> Result<Self> {
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int8 => Values::Int8(Int8Builder::new()),
            DataType::Int16 => Values::Int16(Int16Builder::new()),
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::Decimal128(p, s) => Values::Decimal(Decimal128Builder::new().with_precision_and_scale(*p, *s)?, *p, *s),
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            DataType::Binary => Values::Binary(BinaryBuilder::new()),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Values::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            other => return Err(Error::unsupported(format!("column {}: no value of MySQL is read as {other}", field.name()))),
        };
        Ok(Self { field: field.clone(), values })
    }

    fn push(&mut self, value: &Value) -> std::result::Result<(), Misfit> {
        if *value == Value::NULL {
            if !self.field.is_nullable() {
                return Err(Misfit::Value("NULL".to_owned()));
            }
            self.push_null();
            return Ok(());
        }
        let misfit = || Misfit::Value(value.as_sql(false));
        match &mut self.values {
            Values::Bool(b) => match integer(value) {
                Some(v @ (0 | 1)) => b.append_value(v == 1),
                _ => return Err(misfit()),
            },
            Values::Int8(b) => b.append_value(integer(value).and_then(|v| v.try_into().ok()).ok_or_else(misfit)?),
            Values::Int16(b) => b.append_value(integer(value).and_then(|v| v.try_into().ok()).ok_or_else(misfit)?),
            Values::Int32(b) => b.append_value(integer(value).and_then(|v| v.try_into().ok()).ok_or_else(misfit)?),
            Values::Int64(b) => b.append_value(integer(value).and_then(|v| v.try_into().ok()).ok_or_else(misfit)?),
            Values::Float32(b) => match value {
                Value::Float(v) => b.append_value(*v),
                _ => return Err(misfit()),
            },
            Values::Float64(b) => match value {
                Value::Float(v) => b.append_value((*v).into()),
                Value::Double(v) => b.append_value(*v),
                _ => return Err(misfit()),
            },
            Values::Decimal(b, precision, scale) => b.append_value(decimal(value, *precision, *scale).ok_or_else(misfit)?),
            Values::Text(b) => b.append_value(text(value).ok_or_else(misfit)?),
            Values::Binary(b) => match value {
                Value::Bytes(v) => b.append_value(v),
                _ => return Err(misfit()),
            },
            Values::Date(b) => {
                let (date, _) = moment(value)?;
                let days = date.signed_duration_since(NaiveDate::default()).num_days();
                b.append_value(i32::try_from(days).map_err(|_| misfit())?);
            }
            Values::Timestamp(b) => {
                let (_, time) = moment(value)?;
                b.append_value(time.and_utc().timestamp_micros());
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(b) => b.append_null(),
            Values::Int8(b) => b.append_null(),
            Values::Int16(b) => b.append_null(),
            Values::Int32(b) => b.append_null(),
            Values::Int64(b) => b.append_null(),
            Values::Float32(b) => b.append_null(),
            Values::Float64(b) => b.append_null(),
            Values::Decimal(b, _, _) => b.append_null(),
            Values::Text(b) => b.append_null(),
            Values::Binary(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Timestamp(b) => b.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Bool(b) => Arc::new(b.finish()),
            Values::Int8(b) => Arc::new(b.finish()),
            Values::Int16(b) => Arc::new(b.finish()),
            Values::Int32(b) => Arc::new(b.finish()),
            Values::Int64(b) => Arc::new(b.finish()),
            Values::Float32(b) => Arc::new(b.finish()),
            Values::Float64(b) => Arc::new(b.finish()),
            Values::Decimal(b, _, _) => Arc::new(b.finish()),
            Values::Text(b) => Arc::new(b.finish()),
            Values::Binary(b) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::Timestamp(b) => Arc::new(b.finish()),
        }
    }
}

/// An integer, also one of BIT, whose bytes come in network order.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(v) => Some((*v).into()),
        Value::UInt(v) => Some((*v).into()),
        Value::Bytes(bytes) if bytes.len() <= 8 => Some(bytes.iter().fold(0, |n, b| n << 8 | i128::from(*b))),
        _ => None,
    }
}

/// An unscaled decimal from DECIMAL's text, or an integer; `None` where it doesn't fit exactly.
fn decimal(value: &Value, precision: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let is_text = |b: &[u8]| !b.is_empty() && b.iter().all(|c| c.is_ascii_digit() || matches!(c, b'-' | b'.'));
    let unscaled = match value {
        Value::Bytes(bytes) if is_text(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let kept = fraction.trim_end_matches('0');
            if kept.len() > scale {
                return None;
            }
            format!("{whole}{kept:0<scale$}").parse().ok()?
        }
        other => integer(other)?.checked_mul(10_i128.checked_pow(scale.try_into().ok()?)?)?,
    };
    (i128::unsigned_abs(unscaled) < 10_u128.checked_pow(precision.into())?).then_some(unscaled)
}

/// A value as text: that of the column, or MySQL's own way to write it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::Int(v) => Some(v.to_string()),
        Value::UInt(v) => Some(v.to_string()),
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if *negative { "-" } else { "" };
            let hours = u64::from(*days) * 24 + u64::from(*hours);
            let fraction = if *micros == 0 { String::new() } else { format!(".{micros:06}") };
            Some(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
        }
        _ => None,
    }
}

fn moment(value: &Value) -> std::result::Result<(NaiveDate, NaiveDateTime), Misfit> {
    let Value::Date(year, month, day, hour, minute, second, micros) = *value else { return Err(Misfit::Value(value.as_sql(false))) };
    let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).filter(|_| year > 0);
    let time = date.and_then(|d| d.and_hms_micro_opt(hour.into(), minute.into(), second.into(), micros));
    match (date, time) {
        (Some(date), Some(time)) => Ok((date, time)),
        _ => Err(Misfit::ZeroDate(value.as_sql(false))),
    }
}

#[cfg(test)]
mod tests;
