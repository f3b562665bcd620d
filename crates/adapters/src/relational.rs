//! [`ReferenceTable`]: a reference table that lies in a relational database: what is read of it, and how its columns become those that
//! the pipeline declared. Pure; what a database calls its types is each adapter's own.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use millstream_core::{Error, Result};

/// What is read of a table in a relational database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTable {
    /// The table or view, as the database writes its name: `airports`, `geo.airports`.
    pub dbtable: String,
    /// Only rows for which this condition holds, in the database's SQL. It is the database that applies it.
    pub filter: Option<String>,
    /// The columns that are read, with their types; `None`: all, with the types that hold every value of theirs.
    pub columns: Option<SchemaRef>,
}

/// A column of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its name.
    pub name: String,
    /// Its type in the database's words.
    pub sql_type: String,
    /// The type that holds each of its values; `None`: only its text can be read.
    pub data_type: Option<DataType>,
}

/// The columns to read: for each of the answer's fields the index of its column among `found`.
pub(crate) fn choose(table: &ReferenceTable, found: &[Found]) -> Result<(SchemaRef, Vec<usize>)> {
    let name = &table.dbtable;
    let Some(declared) = &table.columns else {
        let fields = found
            .iter()
            .map(|column| match &column.data_type {
                Some(data_type) => Ok(Field::new(&column.name, data_type.clone(), true)),
                None => Err(Error::unsupported(format!(
                    "column {} of table {name} is a {}, which has no counterpart in Spark SQL: declare the table's columns, without it or with it as STRING",
                    column.name, column.sql_type
                ))),
            })
            .collect::<Result<Vec<_>>>()?;
        return Ok((std::sync::Arc::new(Schema::new(fields)), (0..found.len()).collect()));
    };
    let indices = declared
        .fields()
        .iter()
        .map(|field| {
            let index = find(name, found, field.name())?;
            let column = &found[index];
            if reads_as(column.data_type.as_ref(), field.data_type()) {
                return Ok(index);
            }
            Err(Error::invalid(format!(
                "column {} of table {name} is a {}, which can't be read as the declared {}",
                column.name,
                column.sql_type,
                field.data_type()
            )))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((declared.clone(), indices))
}

/// The index of the column called `name`: exactly so, else apart from upper and lower case.
fn find(table: &str, found: &[Found], name: &str) -> Result<usize> {
    if let Some(index) = found.iter().position(|c| c.name == name) {
        return Ok(index);
    }
    let lower = name.to_lowercase();
    let mut alike = found.iter().enumerate().filter(|(_, c)| c.name.to_lowercase() == lower);
    match (alike.next(), alike.next()) {
        (Some((index, _)), None) => Ok(index),
        (None, _) => Err(Error::invalid(format!("table {table} has no column {name}; it has {}", names(found)))),
        _ => Err(Error::invalid(format!("table {table} has several columns called {name} apart from upper and lower case"))),
    }
}

fn names(found: &[Found]) -> String {
    found.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether a column of `found` can be read as `declared`. Where single values may not fit (a BIGINT read as INT), each is checked.
fn reads_as(found: Option<&DataType>, declared: &DataType) -> bool {
    let is_integer = |t: &DataType| matches!(t, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64);
    if *declared == DataType::Utf8 {
        return true;
    }
    let Some(found) = found else { return false };
    match (found, declared) {
        (a, b) if a == b => true,
        (a, b) if is_integer(a) && is_integer(b) => true,
        (a, DataType::Decimal128(_, scale)) if is_integer(a) => *scale >= 0,
        (DataType::Decimal128(_, _), DataType::Decimal128(_, scale)) => *scale >= 0,
        (DataType::Float32, DataType::Float64) => true,
        // Without a time zone it is taken as UTC, as everywhere in Millstream.
        (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
