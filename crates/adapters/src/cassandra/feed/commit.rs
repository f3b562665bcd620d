//! The commit of an epoch into a table with a feed: decided, applied, published; and finishing what somebody else decided.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use millstream_core::admission::Admission;
use millstream_core::ports::EpochWrite;
use millstream_core::{ChangeKind, Error, Result, Timestamp, Version};

use super::super::client::{Client, Use};
use super::super::encode::Scratch;
use super::super::progress::bigint;
use super::super::rows::{RawRow, Rows};
use super::super::table::Table;
use super::super::write;
use super::block::BlockWriter;
use super::head::{self, Decided, Head};
use super::kinds::{self, Outcome};
use super::{DELETES_TTL_S, FeedTable, Feeds, Turn, log, prior};

/// How often a commit begins again when those of other processes come between.
const TRIES: usize = 32;

/// A change that readers will see.
struct Net {
    row: usize,
    kind: ChangeKind,
    /// The row after it, where it isn't the one that was written.
    merged: Option<Vec<Option<Vec<u8>>>>,
}

/// A block on its way into the log.
struct Block {
    shard: usize,
    /// The sequence of its last change; of a block that readers don't see a number below the marker's.
    last: i64,
    bytes: Vec<u8>,
}

fn feed_of(table: &Table) -> Result<&FeedTable> {
    table.feed.as_ref().ok_or_else(|| Error::internal(format!("table {} has no change log", table.spec.name)))
}

/// Commits `write`, whose rows are `rows`. Returns how many rows stand differently.
pub(in super::super) async fn commit(client: &Client, feeds: &Feeds, table: &Table, write: &EpochWrite, rows: &Rows) -> Result<u64> {
    let feed = feed_of(table)?;
    let mut turn = feeds.turn(table).await;
    let mut used = Use::QuorumRead;
    for _ in 0..TRIES {
        let (progress, head) = head::read_for(client, table, &write.flow, used).await?;
        // What comes again does so because something came between, whose writer may not know it yet.
        used = Use::SerialRead;
        if head.unfinished().is_some() {
            finish(client, table, &turn).await?;
            continue;
        }
        if progress.admit(write)? == Admission::Done {
            return Ok(0);
        }
        let now = client.clock.now();
        let winners = rows.winners();
        let priors = prior::read(client, table, feed, rows, &winners, head.has_deletes, now).await?;
        let (net, remembered) = outcomes(table, rows, &winners, &priors, now);
        if net.is_empty() && remembered.is_empty() {
            if head::pass(client, table, write, &head).await? {
                return Ok(0);
            }
            continue;
        }
        let decided = decide_as(&mut turn, &head, feed, write, rows, &net, now);
        let mut blocks = blocks(table, feed, rows, &net, &head);
        blocks.extend(hidden_blocks(table, feed, rows, &remembered));
        write_blocks(client, table, feed, &decided, blocks).await?;
        let has_deletes = !remembered.is_empty() || net.iter().any(|n| n.kind == ChangeKind::Delete);
        if !head::decide(client, table, write, &head, &decided, has_deletes).await? {
            continue;
        }
        apply(client, table, feed, rows, &net, &remembered, now).await?;
        publish(client, table, feed, head.published, &decided, &turn).await?;
        return Ok(net.len() as u64);
    }
    Err(Error::unavailable(format!(
        "epoch {} of flow {} into table {}: other processes committed {TRIES} times in between",
        write.epoch, write.flow, write.table
    )))
}

/// What the rows `winners` do to what was there: the changes that are seen, and deletes of rows that aren't there.
fn outcomes(table: &Table, rows: &Rows, winners: &[usize], priors: &[kinds::Prior], now: Timestamp) -> (Vec<Net>, Vec<usize>) {
    let (mut net, mut remembered) = (Vec::with_capacity(winners.len()), Vec::new());
    // One for each column: a value of a fixed size lives in it while the row is compared.
    for (row, prior) in winners.iter().copied().zip(priors) {
        let version = rows.changes.version(row);
        let outcome = if rows.changes.kind(row) == ChangeKind::Delete {
            kinds::delete(prior, version.0)
        } else if table.is_expired(version, now) {
            Outcome::Nothing
        } else {
            let mut scratches = vec![Scratch::default(); rows.cells.len()];
            let values: Vec<Option<&[u8]>> = if matches!(prior, kinds::Prior::Present(p, _) if *p == version.0) {
                rows.cells.iter().zip(&mut scratches).map(|(cells, scratch)| cells.value(row, scratch)).collect()
            } else {
                Vec::new()
            };
            kinds::put(prior, version.0, &table.key, |i| values.get(i).copied().flatten())
        };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Remember => remembered.push(row),
            Outcome::Change(kind) => net.push(Net { row, kind, merged: None }),
            Outcome::Merge(values) => net.push(Net { row, kind: ChangeKind::Update, merged: Some(values) }),
        }
    }
    (net, remembered)
}

/// The commit that `net` becomes: its number is greater than any before, and near the time.
fn decide_as(turn: &mut Turn, head: &Head, feed: &FeedTable, write: &EpochWrite, rows: &Rows, net: &[Net], now: Timestamp) -> Decided {
    let before = head.decided.as_ref().map_or(0, |d| d.commit);
    let last = turn.last.as_deref().copied().unwrap_or(0);
    let commit = now.micros().max(before + 1).max(last + 1);
    if let Some(last) = &mut turn.last {
        **last = commit;
    }
    let mut totals: Vec<i64> = (0..feed.shards as usize).map(|shard| head.total(shard)).collect();
    for change in net {
        totals[feed.shard(rows.partition(change.row))] += 1;
    }
    let (attempt, epoch) = (bigint(write.attempt.0), bigint(write.epoch.0));
    Decided { commit, flow: write.flow.as_str().to_owned(), attempt, epoch, totals }
}

/// The changes as blocks, each shard's numbered on from where the head says that it ends.
fn blocks(table: &Table, feed: &FeedTable, rows: &Rows, net: &[Net], head: &Head) -> Vec<Block> {
    let mut open: Vec<Option<BlockWriter>> = (0..feed.shards).map(|_| None).collect();
    let mut sequences: Vec<i64> = (0..open.len()).map(|shard| head.total(shard)).collect();
    let mut blocks = Vec::new();
    let mut scratch = Scratch::default();
    for change in net {
        let shard = feed.shard(rows.partition(change.row));
        let block = open[shard].get_or_insert_with(BlockWriter::new);
        block.begin(change.kind, rows.changes.version(change.row).0);
        for (i, cells) in rows.cells.iter().enumerate() {
            block.value(match &change.merged {
                Some(values) => values.get(i).and_then(Option::as_deref),
                None if change.kind == ChangeKind::Delete && !table.key.contains(&i) => None,
                None => cells.value(change.row, &mut scratch),
            });
        }
        sequences[shard] += 1;
        if block.is_full()
            && let Some(full) = open[shard].take()
        {
            blocks.push(Block { shard, last: sequences[shard], bytes: full.finish() });
        }
    }
    for (shard, block) in open.into_iter().enumerate() {
        blocks.extend(block.map(|b| Block { shard, last: sequences[shard], bytes: b.finish() }));
    }
    blocks
}

/// Deletes of rows that weren't there, as blocks that readers don't see. They are decided with the commit like every change: a write of a
/// lower version that another flow decided at the same moment would else be shown by the feed, and be hidden in the table.
fn hidden_blocks(table: &Table, feed: &FeedTable, rows: &Rows, remembered: &[usize]) -> Vec<Block> {
    let mut open: Vec<Vec<BlockWriter>> = (0..feed.shards).map(|_| Vec::new()).collect();
    let mut scratch = Scratch::default();
    for row in remembered {
        let of_shard = &mut open[feed.shard(rows.partition(*row))];
        if of_shard.last().is_none_or(BlockWriter::is_full) {
            of_shard.push(BlockWriter::new());
        }
        let Some(block) = of_shard.last_mut() else { continue };
        block.begin(ChangeKind::Delete, rows.changes.version(*row).0);
        for (i, cells) in rows.cells.iter().enumerate() {
            block.value(if table.key.contains(&i) { cells.value(*row, &mut scratch) } else { None });
        }
    }
    let of_shard = |(shard, blocks): (usize, Vec<BlockWriter>)| {
        let below = (1..).map(|i: i64| log::MARKER - i);
        blocks.into_iter().zip(below).map(move |(block, last)| Block { shard, last, bytes: block.finish() })
    };
    open.into_iter().enumerate().flat_map(of_shard).collect()
}

async fn write_blocks(client: &Client, table: &Table, feed: &FeedTable, decided: &Decided, blocks: Vec<Block>) -> Result<()> {
    let operation = format!("writing to the change log of table {}", table.spec.name);
    let statement = client.prepare(Use::QuorumWrite, &log::insert(feed)).await?;
    let (operation, statement) = (&operation, &statement);
    let write = |block: Block| async move {
        let shard = i32::try_from(block.shard).unwrap_or(i32::MAX);
        let values = (
            feed.bucket(decided.commit),
            shard,
            decided.commit,
            decided.flow.as_str(),
            decided.attempt,
            block.last,
            decided.epoch,
            Some(block.bytes),
            feed.ttl_s,
        );
        client.write(operation, statement, values).await
    };
    futures::stream::iter(blocks.into_iter().map(write)).buffer_unordered(client.settings.writes_in_flight).try_collect().await
}

/// Writes the rows of a commit that is decided, and the versions of those that are deletes.
async fn apply(
    client: &Client,
    table: &Table,
    feed: &FeedTable,
    rows: &Rows,
    net: &[Net],
    remembered: &[usize],
    now: Timestamp,
) -> Result<()> {
    let which: Vec<usize> = net.iter().map(|n| n.row).chain(remembered.iter().copied()).collect();
    // What was read says that no earlier version is there. With a TTL it may only have expired, and Cassandra may not have noticed yet.
    let inserted = net.iter().filter(|n| n.kind == ChangeKind::Insert && table.spec.ttl.is_none());
    let new: HashSet<usize> = inserted.map(|n| n.row).collect();
    write::send(client, table, rows, &which, &|row| table.is_insert_only || new.contains(&row), now).await?;
    let deletes = which.iter().copied().filter(|row| rows.changes.kind(*row) == ChangeKind::Delete).map(|row| {
        let mut scratch = Scratch::default();
        let key: Vec<_> = table.key.iter().map(|i| rows.cells[*i].value(row, &mut scratch).map(<[u8]>::to_vec)).collect();
        remember(client, table, feed, key, rows.changes.version(row).0)
    });
    futures::stream::iter(deletes).buffer_unordered(client.settings.writes_in_flight).try_collect().await
}

/// Notes that the row of `key` was deleted with `version`.
async fn remember(client: &Client, table: &Table, feed: &FeedTable, mut key: Vec<Option<Vec<u8>>>, version: i64) -> Result<()> {
    let names: Vec<_> = table.key_columns().map(|c| super::quoted(&c.name)).collect();
    let cql = format!(
        "INSERT INTO {} ({}, \"_deleted\") VALUES ({}, ?) USING TIMESTAMP ? AND TTL {DELETES_TTL_S}",
        feed.deletes,
        names.join(", "),
        vec!["?"; names.len()].join(", ")
    );
    let statement = client.prepare(Use::QuorumWrite, &cql).await?;
    key.extend([Some(version.to_be_bytes().to_vec()), Some(version.to_be_bytes().to_vec())]);
    client.write(&format!("remembering a delete in table {}", table.spec.name), &statement, RawRow(&key)).await
}

/// Marks the commit in each shard that it has changes in, publishes it, and wakes who waits in this process.
async fn publish(client: &Client, table: &Table, feed: &FeedTable, published: Option<i64>, decided: &Decided, turn: &Turn) -> Result<()> {
    let operation = format!("marking a commit in the change log of table {}", table.spec.name);
    let statement = client.prepare(Use::QuorumWrite, &log::insert(feed)).await?;
    let (operation, statement) = (&operation, &statement);
    let marks = (0..i32::try_from(feed.shards).unwrap_or(i32::MAX)).map(|shard| async move {
        let values = (
            feed.bucket(decided.commit),
            shard,
            decided.commit,
            decided.flow.as_str(),
            decided.attempt,
            log::MARKER,
            decided.epoch,
            None::<Vec<u8>>,
            feed.ttl_s,
        );
        client.write(operation, statement, values).await
    });
    futures::stream::iter(marks).buffer_unordered(client.settings.writes_in_flight).try_collect::<()>().await?;
    head::publish(client, table, published, decided).await?;
    turn.feed.published.send_replace(decided.commit);
    Ok(())
}

/// Does what is left of a commit that is decided: applies it from the log, and publishes it. Any number of processes may do it, any
/// number of times.
pub(in super::super) async fn finish(client: &Client, table: &Table, turn: &Turn) -> Result<()> {
    let feed = feed_of(table)?;
    let head = head::read(client, table, Use::SerialRead).await?;
    let Some(decided) = head.unfinished() else { return Ok(()) };
    tracing::info!(
        table = table.spec.name,
        flow = decided.flow,
        epoch = decided.epoch,
        "finishing an epoch that was decided and not applied"
    );
    let now = client.clock.now();
    for shard in 0..i32::try_from(feed.shards).unwrap_or(i32::MAX) {
        let index = usize::try_from(shard).unwrap_or(usize::MAX);
        let mut missing = decided.totals.get(index).copied().unwrap_or(0) - head.total(index);
        for (sequence, bytes) in log::blocks_of(client, table, feed, shard, decided).await? {
            let changes = super::block::parse(&bytes, table.columns.len())?;
            if sequence > log::MARKER {
                missing -= i64::try_from(changes.len()).unwrap_or(i64::MAX);
            }
            let mut writes = Vec::with_capacity(changes.len());
            for change in &changes {
                writes.push(apply_logged(client, table, feed, change, now));
            }
            futures::stream::iter(writes).buffer_unordered(client.settings.writes_in_flight).try_collect::<()>().await?;
        }
        if missing != 0 {
            return Err(lost(table, decided, shard, missing));
        }
    }
    publish(client, table, feed, head.published, decided, turn).await
}

fn lost(table: &Table, decided: &Decided, shard: i32, missing: i64) -> Error {
    Error::corrupt(format!(
        "epoch {} of flow {} into table {} was decided and not applied, and {missing} of its changes in range {shard} are no longer in the \
         change log (cassandra.feed_ttl_s): nothing was published; drop the table with its log, and start its flows afresh",
        decided.epoch, decided.flow, table.spec.name
    ))
}

async fn apply_logged(
    client: &Client,
    table: &Table,
    feed: &FeedTable,
    change: &super::block::BlockChange<'_>,
    now: Timestamp,
) -> Result<()> {
    let operation = format!("writing to table {}", table.spec.name);
    let owned = |value: &Option<&[u8]>| value.map(<[u8]>::to_vec);
    let version = Some(change.version.to_be_bytes().to_vec());
    if change.kind == ChangeKind::Delete {
        let key: Vec<_> = table.key.iter().map(|i| owned(&change.values[*i])).collect();
        let statement = client.prepare(table.writes(), &table.delete()).await?;
        let values: Vec<_> = std::iter::once(version).chain(key.iter().cloned()).collect();
        client.write(&operation, &statement, RawRow(&values)).await?;
        return remember(client, table, feed, key, change.version).await;
    }
    let mut values: Vec<_> = change.values.iter().map(owned).collect();
    values.push(version);
    if table.spec.ttl.is_some() {
        let Some(left) = table.ttl_left(Version(change.version), now) else { return Ok(()) };
        values.push(Some(left.to_be_bytes().to_vec()));
    }
    let statement = client.prepare(table.writes(), &table.insert()).await?;
    client.write(&operation, &statement, RawRow(&values)).await
}
