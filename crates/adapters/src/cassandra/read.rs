//! Reading one partition: from a query to a statement (pure), and the read of a page.
//!
//! A page token is a format byte, a fingerprint of the query, a checksum, and Cassandra's own paging state, in hexadecimal digits.

use millstream_core::ports::{Bound, Page, PageToken, PartitionQuery};
use millstream_core::{Error, Result, SortOrder, Timestamp, Value};
use scylla::response::{PagingState, PagingStateResponse};

use super::client::{self, Client, Use};
use super::column::Column;
use super::decode::RowDecoder;
use super::encode::key_value;
use super::names::quoted;
use super::rows::RawRow;
use super::table::Table;

const TOKEN_FORMAT: u8 = 1;
/// Rows of a page whose query has no limit.
const PAGE_ROWS: usize = 1_000;
/// No page has more rows, whatever the query's limit.
const PAGE_ROWS_MAX: usize = 65_536;

/// A query as a statement and its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub cql: String,
    pub values: Vec<Option<Vec<u8>>>,
    limit: usize,
    state: Option<Vec<u8>>,
}

impl Plan {
    /// The plan for `query`. Values that don't fit the key's columns, and a token of another query, are
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn new(table: &Table, query: &PartitionQuery) -> Result<Self> {
        let clustering: Vec<&Column> = table.clustering_columns().collect();
        if query.prefix.len() > clustering.len() {
            return Err(Error::invalid(format!(
                "table {}: {} values for its clustering key, which has {} columns",
                table.spec.name,
                query.prefix.len(),
                clustering.len()
            )));
        }
        let mut values = table.partition_values(&query.partition)?;
        let mut conditions = vec![table.equals(table.partition_columns())];
        let (prefix, rest) = clustering.split_at(query.prefix.len());
        for (value, column) in query.prefix.iter().zip(prefix) {
            conditions.push(format!("{} = ?", quoted(&column.name)));
            values.push(key_value(value, column)?);
        }
        let several = [&query.lower, &query.upper].iter().any(|b| bound_values(b).is_some_and(|v| v.len() > 1));
        for (bound, included, excluded) in [(&query.lower, ">=", ">"), (&query.upper, "<=", "<")] {
            let operator = if matches!(bound, Bound::Included(_)) { included } else { excluded };
            if let Some(bounds) = bound_values(bound) {
                check_bound(table, rest, bounds)?;
                let names: Vec<_> = rest.iter().take(bounds.len()).map(|c| quoted(&c.name)).collect();
                conditions.push(if several {
                    format!("({}) {operator} ({})", names.join(", "), vec!["?"; names.len()].join(", "))
                } else {
                    format!("{} {operator} ?", names.join(""))
                });
                for (value, column) in bounds.iter().zip(rest) {
                    values.push(key_value(value, column)?);
                }
            }
        }
        let mut cql = format!("{} WHERE {}", table.select(&table.columns, true), conditions.join(" AND "));
        if query.reverse && !clustering.is_empty() {
            let against = |o| if o == SortOrder::Desc { "ASC" } else { "DESC" };
            let order: Vec<_> = table.spec.key.clustering.iter().map(|c| format!("{} {}", quoted(&c.name), against(c.order))).collect();
            cql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        let limit = if query.limit == 0 { PAGE_ROWS } else { query.limit.min(PAGE_ROWS_MAX) };
        let mut plan = Self { cql, values, limit, state: None };
        if let Some(token) = &query.page {
            plan.state = Some(plan.parse_token(token, &table.spec.name)?);
        }
        Ok(plan)
    }

    /// What the query is, whatever its page.
    fn fingerprint(&self) -> u64 {
        let mut hash = fnv(FNV_START, self.cql.as_bytes());
        for value in &self.values {
            let bytes = value.as_deref().unwrap_or_default();
            hash = fnv(fnv(hash, &(bytes.len() as u64).to_be_bytes()), bytes);
        }
        hash
    }

    fn token(&self, state: &[u8]) -> PageToken {
        let fingerprint = self.fingerprint();
        let bytes = [&[TOKEN_FORMAT], fingerprint.to_be_bytes().as_slice(), &fnv(fingerprint, state).to_be_bytes(), state].concat();
        PageToken(Value::Bytes(bytes).to_string())
    }

    fn parse_token(&self, token: &PageToken, table: &str) -> Result<Vec<u8>> {
        let bad = || Error::invalid(format!("{:?} is no page token of this query on table {table}; read from the first page", token.0));
        let Ok(Value::Bytes(bytes)) = Value::parse(&token.0, &arrow::datatypes::DataType::Binary) else { return Err(bad()) };
        let (head, state) = bytes.split_at_checked(17).ok_or_else(bad)?;
        let fingerprint = self.fingerprint();
        let fits = head[0] == TOKEN_FORMAT && head[1..9] == fingerprint.to_be_bytes() && head[9..] == fnv(fingerprint, state).to_be_bytes();
        if fits { Ok(state.to_vec()) } else { Err(bad()) }
    }
}

fn bound_values(bound: &Bound) -> Option<&[Value]> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(values) | Bound::Excluded(values) => Some(values),
    }
}

fn check_bound(table: &Table, rest: &[&Column], bounds: &[Value]) -> Result<()> {
    if bounds.is_empty() || bounds.len() > rest.len() {
        return Err(Error::invalid(format!(
            "table {}: a bound of {} values where {} clustering columns are left",
            table.spec.name,
            bounds.len(),
            rest.len()
        )));
    }
    Ok(())
}

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: the same on every machine and in every version, which Rust's own hashes don't promise.
pub(super) fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The page that `plan` describes, as of now.
pub(super) async fn page(client: &Client, table: &Table, plan: &Plan, now: Timestamp) -> Result<Page> {
    let operation = format!("reading a partition of table {}", table.spec.name);
    let mut statement = client.prepare(Use::Read, &plan.cql).await?;
    let mut decoder = RowDecoder::new(table.columns.iter().cloned(), &table.spec.schema, true)?;
    let mut state = plan.state.as_deref().map_or_else(PagingState::start, PagingState::new_from_raw_bytes);
    let next = loop {
        // What has expired, and Cassandra has not taken away yet, makes room for more.
        let missing = plan.limit - decoder.rows();
        statement.set_page_size(i32::try_from(missing).unwrap_or(i32::MAX));
        let (answer, response) = client.page(&operation, &statement, RawRow(&plan.values), state).await?;
        decode_page(&operation, table, answer, now, &mut decoder)?;
        match response {
            PagingStateResponse::NoMorePages => break None,
            PagingStateResponse::HasMorePages { state: more } if decoder.rows() >= plan.limit => {
                break more.as_bytes_slice().map(|bytes| plan.token(bytes));
            }
            PagingStateResponse::HasMorePages { state: more } => state = more,
        }
    };
    Ok(Page { rows: decoder.finish()?, next })
}

/// Adds the rows of `answer`, which has all of the table's columns and then the version, that haven't expired.
fn decode_page(
    operation: &str,
    table: &Table,
    answer: scylla::response::query_result::QueryResult,
    now: Timestamp,
    decoder: &mut RowDecoder,
) -> Result<()> {
    let rows = client::rows(operation, answer)?;
    client::cells(operation, &rows, |cells| {
        let (values, versions) = cells.split_at(table.columns.len());
        let version = Table::version_of(versions);
        if table.is_expired(version, now) { Ok(()) } else { decoder.push(values, version.0) }
    })
}

#[cfg(test)]
mod tests;
