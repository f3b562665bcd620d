//! Tables with a key whose flows have no windows: each row is its key's newest version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use futures::StreamExt as _;
use millstream_core::{ChangeBatch, ChangeKind, Epoch, FlowId, Result, RowPosition, TableSpec, Timestamp, Version};
use millstream_pipeline::graph::Flow;

use super::aggregated::position_for;
use super::joined_data::{ExpectedRows, Otherwise, Sure};
use super::stored::Stored;
use super::{Check, digest};
use crate::engine::Engine;
use crate::flow::checkpoint::{Checkpoint, Header};
use crate::source::{Chunk, ChunkLimit, SourcePosition, SourceState};

/// What a key should hold.
pub(super) struct Expected {
    /// Of two rows of a key the one with the greater version stays.
    pub version: Version,
    /// The version of its event, which is its own unless its flow draws versions.
    pub event: Version,
    /// Of all columns; of rows that are sure [of their event](Sure::OfEvent) alone, of the columns of events.
    pub content: u64,
    pub position: RowPosition,
    pub deleted: bool,
    pub seen: bool,
    pub sure: Sure,
}

/// What all keys of a table should hold.
pub(super) type Ledger = HashMap<digest::KeyDigest, Expected>;

/// Takes `changes` into the ledger: of each key, the greatest version, and of equal versions the last. Returns how many were superseded.
pub(super) fn apply(ledger: &mut Ledger, changes: &ChangeBatch, key: &[usize]) -> Result<u64> {
    let contents = digest::contents(changes.rows(), changes.rows().num_columns())?;
    apply_contents(ledger, changes, changes.versions(), key, contents, Sure::Whole)
}

/// The same, with the versions of the events that the rows are made of, and the digest of what of each row is compared.
fn apply_contents(
    ledger: &mut Ledger,
    changes: &ChangeBatch,
    events: &Int64Array,
    key: &[usize],
    contents: Vec<u64>,
    sure: Sure,
) -> Result<u64> {
    let keys = digest::keys(changes.rows(), key)?;
    let mut superseded = 0;
    for (row, (key, content)) in keys.into_iter().zip(contents).enumerate() {
        let deleted = changes.kind(row) == ChangeKind::Delete;
        let event = Version(events.value(row));
        let new = Expected { version: changes.version(row), event, content, position: changes.position(row), deleted, seen: false, sure };
        match ledger.entry(key) {
            std::collections::hash_map::Entry::Vacant(entry) => drop(entry.insert(new)),
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                superseded += 1;
                if new.version >= entry.get().version {
                    entry.insert(new);
                }
            }
        }
    }
    Ok(superseded)
}

/// How many events `changes` were made of; one may have given several rows.
fn events_of(changes: &ChangeBatch) -> u64 {
    let positions: HashSet<RowPosition> = (0..changes.len()).map(|row| changes.position(row)).collect();
    positions.len() as u64
}

/// The versions of the events of `chunk` that `changes` were made of, whose own are drawn.
fn versions_of_events(chunk: &Chunk, changes: &ChangeBatch) -> Int64Array {
    let all = &chunk.changes;
    let versions: HashMap<RowPosition, Version> = (0..all.len()).map(|row| (all.position(row), all.version(row))).collect();
    Int64Array::from_iter_values((0..changes.len()).map(|row| versions.get(&changes.position(row)).unwrap_or(&changes.version(row)).0))
}

impl Engine {
    /// The committed state of `flow` at `epoch`; `None` before its first epoch.
    pub(super) async fn committed_state(&self, flow: &FlowId, epoch: Option<&Epoch>) -> Result<Option<Checkpoint>> {
        let Some(epoch) = epoch.filter(|e| e.0 > 0) else { return Ok(None) };
        let bytes = self.ports.checkpoints.get(flow, *epoch).await?;
        bytes.map(|b| Checkpoint::decode(&b)).transpose()
    }

    /// Hands every chunk of `flow`'s source from the state `from`, else from its beginning, up to the state `until` to `each`, and returns whether
    /// these are all of its records.
    pub(super) async fn replay_source(
        &self,
        flow: &Flow,
        from: Option<&SourceState>,
        until: &SourceState,
        each: &mut (dyn FnMut(&Chunk) -> Result<()> + Send),
    ) -> Result<bool> {
        let Some(source) = self.source_of(flow) else { return Ok(true) };
        let mut reader = source.reader_until(until)?;
        // What the flow has read: its topic may have got partitions since it began, and since `from`.
        let beginning = source.beginning().await?.within(until);
        let mut state = match from {
            Some(from) => from.with_added(&beginning),
            None => beginning,
        };
        let whole = from.is_none() && state.partitions.iter().all(|p| !matches!(p.position, SourcePosition::Offset(o) if o > 0));
        let limit = ChunkLimit {
            rows_max: self.settings.epoch_rows_max,
            bytes_max: self.settings.epoch_bytes_max,
            mark_max: (Version::MAX, usize::MAX),
        };
        loop {
            let chunk = reader.chunk(&state, limit).await?;
            if chunk.is_empty() {
                return Ok(whole);
            }
            tokio::task::block_in_place(|| each(&chunk))?;
            state = chunk.end;
        }
    }

    /// Checks a table of flows without windows that has a key.
    pub(super) async fn verify_stateless(&self, spec: &Arc<TableSpec>, stored: &Stored) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let key = spec.key.indices(&spec.schema)?;
        let mut ledger = Ledger::new();
        let of_events = self.columns_of_events(spec);
        let mut all = ExpectedRows { whole: true, ..ExpectedRows::default() };
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            let epoch = stored.epochs.get(&flow.id);
            let Some(checkpoint) = self.committed_state(&flow.id, epoch).await? else {
                if epoch.is_some_and(|e| e.0 > 0) {
                    check.note(format!("flow {}: the checkpoint of its epoch is gone already; verify again", flow.id));
                }
                continue;
            };
            let mut take = |changes: &ChangeBatch, events: &Int64Array, sure: Sure| -> Result<u64> {
                let contents = match (sure, &of_events) {
                    (Sure::OfEvent, Some(columns)) => digest::contents_at(changes.rows(), columns)?,
                    _ => digest::contents(changes.rows(), changes.rows().num_columns())?,
                };
                apply_contents(&mut ledger, changes, events, &key, contents, sure)
            };
            let found = self.expect_rows(flow, &checkpoint.header, &mut take, &mut check).await?;
            all.whole &= found.whole;
            all.is_doubtful |= found.is_doubtful;
            all.is_of_before |= found.is_of_before;
            all.dead.extend(found.dead);
        }
        let of_events = of_events.filter(|_| all.is_of_before);
        self.compare(spec, stored, ledger, &all, of_events.as_deref(), &mut check).await?;
        Ok(check)
    }

    /// Hands what `flow` should have written to `take`, with the versions of its events and how sure that is, which says how many of the rows superseded
    /// others, and checks its dead letters.
    pub(super) async fn expect_rows(
        &self,
        flow: &Flow,
        at: &Header,
        take: &mut (dyn FnMut(&ChangeBatch, &Int64Array, Sure) -> Result<u64> + Send),
        check: &mut Check,
    ) -> Result<ExpectedRows> {
        let mut processor = self.processor(flow)?;
        processor.refresh(&self.references, &self.spark).await?;
        let altered = at.altered.as_ref();
        if let Some(altered) = altered {
            check.note(format!("flow {}: an earlier query wrote what came up to epoch {}: that was not compared", flow.id, altered.after));
        }
        // What both leave out begins where the later one does.
        let same_query = altered.map(|a| (a.after, &a.source));
        let same_reports = self.same_reports_from(flow, at, check);
        let left_out = same_query.into_iter().chain(same_reports).max_by_key(|(after, _)| *after);
        let from = left_out.map(|(_, source)| source);
        let before = self.before_change(flow, at, check)?.filter(|before| left_out.is_none_or(|(after, _)| after < before.after));
        // From where, up to where, and how sure the rows are.
        let parts = match &before {
            None => vec![(from, &at.source, Sure::Whole)],
            Some(before) => vec![(from, before.source, before.sure), (Some(before.source), &at.source, Sure::Whole)],
        };
        let same_failures = before.as_ref().is_none_or(|before| before.same_failures);
        let (mut events, mut kept, mut superseded) = (0, 0, 0);
        let mut dead = HashSet::new();
        let (mut whole, mut fail_now) = (true, false);
        for (from, until, sure) in parts {
            let is_whole = self
                .replay_source(flow, from, until, &mut |chunk| {
                    let processed = processor.process(chunk, Timestamp(0))?;
                    events += chunk.records_for(&flow.id) as u64;
                    let changes = &processed.changes;
                    kept += events_of(changes);
                    let drawn = processor.draws_versions().then(|| versions_of_events(chunk, changes));
                    superseded += take(changes, drawn.as_ref().unwrap_or(changes.versions()), sure)?;
                    dead.extend(chunk.rejected.iter().filter(|r| r.is_for(&flow.id)).map(|r| r.position));
                    if sure == Sure::Whole || same_failures {
                        dead.extend(processed.rejected.iter().map(|(position, ..)| *position));
                    } else {
                        fail_now |= !processed.rejected.is_empty();
                    }
                    Ok(())
                })
                .await?;
            // The second part begins where the first has ended.
            whole &= is_whole || (sure == Sure::Whole && before.is_some());
        }
        let dead_letters = self.check_dead_letters(flow, &at.source, &dead, check).await?;
        check.count("events", events);
        check.count("superseded", superseded);
        check.count("filtered", events.saturating_sub(kept + dead.len() as u64));
        let fail_otherwise = !same_failures && (fail_now || !dead_letters.is_empty());
        Ok(ExpectedRows {
            whole,
            is_doubtful: before.as_ref().is_some_and(|before| before.sure == Sure::Nothing) || fail_otherwise,
            is_of_before: before.is_some(),
            dead: if same_failures { HashSet::new() } else { dead_letters },
        })
    }

    /// Whether every event that can't be a row is in `system.dead_letters`, or was, and was replayed: then what was published in its place is an
    /// event of its own. `until` is where the sources were read to. Returns those that are in `system.dead_letters`.
    pub(super) async fn check_dead_letters(
        &self,
        flow: &Flow,
        until: &SourceState,
        dead: &HashSet<RowPosition>,
        check: &mut Check,
    ) -> Result<HashSet<RowPosition>> {
        let letters = self.ports.system.dead_letters().await?.into_iter().filter(|d| d.flow == flow.id);
        let stored: HashSet<RowPosition> = letters.map(|d| position_for(flow, until, &d.source, d.position)).collect();
        let released = self.replayed(&flow.id).await?;
        check.count("dead", stored.len() as u64);
        for position in dead.iter().filter(|p| !stored.contains(p)) {
            let (source, position) = until.position_in_source(*position);
            let source = flow.sources().nth(source).unwrap_or_default();
            if released.has(source, position) {
                check.count("replayed", 1);
            } else {
                check.problem(format!(
                    "the event at {source}-{} offset {} is neither a row of flow {} nor a dead letter",
                    position.partition, position.offset, flow.id
                ));
            }
        }
        Ok(stored)
    }

    /// Compares the table's rows with the ledger; `of_events` are the columns of events, where only these can be compared of some rows.
    async fn compare(
        &self,
        spec: &TableSpec,
        stored: &Stored,
        mut ledger: Ledger,
        all: &ExpectedRows,
        of_events: Option<&[usize]>,
        check: &mut Check,
    ) -> Result<()> {
        let whole = all.whole;
        let mut otherwise = Otherwise::default();
        let key = spec.key.indices(&spec.schema)?;
        let width = spec.schema.fields().len();
        let mut stream = stored.scan().await?;
        let mut beyond_log = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let keys = digest::keys(&batch, &key)?;
            let contents = digest::contents(&batch, width)?;
            let of_events = of_events.map(|columns| digest::contents_at(&batch, columns)).transpose()?;
            let versions = batch.columns().get(width).and_then(|c| c.as_primitive_opt::<Int64Type>());
            check.count("rows", batch.num_rows() as u64);
            for (row, (digest, content)) in keys.into_iter().zip(contents).enumerate() {
                match ledger.get_mut(&digest) {
                    None if whole && all.is_doubtful => otherwise.others += 1,
                    None if whole => check.problem(format!("row {} is explained by no event", digest::describe(&batch, &key, row))),
                    None => beyond_log += 1,
                    Some(expected) if expected.seen => check.problem(format!("row {} is there twice", digest::describe(&batch, &key, row))),
                    Some(expected) => {
                        expected.seen = true;
                        let place = format!(
                            "{} (its event: partition {} offset {})",
                            digest::describe(&batch, &key, row),
                            expected.position.partition,
                            expected.position.offset
                        );
                        let content = match (expected.sure, &of_events) {
                            (Sure::OfEvent, Some(of_events)) => of_events.get(row).copied().unwrap_or_default(),
                            _ => content,
                        };
                        if expected.sure == Sure::Nothing || (expected.sure == Sure::OfEvent && all.is_doubtful) {
                            otherwise.differing += u64::from(expected.deleted || expected.content != content);
                        } else if expected.deleted {
                            check.problem(format!("row {place} should be deleted"));
                        } else if expected.content != content {
                            check.problem(format!("row {place} holds other values than its event gives"));
                        } else if let Some(version) = versions.map(|v| v.value(row)).filter(|v| whole && *v < expected.version.0) {
                            // Versions that are drawn begin at 0 here: they say an order, and no more.
                            check.problem(format!("row {place} has version {version}, older than its event's {}", expected.version.0));
                        }
                    }
                }
            }
        }
        if beyond_log > 0 {
            check.note(format!(
                "{beyond_log} rows are of events that the log no longer keeps, that an earlier query took, or that met an earlier report"
            ));
        }
        let now = self.ports.clock.now();
        let missing = ledger.into_values().filter(|e| !e.seen && !e.deleted);
        for expected in missing {
            if spec.ttl.is_some_and(|ttl| expected.event.plus(ttl).0 <= now.0) {
                check.count("expired", 1);
            } else if expected.sure == Sure::Nothing {
                otherwise.missing += 1;
            } else if expected.sure == Sure::OfEvent && all.dead.contains(&expected.position) {
                // It can be computed now, and could not then.
            } else {
                let event = self.event_text(spec, expected.position).await;
                check.problem(format!(
                    "a row is missing: its event is at partition {} offset {}{event}",
                    expected.position.partition, expected.position.offset
                ));
            }
        }
        otherwise.tell(check);
        Ok(())
    }

    /// The event at `position` of the topic behind `spec`'s flows, for people; empty where it can't be read.
    async fn event_text(&self, spec: &TableSpec, position: RowPosition) -> String {
        let topic = self.pipeline.flows.iter().filter(|f| f.target == spec.name).find_map(|f| self.topic_of(&f.source));
        let Some(topic) = topic else { return String::new() };
        let partition = millstream_core::TopicPartition::new(topic, position.partition);
        let read = self.ports.log.read(&partition, millstream_core::Offset(position.offset), 1).await;
        let value = read.ok().and_then(|r| r.records.into_iter().next()).and_then(|r| r.value);
        value.map_or_else(String::new, |v| format!(": {}", String::from_utf8_lossy(&v[..v.len().min(300)])))
    }
}
