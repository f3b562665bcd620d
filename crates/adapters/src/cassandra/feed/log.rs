//! Reading a change log: the committed changes of a shard after a place, and the blocks of one commit.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, UInt8Array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use millstream_core::ports::{FeedPage, FeedPosition};
use millstream_core::{ChangeBatch, Error, Result};
use scylla::response::{PagingState, PagingStateResponse};
use scylla::statement::prepared::PreparedStatement;

use super::super::client::{self, Client, Use};
use super::super::decode::RowDecoder;
use super::super::table::Table;
use super::FeedTable;
use super::block;
use super::head::{self, Decided};
use super::position::Place;

/// The sequence of a marker, which says that its commit was decided. It comes before the changes, whose sequences begin with 1, and after
/// blocks with lower ones, which are applied with the commit and shown to nobody: deletes of rows that weren't there.
pub(super) const MARKER: i64 = 0;
/// Blocks of a page: about a megabyte at most.
const PAGE_BLOCKS: i32 = 64;

/// A row of the log.
type Entry = (i64, String, i64, i64, Option<Vec<u8>>);

/// The statement that writes an entry of the log.
pub(super) fn insert(feed: &FeedTable) -> String {
    format!(
        "INSERT INTO {} (bucket, shard, commit, writer, attempt, sequence, epoch, changes) VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?",
        feed.log
    )
}

/// All blocks of a commit in `shard`: those that readers see, and those that they don't.
pub(super) async fn blocks_of(client: &Client, table: &Table, feed: &FeedTable, shard: i32, of: &Decided) -> Result<Vec<(i64, Vec<u8>)>> {
    let operation = format!("reading the change log of table {}", table.spec.name);
    let cql =
        format!("SELECT sequence, changes FROM {} WHERE bucket = ? AND shard = ? AND commit = ? AND writer = ? AND attempt = ?", feed.log);
    let statement = client.prepare(Use::QuorumRead, &cql).await?;
    let values = (feed.bucket(of.commit), shard, of.commit, of.flow.as_str(), of.attempt);
    let rows = client::typed::<(i64, Option<Vec<u8>>)>(&operation, client.read(&operation, &statement, values).await?)?;
    Ok(rows.into_iter().filter_map(|(sequence, bytes)| Some((sequence, bytes?))).collect())
}

fn check_shard(table: &Table, feed: &FeedTable, shard: i32) -> Result<usize> {
    usize::try_from(shard).ok().filter(|s| *s < feed.shards as usize).ok_or_else(|| {
        Error::out_of_range(format!("the change feed of table {} has the ranges 0 to {}, not {shard}", table.spec.name, feed.shards - 1))
    })
}

/// Whether some range has changes behind its place in `seen`.
pub(super) async fn has_more(client: &Client, table: &Table, feed: &FeedTable, seen: &[FeedPosition]) -> Result<bool> {
    let head = head::read(client, table, Use::QuorumRead).await?;
    for (shard, position) in (0..).zip(seen) {
        let index = check_shard(table, feed, shard)?;
        let place = Place::parse(position, feed, shard, &table.spec.name)?;
        if place.map_or(0, |p| p.sequence) < head.total(index) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Up to `limit` committed changes of `shard` after `after`.
pub(super) async fn read(
    client: &Client,
    table: &Table,
    feed: &FeedTable,
    shard: i32,
    after: &FeedPosition,
    limit: usize,
) -> Result<FeedPage> {
    let name = &table.spec.name;
    let index = check_shard(table, feed, shard)?;
    let start = Place::parse(after, feed, shard, name)?;
    let head = head::read(client, table, Use::QuorumRead).await?;
    let total = head.total(index);
    let published = head.published.unwrap_or(i64::MIN);
    if let Some(place) = &start
        && (place.commit > published || place.sequence > total)
    {
        return Err(Error::out_of_range(format!(
            "position {} is beyond the end of range {shard} of the change feed of table {name}, which ends at {total}",
            after.0
        )));
    }
    let mut reading = Reading::new(table, shard, start.clone(), limit)?;
    let behind = start.as_ref().map_or(0, |p| p.sequence) < total;
    let mut complete = !behind;
    if behind && limit > 0 {
        let oldest = feed.bucket(client.clock.now().micros().saturating_sub(i64::from(feed.ttl_s) * 1_000_000));
        let first = start.as_ref().map_or(head.first, |p| Some(p.commit)).unwrap_or(published);
        complete = true;
        for bucket in feed.bucket(first).max(oldest)..=feed.bucket(published) {
            if !reading.bucket(client, feed, bucket, published).await? {
                complete = false;
                break;
            }
        }
    }
    let reached = reading.place.as_ref().map_or(0, |p| p.sequence);
    if complete && start.is_some() && reached < total {
        return Err(expired(name, shard, &after.0));
    }
    // What has expired before anybody read it doesn't wait.
    let pending = if complete { 0 } else { u64::try_from(total - reached).unwrap_or(0) };
    let next = reading.place.as_ref().map_or_else(FeedPosition::default, |p| p.position(feed, shard));
    Ok(FeedPage { changes: reading.finish()?, next, pending })
}

fn expired(table: &str, shard: i32, position: &str) -> Error {
    Error::out_of_range(format!(
        "changes after position {position} in range {shard} of the change feed of table {table} have expired before they were read: \
         rebuild what reads it from the table, and raise cassandra.feed_ttl_s"
    ))
}

/// A page that is being read.
struct Reading<'a> {
    table: &'a Table,
    shard: i32,
    limit: usize,
    /// The last change that was read.
    place: Option<Place>,
    /// The commit whose marker was seen last, or in the middle of which reading began.
    committed: Option<(i64, String, i64)>,
    /// Whether a gap in the sequences would be a loss: not before the first change that is left.
    is_dense: bool,
    rows: RowDecoder,
    kinds: Vec<u8>,
    versions: Vec<i64>,
    sequences: Vec<i64>,
}

impl<'a> Reading<'a> {
    fn new(table: &'a Table, shard: i32, start: Option<Place>, limit: usize) -> Result<Self> {
        // Of a delete all but the key is null, whatever the columns say.
        let fields: Vec<Field> = table.spec.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        Ok(Self {
            table,
            shard,
            limit,
            committed: start.as_ref().map(|p| (p.commit, p.writer.clone(), p.attempt)),
            is_dense: start.is_some(),
            place: start,
            rows: RowDecoder::new(table.columns.iter().cloned(), &schema, false)?,
            kinds: Vec::new(),
            versions: Vec::new(),
            sequences: Vec::new(),
        })
    }

    /// Reads on in `bucket`; `false` once the page is full.
    async fn bucket(&mut self, client: &Client, feed: &FeedTable, bucket: i64, published: i64) -> Result<bool> {
        let shard = self.shard;
        let operation = format!("reading the change log of table {}", self.table.spec.name);
        let select = format!("SELECT commit, writer, attempt, sequence, changes FROM {} WHERE bucket = ? AND shard = ?", feed.log);
        let prepare = async |cql: String| -> Result<PreparedStatement> {
            let mut statement = client.prepare(Use::QuorumRead, &cql).await?;
            statement.set_page_size(PAGE_BLOCKS);
            Ok(statement)
        };
        let mut state = PagingState::start();
        let place = self.place.clone().filter(|p| feed.bucket(p.commit) == bucket);
        loop {
            let (answer, response) = match &place {
                Some(p) => {
                    let cql = format!("{select} AND (commit, writer, attempt, sequence) > (?, ?, ?, ?) AND (commit) <= (?)");
                    let values = (bucket, shard, p.commit, p.writer.as_str(), p.attempt, p.sequence, published);
                    client.page(&operation, &prepare(cql).await?, values, state).await?
                }
                None => {
                    let statement = prepare(format!("{select} AND commit <= ?")).await?;
                    client.page(&operation, &statement, (bucket, shard, published), state).await?
                }
            };
            for entry in client::typed::<Entry>(&operation, answer)? {
                if !self.entry(entry)? {
                    return Ok(false);
                }
            }
            match response {
                PagingStateResponse::HasMorePages { state: more } => state = more,
                PagingStateResponse::NoMorePages => return Ok(true),
            }
        }
    }

    /// Takes an entry of the log; `false` once the page is full.
    fn entry(&mut self, (commit, writer, attempt, last, changes): Entry) -> Result<bool> {
        let of = (commit, writer, attempt);
        if last == MARKER {
            self.committed = Some(of);
            return Ok(true);
        }
        if last < MARKER {
            return Ok(true);
        }
        if self.committed.as_ref() != Some(&of) {
            // Of an attempt that ended before its commit was decided.
            return Ok(true);
        }
        let bytes = changes.unwrap_or_default();
        let changes = block::parse(&bytes, self.table.columns.len())?;
        let first = last - i64::try_from(changes.len()).unwrap_or(0) + 1;
        for (change, sequence) in changes.iter().zip(first..) {
            let before = self.place.as_ref().map_or(0, |p| p.sequence);
            if sequence <= before {
                continue;
            }
            if self.is_dense && sequence != before + 1 {
                return Err(expired(&self.table.spec.name, self.shard, &before.to_string()));
            }
            if self.sequences.len() >= self.limit {
                return Ok(false);
            }
            self.is_dense = true;
            self.rows.push(&change.values, 0)?;
            self.kinds.push(change.kind.code());
            self.versions.push(change.version);
            self.sequences.push(sequence);
            self.place = Some(Place { commit: of.0, writer: of.1.clone(), attempt: of.2, sequence });
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<ChangeBatch> {
        let count = self.sequences.len();
        ChangeBatch::try_new(
            self.rows.finish()?,
            UInt8Array::from(self.kinds),
            Int64Array::from(self.versions),
            Int32Array::from_value(self.shard, count),
            Int64Array::from(self.sequences),
        )
    }
}
