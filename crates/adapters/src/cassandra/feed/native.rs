//! The change feed that Cosmos DB keeps itself, in place of a log beside the table.
//!
//! `SELECT * FROM t WHERE COSMOS_CHANGEFEED_START_TIME() = '...'` gives the rows that were written since then, the latest version of each;
//! the paging state of each page is where the next one begins. The feed never ends, and when the service limits the rate a page is empty
//! without an error: that nothing comes is not yet that nothing is there. So a page is asked for several times before its reader is said to
//! have caught up, and the driver never pages by itself.
//!
//! The feed is one range: order holds for a partition key, and a range is all that is documented. A position is
//! `2.<table's id>.<changes before it>.<paging state>`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int32Array, Int64Array, UInt8Array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use millstream_core::ports::{FeedPage, FeedPosition};
use millstream_core::retry::Backoff;
use millstream_core::{ChangeBatch, ChangeKind, Error, Result, Value};
use scylla::response::PagingStateResponse;
use scylla::response::query_result::QueryRowsResult;

use super::super::client::{self, Client};
use super::super::column::Column;
use super::super::decode::RowDecoder;
use super::super::table::{HIDDEN, Table, VersionSource};

const FORMAT: &str = "2";
/// Before all changes: the service is younger.
const BEGINNING: &str = "1970-01-01T00:00:00.000Z";
/// So many empty pages in a row are taken for the end.
const EMPTY_PAGES: u32 = 3;
/// How long to wait after an empty page: a rate limit is over within a second.
const PAUSE: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(1) };
/// How often a reader that waits looks at what came: each look costs request units.
pub(super) const POLLING: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };
/// No page has more rows, whatever the limit.
const PAGE_ROWS_MAX: usize = 10_000;

/// A place in the feed of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Changes that were read before it.
    sequence: i64,
    /// The service's continuation; `None` at the beginning.
    state: Option<Vec<u8>>,
}

impl Place {
    /// The place that `position` names in the feed of `table`.
    pub fn parse(position: &FeedPosition, table: &Table) -> Result<Self> {
        if position.0.is_empty() {
            return Ok(Self { sequence: 0, state: None });
        }
        let foreign = || {
            Error::out_of_range(format!(
                "{:?} is no position in the change feed of table {}: it is of another table, or of one that was dropped since; start the \
                 flow afresh",
                position.0, table.spec.name
            ))
        };
        let parts: Vec<&str> = position.0.splitn(4, '.').collect();
        let [FORMAT, id, sequence, state] = parts[..] else { return Err(foreign()) };
        let (Ok(sequence), Ok(Value::Bytes(state))) = (sequence.parse(), Value::parse(state, &arrow::datatypes::DataType::Binary)) else {
            return Err(foreign());
        };
        if id != table.id {
            return Err(foreign());
        }
        Ok(Self { sequence, state: Some(state) })
    }

    pub fn position(&self, table: &Table) -> FeedPosition {
        match &self.state {
            None => FeedPosition::default(),
            Some(state) => FeedPosition(format!("{FORMAT}.{}.{}.{}", table.id, self.sequence, Value::Bytes(state.clone()))),
        }
    }
}

/// Rows of one page, and the continuation behind it.
struct Fetched {
    rows: QueryRowsResult,
    state: Option<Vec<u8>>,
}

fn check_range(table: &Table, range: i32) -> Result<()> {
    if range == 0 {
        return Ok(());
    }
    Err(Error::out_of_range(format!("the change feed of table {} has the range 0 alone in Cosmos DB, not {range}", table.spec.name)))
}

/// Whether there are changes behind each range's place in `seen`.
pub(super) async fn has_more(client: &Client, table: &Table, seen: &[FeedPosition]) -> Result<bool> {
    for (range, position) in (0..).zip(seen) {
        check_range(table, range)?;
        let place = Place::parse(position, table)?;
        if fetch(client, table, place.state.as_deref(), 1).await?.rows.rows_num() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Up to `limit` changes after `after`.
pub(super) async fn read(client: &Client, table: &Table, range: i32, after: &FeedPosition, limit: usize) -> Result<FeedPage> {
    check_range(table, range)?;
    let start = Place::parse(after, table)?;
    let reader = Reader::new(table);
    if limit == 0 {
        return Ok(FeedPage { changes: ChangeBatch::empty(reader.schema), next: after.clone(), pending: 1 });
    }
    let mut state = start.state.clone();
    for empty in 1..=EMPTY_PAGES {
        let fetched = fetch(client, table, state.as_deref(), limit.min(PAGE_ROWS_MAX)).await?;
        let count = i64::try_from(fetched.rows.rows_num()).unwrap_or(0);
        if count == 0 {
            state = fetched.state.or(state);
            if empty < EMPTY_PAGES {
                client.clock.sleep(PAUSE.delay(empty)).await;
            }
            continue;
        }
        let Some(state) = fetched.state else {
            return Err(Error::unavailable(format!(
                "reading the change feed of table {}: Cosmos DB answered {count} changes and not where the next ones begin",
                table.spec.name
            )));
        };
        let changes = reader.decode(client, &fetched.rows, start.sequence)?;
        let next = Place { sequence: start.sequence + count, state: Some(state) };
        // How many wait, the service doesn't say; an empty page will tell that none do.
        return Ok(FeedPage { changes, next: next.position(table), pending: 1 });
    }
    // A reader that has nothing keeps its place: what the continuations of empty pages are behind, they are all behind.
    Ok(FeedPage { changes: ChangeBatch::empty(reader.schema), next: after.clone(), pending: 0 })
}

async fn fetch(client: &Client, table: &Table, state: Option<&[u8]>, rows: usize) -> Result<Fetched> {
    let operation = format!("reading the change feed of table {}", table.spec.name);
    let cql = format!("SELECT * FROM {} WHERE COSMOS_CHANGEFEED_START_TIME() = '{BEGINNING}'", table.name);
    let (answer, next) = client.feed_page(&operation, &cql, i32::try_from(rows).unwrap_or(i32::MAX), state).await?;
    let state = match next {
        PagingStateResponse::HasMorePages { state } => state.as_bytes_slice().map(|bytes| bytes.to_vec()),
        PagingStateResponse::NoMorePages => None,
    };
    Ok(Fetched { rows: client::rows(&operation, answer)?, state })
}

/// From rows of the feed to changes.
struct Reader<'a> {
    table: &'a Table,
    schema: SchemaRef,
}

impl<'a> Reader<'a> {
    fn new(table: &'a Table) -> Self {
        let fields: Vec<Field> = table.spec.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        Self { table, schema: Arc::new(Schema::new(fields)) }
    }

    /// The changes, of which `before` were read before. The feed doesn't say what was there before a row was written: it is an insert where
    /// rows never change, and an update else. A row of another service's table has no version in it; it has the time at which it is read.
    fn decode(&self, client: &Client, rows: &QueryRowsResult, before: i64) -> Result<ChangeBatch> {
        let operation = format!("reading the change feed of table {}", self.table.spec.name);
        let place = |name: &str| rows.column_specs().get_by_name(name).map(|(index, _)| index);
        let absent = |name: &str| Error::corrupt(format!("{operation}: its rows have no column {name}, which the table had"));
        let columns = self.table.columns.iter().map(|c: &Column| place(&c.name).ok_or_else(|| absent(&c.name)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let version = if self.table.version == VersionSource::Stored { Some(place(HIDDEN).ok_or_else(|| absent(HIDDEN))?) } else { None };
        let now = client.clock.now().micros();
        let mut decoder = RowDecoder::new(self.table.columns.iter().cloned(), &self.schema, false)?;
        let mut versions = Vec::with_capacity(rows.rows_num());
        client::cells(&operation, rows, |cells| {
            let values: Vec<Option<&[u8]>> = columns.iter().map(|i| cells.get(*i).copied().flatten()).collect();
            versions.push(version.map_or(now, |i| Table::version_of(&[cells.get(i).copied().flatten()]).0));
            decoder.push(&values, 0)
        })?;
        let count = versions.len();
        let kind = if self.table.is_insert_only { ChangeKind::Insert } else { ChangeKind::Update };
        let sequences = (before + 1..).take(count);
        ChangeBatch::try_new(
            decoder.finish()?,
            UInt8Array::from_value(kind.code(), count),
            Int64Array::from(versions),
            Int32Array::from_value(0, count),
            Int64Array::from_iter_values(sequences),
        )
    }
}

#[cfg(test)]
mod tests;
