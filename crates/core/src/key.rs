//! The key of a table: which columns place a row (partition key), which order it within its partition (clustering key).
//!
//! The words are Cassandra's: a *single* key is one partition column, a *compound* key has clustering columns too, a
//! *composite* partition key has several columns. A report's primary key and a redis table's key are partition columns alone.

use arrow::datatypes::{DataType, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The direction in which a clustering column orders the rows of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortOrder {
    /// Smallest first.
    #[default]
    Asc,
    /// Greatest first.
    Desc,
}

/// A clustering column and its direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusteringColumn {
    /// The column's name.
    pub name: String,
    /// Its direction.
    pub order: SortOrder,
}

/// A table's primary key: partition columns, then clustering columns. Never empty once validated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// The columns that place a row, in order.
    pub partition: Vec<String>,
    /// The columns that order rows within a partition, in order.
    pub clustering: Vec<ClusteringColumn>,
}

impl KeySpec {
    /// A key of partition columns alone.
    pub fn single(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { partition: columns.into_iter().map(Into::into).collect(), clustering: Vec::new() }
    }

    /// All key columns: partition, then clustering.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.partition.iter().map(String::as_str).chain(self.clustering.iter().map(|c| c.name.as_str()))
    }

    /// Whether `column` is part of the key.
    #[must_use]
    pub fn contains(&self, column: &str) -> bool {
        self.columns().any(|c| c == column)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partition.is_empty()
    }

    /// The indices of all key columns in `schema`, in key order. [`InvalidInput`](crate::ErrorKind::InvalidInput) names a column that is absent.
    pub fn indices(&self, schema: &SchemaRef) -> Result<Vec<usize>> {
        self.columns().map(|c| index_of(schema, c)).collect()
    }

    /// The indices of the partition columns in `schema`, in key order.
    pub fn partition_indices(&self, schema: &SchemaRef) -> Result<Vec<usize>> {
        self.partition.iter().map(|c| index_of(schema, c)).collect()
    }
}

fn index_of(schema: &SchemaRef, column: &str) -> Result<usize> {
    schema.index_of(column).map_err(|_| Error::invalid(format!("key column {column} is not a column of the table")))
}

/// Whether values of `data_type` can be a key: they have a total order and exact equality, and fit [`crate::Value`].
#[must_use]
pub fn can_be_key(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Utf8
            | DataType::Binary
            | DataType::Date32
            | DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _)
    )
}
