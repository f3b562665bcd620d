//! Values of statements' parameters that are encoded already, and values of small answers.

use std::error::Error as StdError;

use bytes::BytesMut;
use millstream_core::{Error, Result};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, IsNull, ToSql, Type, to_sql_checked};

/// A parameter in PostgreSQL's binary format.
#[derive(Debug)]
pub(super) struct Encoded(pub BytesMut);

impl ToSql for Encoded {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The value at `index` of an answer.
pub(super) fn value<T: FromSqlOwned>(row: &Row, index: usize) -> Result<T> {
    row.try_get(index).map_err(|e| Error::internal("PostgreSQL answered in another shape than it was asked").caused_by(e))
}

/// A number that the database keeps as bigint.
pub(super) fn unsigned(row: &Row, index: usize) -> Result<u64> {
    u64::try_from(value::<i64>(row, index)?).map_err(|e| Error::corrupt("a number of Millstream's tables is negative").caused_by(e))
}

/// The same on its way there.
pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|e| Error::invalid("a number is too large for PostgreSQL's bigint").caused_by(e))
}
