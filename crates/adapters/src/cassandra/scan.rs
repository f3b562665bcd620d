//! [`CassandraSnapshot`]: the tables that are known at one moment, and scans of them.
//!
//! A table is read in ranges of tokens, several at a time, each at most two pages ahead of the reader. Rows are read committed one by one:
//! Cassandra has no snapshot. A partition's rows leave the scan together all the same: a range holds back the partition that a page ends
//! in until it is complete, and where it is longer than a page, the other ranges wait.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use millstream_core::batches::BatchStream;
use millstream_core::ports::{Scan, StoreSnapshot};
use millstream_core::table::project_schema;
use millstream_core::{Epoch, Error, FlowId, Result};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;

use super::client::{self, Client, Use};
use super::column::Column;
use super::decode::RowDecoder;
use super::names::quoted;
use super::progress;
use super::rows::RawRow;
use super::table::Table;

/// Rows of a page of a scan.
const PAGE_ROWS: i32 = 4_096;
/// A table is read in at least so many ranges, for each reader to have several: they end at different times.
const RANGES_MIN: u64 = 32;

/// The tables of the event store as they are known at one moment. Rows are those of the moment in which a scan reaches them.
pub struct CassandraSnapshot {
    client: Arc<Client>,
    tables: HashMap<String, Arc<Table>>,
}

impl CassandraSnapshot {
    pub(super) fn new(client: Arc<Client>, tables: HashMap<String, Arc<Table>>) -> Self {
        Self { client, tables }
    }

    fn table(&self, name: &str) -> Result<&Arc<Table>> {
        self.tables.get(name).ok_or_else(|| super::event_store::unknown(name))
    }
}

#[async_trait]
impl StoreSnapshot for CassandraSnapshot {
    fn is_consistent(&self) -> bool {
        false
    }

    async fn epochs(&self, table: &str) -> Result<BTreeMap<FlowId, Epoch>> {
        progress::all(&self.client, self.table(table)?).await
    }

    async fn scan(&self, table: &str, scan: &Scan) -> Result<BatchStream> {
        let query = Arc::new(Query::new(self.table(table)?.clone(), scan)?);
        let ranges = match &scan.partition {
            Some(values) => VecDeque::from([query.table.partition_values(values)?]),
            None => split(RANGES_MIN).map(|(after, to)| [after, to].map(|t| Some(t.to_be_bytes().to_vec())).to_vec()).collect(),
        };
        let statement = self.client.prepare(Use::Read, &query.cql(scan.partition.is_some())).await?;
        Ok(Scanning::new(self.client.clone(), query, statement, ranges).stream())
    }
}

/// The whole ring in `ranges` parts: (after, up to and with).
fn split(ranges: u64) -> impl Iterator<Item = (i64, i64)> {
    let width = u64::MAX / ranges;
    let end = move |i: u64| if i == ranges { i64::MAX } else { (i64::MIN.cast_unsigned().wrapping_add(width * i)).cast_signed() };
    (0..ranges).map(move |i| (end(i), end(i + 1)))
}

/// What a scan asks of each range.
struct Query {
    table: Arc<Table>,
    columns: Vec<Column>,
    schema: SchemaRef,
    with_version: bool,
    /// Whether the version is read: it is asked for, or expiry depends on it.
    reads_version: bool,
}

impl Query {
    fn new(table: Arc<Table>, scan: &Scan) -> Result<Self> {
        let all = table.columns.len();
        if let Some(bad) = scan.columns.iter().flatten().find(|i| **i >= all) {
            return Err(Error::invalid(format!("table {} has {all} columns, none of index {bad}", table.spec.name)));
        }
        let columns = match &scan.columns {
            None => table.columns.clone(),
            Some(indices) => indices.iter().map(|i| table.columns[*i].clone()).collect(),
        };
        let schema = project_schema(&table.spec.schema, scan.columns.as_deref())?;
        let reads_version = scan.with_version || table.spec.ttl.is_some();
        Ok(Self { table, columns, schema, with_version: scan.with_version, reads_version })
    }

    /// The statement of a range, or of one partition: the columns, the partition key, and what the version is made of.
    fn cql(&self, of_one_partition: bool) -> String {
        let table = &self.table;
        let condition = if of_one_partition {
            table.equals(table.partition_columns())
        } else {
            let key: Vec<_> = table.partition_columns().map(|c| quoted(&c.name)).collect();
            format!("token({0}) > ? AND token({0}) <= ?", key.join(", "))
        };
        format!("{} WHERE {condition}", table.select(self.columns.iter().chain(table.partition_columns()), self.reads_version))
    }
}

/// Rows of a range, as they leave the scan.
struct Piece {
    rows: RecordBatch,
    /// Whether the last partition goes on in the range's next piece.
    is_open: bool,
}

/// A range that is being read.
struct Range {
    client: Arc<Client>,
    query: Arc<Query>,
    statement: PreparedStatement,
    values: Vec<Option<Vec<u8>>>,
    /// Where its next page begins; `None` after the last.
    next: Option<PagingState>,
    /// The rows read so far of the partition that the last page ended in, and that partition.
    held: Option<(RecordBatch, Vec<u8>)>,
}

/// A page: its rows, and the partitions that it begins and ends in.
struct Fetched {
    rows: RecordBatch,
    first: Vec<u8>,
    last: Vec<u8>,
    /// Where the last partition's rows begin.
    last_from: usize,
}

impl Range {
    /// The next piece, and the range after it.
    async fn next(mut self) -> (Self, Result<Option<Piece>>) {
        let piece = self.read().await;
        (self, piece)
    }

    async fn read(&mut self) -> Result<Option<Piece>> {
        loop {
            let Some(state) = self.next.take() else {
                return Ok(self.held.take().map(|(rows, _)| Piece { rows, is_open: false }));
            };
            let Some(page) = self.fetch(state).await? else { continue };
            let continues = self.held.as_ref().is_some_and(|(_, partition)| *partition == page.first);
            let tail = (page.rows.slice(page.last_from, page.rows.num_rows() - page.last_from), page.last);
            let held = self.held.replace(tail).map(|(rows, _)| rows);
            if page.last_from == 0 {
                // The page is of one partition: what was held goes, and the page is held instead.
                match held {
                    Some(rows) => return Ok(Some(Piece { rows, is_open: continues })),
                    None => continue,
                }
            }
            let whole = page.rows.slice(0, page.last_from);
            let rows = match held {
                Some(held) => arrow::compute::concat_batches(&whole.schema(), [&held, &whole])?,
                None => whole,
            };
            return Ok(Some(Piece { rows, is_open: false }));
        }
    }

    /// The page that begins at `state`; `None` for one without rows.
    async fn fetch(&mut self, state: PagingState) -> Result<Option<Fetched>> {
        let query = &self.query;
        let operation = format!("scanning table {}", query.table.spec.name);
        let (answer, response) = self.client.page(&operation, &self.statement, RawRow(&self.values), state).await?;
        let now = self.client.clock.now();
        let mut decoder = RowDecoder::new(query.columns.iter().cloned(), &query.schema, query.with_version)?;
        let (mut first, mut last, mut last_from) = (Vec::new(), Vec::new(), 0);
        let mut partition = Vec::new();
        let rows = client::rows(&operation, answer)?;
        client::cells(&operation, &rows, |cells| {
            let (values, rest) = cells.split_at(query.columns.len());
            let (key, versions) = rest.split_at(query.table.partition_len());
            let version = Table::version_of(versions);
            if query.reads_version && query.table.is_expired(version, now) {
                return Ok(());
            }
            partition.clear();
            for value in key.iter().map(|v| v.unwrap_or_default()) {
                partition.extend_from_slice(&(value.len() as u32).to_be_bytes());
                partition.extend_from_slice(value);
            }
            if decoder.rows() == 0 {
                first.clone_from(&partition);
                last.clone_from(&partition);
            } else if last != partition {
                last.clone_from(&partition);
                last_from = decoder.rows();
            }
            decoder.push(values, version.0)
        })?;
        self.next = match response {
            PagingStateResponse::HasMorePages { state } => Some(state),
            PagingStateResponse::NoMorePages => None,
        };
        if decoder.rows() == 0 {
            return Ok(None);
        }
        Ok(Some(Fetched { rows: decoder.finish()?, first, last, last_from }))
    }
}

/// A scan that is being read.
struct Scanning {
    waiting: VecDeque<Range>,
    running: FuturesUnordered<BoxFuture<'static, (Range, Result<Option<Piece>>)>>,
    /// The range whose partition isn't complete: no other may come between.
    open: Option<Range>,
}

impl Scanning {
    fn new(client: Arc<Client>, query: Arc<Query>, mut statement: PreparedStatement, ranges: VecDeque<Vec<Option<Vec<u8>>>>) -> Self {
        statement.set_page_size(PAGE_ROWS);
        let in_flight = client.settings.reads_in_flight;
        let range = |values| Range {
            client: client.clone(),
            query: query.clone(),
            statement: statement.clone(),
            values,
            next: Some(PagingState::start()),
            held: None,
        };
        let mut scanning = Self { waiting: ranges.into_iter().map(range).collect(), running: FuturesUnordered::new(), open: None };
        for _ in 0..in_flight {
            scanning.start_one();
        }
        scanning
    }

    fn start_one(&mut self) {
        if let Some(range) = self.waiting.pop_front() {
            self.running.push(range.next().boxed());
        }
    }

    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            let (range, piece) = match self.open.take() {
                Some(range) => range.next().await,
                None => self.running.next().await?,
            };
            match piece {
                Err(error) => {
                    self.waiting.clear();
                    self.running = FuturesUnordered::new();
                    return Some(Err(error));
                }
                Ok(None) => self.start_one(),
                Ok(Some(piece)) => {
                    if piece.is_open {
                        self.open = Some(range);
                    } else {
                        self.running.push(range.next().boxed());
                    }
                    return Some(Ok(piece.rows));
                }
            }
        }
    }

    fn stream(self) -> BatchStream {
        futures::stream::unfold(self, |mut scanning| async move { scanning.next().await.map(|batch| (batch, scanning)) }).boxed()
    }
}

#[cfg(test)]
mod tests;
