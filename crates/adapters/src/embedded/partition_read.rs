//! Reading one partition: from a query to a range of keys (pure), and the read of a page in it.
//!
//! A page token is a format byte, a checksum of the query and the last row's key, in hexadecimal digits.

use fjall::{Readable, UserKey};
use millstream_core::ports::{Bound, Page, PageToken, PartitionQuery};
use millstream_core::{Error, Result, Timestamp, Value};

use super::database::Store;
use super::error::During;
use super::key_codec::{KeyColumn, after_prefix};
use super::keyed_table::KeyedTable;
use super::merge::Expiry;
use super::row_codec::{RowDecoder, Stored};

const TOKEN_FORMAT: u8 = 1;
/// Rows of a page whose query has no limit.
const PAGE_ROWS: usize = 1_000;
/// No page has more rows, whatever the query's limit.
pub(super) const PAGE_ROWS_MAX: usize = 65_536;
/// Nor much more bytes than this: it ends early, with a token.
const PAGE_BYTES: usize = 32 << 20;

/// A query as keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The first key of the range, and the first one after it.
    start: Vec<u8>,
    end: Vec<u8>,
    reverse: bool,
    limit: usize,
    fingerprint: u32,
    /// Whether `start` is the one key that the query names, whole.
    is_point: bool,
}

impl Plan {
    /// The plan for `query`. Values that don't fit the key's columns, and a token of another query, are
    /// [`InvalidInput`](millstream_core::ErrorKind::InvalidInput).
    pub fn new(table: &KeyedTable, query: &PartitionQuery) -> Result<Self> {
        let keys = &table.keys;
        let mut head = Vec::with_capacity(64);
        keys.put_partition(&query.partition, &mut head)?;
        keys.put_values(keys.clustering(), &query.prefix, &mut head)?;
        let rest = &keys.clustering()[query.prefix.len()..];
        let name = &table.spec.name;
        let end_of = |prefix: &[u8]| after_prefix(prefix).unwrap_or_else(|| vec![0xFF; prefix.len() + 1]);
        let (mut start, mut end) = (head.clone(), end_of(&head));
        for (bound, is_lower) in [(&query.lower, true), (&query.upper, false)] {
            let (values, included) = match bound {
                Bound::Unbounded => continue,
                Bound::Included(values) => (values, true),
                Bound::Excluded(values) => (values, false),
            };
            let descending = direction(name, rest, values)?;
            let mut key = head.clone();
            keys.put_values(rest, values, &mut key)?;
            // By value a lower bound is where an ascending column begins, and where a descending one ends.
            let key = if (is_lower != descending) == included { key } else { end_of(&key) };
            if is_lower == descending {
                end = end.min(key);
            } else {
                start = start.max(key);
            }
        }
        let limit = if query.limit == 0 { PAGE_ROWS } else { query.limit.min(PAGE_ROWS_MAX) };
        let fingerprint = fingerprint(&start, &end, query.reverse);
        let is_point = rest.is_empty() && query.page.is_none();
        let mut plan = Self { start, end, reverse: query.reverse, limit, fingerprint, is_point };
        if let Some(token) = &query.page {
            let last = plan.parse_token(token, name)?;
            if plan.reverse {
                plan.end = last;
            } else {
                // The next key in memcmp order is the same key with a zero after it.
                plan.start = [last.as_slice(), &[0]].concat();
            }
        }
        Ok(plan)
    }

    fn token(&self, last: &[u8]) -> PageToken {
        let bytes = [&[TOKEN_FORMAT], self.fingerprint.to_be_bytes().as_slice(), last].concat();
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            for digit in [byte >> 4, byte & 0xF] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        PageToken(text)
    }

    fn parse_token(&self, token: &PageToken, table: &str) -> Result<Vec<u8>> {
        let bad = || Error::invalid(format!("{:?} is no page token of this query on table {table}; read from the first page", token.0));
        let Ok(Value::Bytes(bytes)) = Value::parse(&token.0, &arrow::datatypes::DataType::Binary) else { return Err(bad()) };
        let (head, last) = bytes.split_at_checked(5).ok_or_else(bad)?;
        let fits = head[0] == TOKEN_FORMAT
            && head[1..] == self.fingerprint.to_be_bytes()
            && last >= self.start.as_slice()
            && last < self.end.as_slice();
        if fits { Ok(last.to_vec()) } else { Err(bad()) }
    }
}

/// The direction that the bounded columns share.
fn direction(table: &str, columns: &[KeyColumn], values: &[Value]) -> Result<bool> {
    let Some(first) = columns.first() else {
        return Err(Error::invalid(format!("table {table}: a range where the prefix already names all clustering columns")));
    };
    if values.is_empty() {
        return Err(Error::invalid(format!("table {table}: a bound without a value for clustering column {}", first.name)));
    }
    match columns.iter().take(values.len()).find(|c| c.descending != first.descending) {
        Some(other) => Err(Error::unsupported(format!(
            "table {table}: a range over clustering columns {} and {} together, which run in opposite directions; bound {} alone",
            first.name, other.name, first.name
        ))),
        None => Ok(first.descending),
    }
}

fn fingerprint(start: &[u8], end: &[u8], reverse: bool) -> u32 {
    let sum = crc32c::crc32c(start);
    let sum = crc32c::crc32c_append(sum, &[0, u8::from(reverse)]);
    crc32c::crc32c_append(sum, end)
}

/// The page that `plan` describes, as of now. Blocks.
pub(super) fn read(store: &Store, table: &KeyedTable, plan: &Plan, now: Timestamp) -> Result<Page> {
    let expiry = table.expiry(now);
    let mut rows = RowDecoder::new(&table.rows, None, true, plan.limit.min(1024))?;
    let snapshot = store.snapshot();
    if plan.is_point {
        if let Some(value) = snapshot.get(&store.rows, &plan.start).during("reading a row")?
            && is_visible(&value, expiry)?
        {
            rows.push(&value)?;
        }
        return Ok(Page { rows: rows.finish()?, next: None });
    }
    let mut last: Option<UserKey> = None;
    let mut next = None;
    if plan.start < plan.end {
        let mut range = snapshot.range(&store.rows, plan.start.as_slice()..plan.end.as_slice());
        while let Some(entry) = if plan.reverse { range.next_back() } else { range.next() } {
            let (key, value) = entry.into_inner().during("reading a partition")?;
            if !is_visible(&value, expiry)? {
                continue;
            }
            if rows.rows() >= plan.limit || rows.bytes() >= PAGE_BYTES {
                next = last.as_ref().map(|key| plan.token(key));
                break;
            }
            rows.push(&value)?;
            last = Some(key);
        }
    }
    Ok(Page { rows: rows.finish()?, next })
}

fn is_visible(value: &[u8], expiry: Expiry) -> Result<bool> {
    Ok(matches!(Stored::parse(value)?, Stored::Row { version, .. } if !expiry.is_expired(version)))
}

#[cfg(test)]
mod tests;
