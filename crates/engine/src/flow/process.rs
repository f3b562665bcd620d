//! One chunk through a flow's program: from source rows to changes for the sink. Decides everything, does no I/O.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::prelude::SessionContext;
use millstream_core::encode::RowEncoder;
use millstream_core::{ChangeBatch, ChangeKind, Error, EventTime, FlowId, KeySpec, Result, RowPosition, Timestamp, Version};
use millstream_pipeline::graph::OutputMode;

use super::joined::SideProgram;
use super::keys::{KeyColumn, Suspects};
use super::siblings;
use super::state::State;
use super::watermark::WatermarkTracker;
use crate::compile::{self, Program, Rejects, Rows, Step};
use crate::join::StreamJoin;
use crate::reference::ReferenceTables;
use crate::source::Chunk;
use crate::window::{Arrivals, Bounds, LateRow, Stages};

/// The program of a flow with all state that its rows change.
pub struct Processor {
    pub(super) flow: FlowId,
    pub(super) program: Program,
    /// The target's key columns among the output's columns.
    key: Vec<usize>,
    pub(super) key_columns: Vec<KeyColumn>,
    /// Group columns that become key columns of the target.
    pub(super) key_groups: Vec<KeyColumn>,
    /// The sides of a join of streams; none where there is no such join.
    pub(super) sides: Vec<SideProgram>,
    pub(super) state: State,
    pub(super) watermark: Option<WatermarkTracker>,
    watermark_column: Option<String>,
    pub(super) lateness: Lateness,
    /// Whether one event may become several rows.
    explodes: bool,
    /// Writes the rows of the table, where some can't be written.
    pub(super) encoder: Option<RowEncoder>,
    /// Whether rows get versions from the flow's own counter: results of windows and of joins.
    draws_versions: bool,
    version_bound: Version,
}

/// An event that could not be processed: where it is, its version, and why.
pub type Rejected = (RowPosition, Timestamp, String);

/// What a chunk became.
#[derive(Debug)]
pub struct Processed {
    /// Changes for the sink.
    pub changes: ChangeBatch,
    /// Rows that could not be computed.
    pub rejected: Vec<Rejected>,
    /// Rows behind the watermark.
    pub late: Vec<Late>,
    /// Of how many events rows came to the aggregation, late ones among them. A join of streams doesn't count them.
    pub aggregated: u64,
    /// The state that changed: of a join's sides, and of each aggregation.
    pub delta: Vec<RecordBatch>,
}

/// Who decides which rows are late.
#[derive(Clone, Debug, Default)]
pub enum Lateness {
    /// The watermark, as rows come; it also closes windows.
    #[default]
    ByWatermark,
    /// A run that was: exactly these rows were late, each behind the watermark that is told, and no window closes. For verification and
    /// repair.
    Exactly(HashMap<RowPosition, EventTime>),
    /// Epochs that are done again: these rows are late as they were, the others only for windows that were `closed`, and no window closes.
    AsBefore {
        /// The rows that were late, and the watermark that each came behind.
        late: HashMap<RowPosition, EventTime>,
        /// The watermark that windows had been closed by.
        closed: Option<EventTime>,
    },
}

/// A row behind the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// Where it is.
    pub position: RowPosition,
    /// Its version.
    pub version: Version,
    /// Its event time.
    pub event_time: EventTime,
    /// The end of the window that it missed, of several the last one.
    pub window_end: EventTime,
    /// The watermark that it came behind: it missed all its windows that end there or before.
    pub watermark: EventTime,
    /// Whether other windows took it.
    pub is_in_others: bool,
}

/// Rows before the aggregation, with the watermark that each came at.
struct Timed {
    /// Event time of each source row; null where it has none.
    event_times: Option<Int64Array>,
    /// The watermark before each source row.
    before: Vec<Option<EventTime>>,
}

impl Processor {
    /// For `flow`, whose target has `key`. `watermark` is its column and delay.
    pub fn new(flow: FlowId, mut program: Program, key: &KeySpec, watermark: Option<(String, WatermarkTracker)>) -> Result<Self> {
        let stages = Stages::new(std::mem::take(&mut program.aggregations))?;
        let lookups = program.before.iter().any(|s| matches!(s, Step::Join(_)));
        let mut sides = Vec::new();
        let join = program.join.take().map(|mut stage| {
            sides.extend(stage.sides.iter_mut().map(SideProgram::of));
            StreamJoin::new(*stage)
        });
        let join = join.transpose()?;
        let (single, key) = (key.partition.len() == 1, key.indices(&program.output)?);
        let as_key = |(at, column): (usize, &usize)| KeyColumn { column: *column, is_partition_key: single && at == 0 };
        let key_columns: Vec<KeyColumn> = key.iter().enumerate().map(as_key).collect();
        let group_behind = |key: &KeyColumn| Some(KeyColumn { column: stages.as_ref()?.group_behind(key.column)?, ..*key });
        let key_groups = key_columns.iter().filter_map(group_behind).collect();
        let (watermark_column, watermark) = watermark.unzip();
        Ok(Self {
            flow,
            draws_versions: stages.is_some() || lookups || join.is_some(),
            explodes: program.before.iter().any(|s| matches!(s, Step::Explode(_))),
            encoder: None,
            key,
            key_columns,
            key_groups,
            program,
            sides,
            state: State { join, stages },
            watermark,
            watermark_column,
            lateness: Lateness::default(),
            version_bound: Version::MIN,
        })
    }

    /// Looks at what it joins as it is: at all of it as of one moment, so that no event meets two publications of one report. To be called between
    /// chunks.
    pub async fn refresh(&mut self, references: &ReferenceTables, session: &SessionContext) -> Result<()> {
        let now = references.now();
        for join in self.joins() {
            join.refresh(&now, session).await?;
        }
        Ok(())
    }

    /// The steps that join reference data.
    fn joins(&mut self) -> impl Iterator<Item = &mut compile::LookupJoin> {
        let sides = self.sides.iter_mut().flat_map(|side| side.before.iter_mut());
        let above = self.state.join.iter_mut().flat_map(StreamJoin::steps_mut);
        self.program.before.iter_mut().chain(sides).chain(above).filter_map(|s| match s {
            Step::Join(join) => Some(join.as_mut()),
            _ => None,
        })
    }

    /// The aggregations, where there are some.
    #[must_use]
    pub fn stages(&self) -> Option<&Stages> {
        self.state.stages.as_ref()
    }

    /// What is kept from chunk to chunk.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is kept, to restore it.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Whether it joins streams.
    #[must_use]
    pub fn joins_streams(&self) -> bool {
        self.state.join.is_some()
    }

    /// Goes on with the windows of `other`, which has seen the same events and closed none, and gives it its own.
    pub fn exchange_windows(&mut self, other: &mut Self, watermark: Option<EventTime>) -> Result<()> {
        if let (Some(mine), Some(others)) = (&mut self.state.stages, &mut other.state.stages) {
            if let Some(reach) = mine.reach() {
                others.set_reach(reach);
            }
            others.drop_closed(watermark, Vec::new())?;
            std::mem::swap(mine, others);
        }
        Ok(())
    }

    /// For each column of the table, whether its values depend on the order in which events came.
    #[must_use]
    pub fn ordered_columns(&self) -> Vec<bool> {
        self.state.stages.as_ref().map_or_else(|| vec![false; self.program.output.fields().len()], Stages::ordered_columns)
    }

    /// The watermark's tracker, where there is one.
    pub fn watermark_mut(&mut self) -> &mut Option<WatermarkTracker> {
        &mut self.watermark
    }

    /// The watermark's tracker, where there is one.
    #[must_use]
    pub fn watermark(&self) -> Option<&WatermarkTracker> {
        self.watermark.as_ref()
    }

    /// From now on, lateness is decided like this.
    pub fn decide_lateness(&mut self, lateness: Lateness) {
        self.lateness = lateness;
    }

    /// The results of the windows that `only` picks by their end, as rows of the table. For a processor that closes no windows; to be
    /// asked once.
    pub fn results(&mut self, only: impl Fn(EventTime) -> bool) -> Result<RecordBatch> {
        let schema = compile::nullable(&self.program.output);
        let Some(stages) = &mut self.state.stages else { return Ok(RecordBatch::new_empty(schema)) };
        let rows = stages.results(only).map_err(|e| e.context(format!("flow {}", self.flow)))?;
        Ok(RecordBatch::try_new(schema, rows.batch.columns().to_vec())?)
    }

    /// The table's key columns.
    #[must_use]
    pub fn key_columns(&self) -> &[usize] {
        &self.key
    }

    /// Rows of the table as updates and as deletes, with new versions, from no position.
    pub fn as_rewrites(&mut self, updated: RecordBatch, deleted: &RecordBatch, now: Timestamp) -> Result<ChangeBatch> {
        let rows = arrow::compute::concat_batches(&updated.schema(), [&updated, deleted])?;
        let n = rows.num_rows();
        let kinds = (0..n).map(|row| if row < updated.num_rows() { ChangeKind::Update.code() } else { ChangeKind::Delete.code() });
        let kinds = UInt8Array::from_iter_values(kinds);
        let versions = self.draw_versions(n, now);
        ChangeBatch::try_new(rows, kinds, versions, Int32Array::from_value(-1, n), Int64Array::from_value(-1, n))
    }

    /// When the flow writes the rows of a window.
    #[must_use]
    pub fn mode(&self) -> Option<OutputMode> {
        self.state.stages.as_ref().map(Stages::mode)
    }

    /// Whether rows get versions from the flow's own counter, and so others when they are computed again.
    #[must_use]
    pub fn draws_versions(&self) -> bool {
        self.draws_versions
    }

    /// No version that was drawn is greater.
    #[must_use]
    pub fn version_bound(&self) -> Version {
        self.version_bound
    }

    /// Versions are drawn above `bound` from now on.
    pub fn raise_version_bound(&mut self, bound: Version) {
        self.version_bound = self.version_bound.max(bound);
    }

    /// Runs `chunk` through the program. `now` is where drawn versions begin.
    pub fn process(&mut self, chunk: &Chunk, now: Timestamp) -> Result<Processed> {
        if self.joins_streams() {
            return self.process_joined(chunk, now);
        }
        let timed = self.observe(&chunk.changes)?;
        let mut rejects = Rejects::new();
        let rows =
            compile::run(&self.program.before, self.inputs(&self.program.inputs, &chunk.changes, &chunk.directed, 0)?, &mut rejects)?;
        let mut late = Vec::new();
        let sourced = self.state.stages.is_none();
        let (rows, delta, aggregated) =
            if sourced { (rows, Vec::new(), 0) } else { self.aggregate(rows, chunk, &timed, &mut late, &mut rejects)? };
        let changes = self.changes(rows, sourced.then_some(&chunk.changes), now, &mut rejects)?;
        let rejected = rejects.into_iter().map(|(row, reason)| {
            let row = row as usize;
            (chunk.changes.position(row), Timestamp(chunk.changes.version(row).0), reason)
        });
        Ok(Processed { changes, rejected: rejected.collect(), late, aggregated, delta })
    }

    /// A source's rows as the program reads them: its columns, and only rows that are for this flow. `directed` rows are numbered from `first`.
    pub(super) fn inputs(&self, names: &[String], changes: &ChangeBatch, directed: &[(u32, Arc<[FlowId]>)], first: usize) -> Result<Rows> {
        let all = changes.rows();
        let columns = names.iter().map(|name| {
            let column = all.column_by_name(name);
            column.cloned().ok_or_else(|| Error::internal(format!("flow {}: its source has no column {name}", self.flow)))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = names.iter().zip(&columns).map(|(name, c)| arrow::datatypes::Field::new(name, c.data_type().clone(), true));
        let schema = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
        let n = u32::try_from(all.num_rows()).map_err(|_| Error::internal("a chunk has over 4 billion rows"))?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(all.num_rows()));
        let rows = Rows {
            batch: RecordBatch::try_new_with_options(schema, columns, &options)?,
            origin: UInt32Array::from_iter_values(0..n),
            kinds: changes.kinds().clone(),
        };
        if directed.iter().all(|(_, flows)| flows.contains(&self.flow)) {
            return Ok(rows);
        }
        let elsewhere: std::collections::BTreeSet<usize> =
            directed.iter().filter(|(_, flows)| !flows.contains(&self.flow)).map(|(row, _)| *row as usize).collect();
        let keep: BooleanArray = (first..first + all.num_rows()).map(|row| Some(!elsewhere.contains(&row))).collect();
        Ok(rows.filter(&keep)?)
    }

    /// Shows the watermark every row's event time, in order.
    fn observe(&mut self, changes: &ChangeBatch) -> Result<Timed> {
        let (Some(tracker), Some(column)) = (&mut self.watermark, &self.watermark_column) else {
            return Ok(Timed { event_times: None, before: Vec::new() });
        };
        let times = changes.rows().column_by_name(column).ok_or_else(|| Error::internal(format!("the source has no column {column}")))?;
        let times = times
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| Error::internal(format!("the watermark's column {column} is not a TIMESTAMP")))?;
        let mut before = Vec::with_capacity(changes.len());
        for (row, partition) in changes.partitions().values().iter().enumerate() {
            before.push(tracker.current());
            if times.is_valid(row) {
                tracker.observe(usize::try_from(*partition).unwrap_or(0), EventTime(times.value(row)));
            }
        }
        Ok(Timed { event_times: Some(times.reinterpret_cast::<Int64Type>()), before })
    }

    /// Puts late rows aside, aggregates the others, and returns the rows that are due, the state that changed, and how many events there were.
    fn aggregate(
        &mut self,
        rows: Rows,
        chunk: &Chunk,
        timed: &Timed,
        late: &mut Vec<Late>,
        rejects: &mut Rejects,
    ) -> Result<(Rows, Vec<RecordBatch>, u64)> {
        let Some(stages) = &mut self.state.stages else { return Err(Error::internal("a flow without windows was asked to aggregate")) };
        let ends = Bounds::ends(rows.batch.column(stages.window_column()))?;
        let keys = Suspects::of(&rows.batch, &self.key_groups);
        let mut wrong = Rejects::new();
        let all = if keys.is_empty() && ends.are_all_there() { 0 } else { rows.len() };
        for row in 0..all {
            let reason = if ends.is_there(row) { keys.missing(row).map(no_key_of_group) } else { Some(stages.why_in_none().to_owned()) };
            wrong.extend(reason.map(|reason| (rows.origin.value(row), reason)));
        }
        let rows = if wrong.is_empty() { rows } else { rows.filter(&siblings::without(&rows.origin, wrong, rejects))? };
        let events = rows.origin.values().iter().map(|origin| *origin as usize);
        let was_late = |late: &HashMap<RowPosition, EventTime>, at: usize| late.get(&chunk.changes.position(at)).copied();
        let (watermarks, is_known) = match &self.lateness {
            Lateness::ByWatermark => events.map(|at| (timed.before.get(at).copied().flatten(), false)).unzip(),
            Lateness::Exactly(late) => events.map(|at| (was_late(late, at), true)).unzip(),
            Lateness::AsBefore { late, closed } => events
                .map(|at| {
                    let known = was_late(late, at);
                    (known.or(*closed), known.is_some())
                })
                .unzip(),
        };
        let arrivals = Arrivals { watermarks, origins: rows.origin.values().to_vec(), is_known };
        let watermark = match self.lateness {
            Lateness::ByWatermark => self.watermark.as_ref().and_then(WatermarkTracker::current),
            Lateness::Exactly(_) | Lateness::AsBefore { .. } => None,
        };
        let advanced = stages.advance(&rows.batch, &arrivals, watermark).map_err(|e| e.context(format!("flow {}", self.flow)))?;
        for missed in &advanced.late {
            let at = rows.origin.value(missed.row) as usize;
            let (position, version) = (chunk.changes.position(at), chunk.changes.version(at));
            let event_time = timed.event_times.as_ref().map_or(missed.window_end, |t| EventTime(t.value(at)));
            let LateRow { window_end, watermark, is_in_others, .. } = *missed;
            // An event is late once, however many rows it became.
            match late.last_mut().filter(|last| last.position == position) {
                Some(last) => last.window_end = last.window_end.max(window_end),
                None => late.push(Late { position, version, event_time, window_end, watermark, is_in_others }),
            }
        }
        let aggregated = rows.origin.values().chunk_by(|a, b| a == b).count();
        Ok((advanced.due, advanced.delta, aggregated as u64))
    }

    /// Output rows with their hidden columns; those whose key is null or empty are rejected. `source` is `None` for results of windows.
    pub(super) fn changes(
        &mut self,
        rows: Rows,
        source: Option<&ChangeBatch>,
        now: Timestamp,
        rejects: &mut Rejects,
    ) -> Result<ChangeBatch> {
        let schema = compile::nullable(&self.program.output);
        let batch = RecordBatch::try_new(schema, rows.batch.columns().to_vec())
            .map_err(|e| Error::internal(format!("flow {}: its query gives other columns than its table has", self.flow)).caused_by(e))?;
        let mut rows = Rows { batch, ..rows };
        let keyless = Suspects::of(&rows.batch, &self.key_columns).all();
        if let Some((_, column)) = keyless.first() {
            let name = |column: usize| self.program.output.field(column).name();
            if source.is_none() {
                let name = name(*column);
                return Err(Error::invalid(format!("flow {}: key column {name} of a window's result is null or empty", self.flow)));
            }
            let reason = |column| format!("key column {} is null or empty", name(column));
            let wrong = keyless.iter().map(|(row, column)| (rows.origin.value(*row), reason(*column)));
            let keep = siblings::without(&rows.origin, wrong.collect(), rejects);
            rows = rows.filter(&keep)?;
        }
        if source.is_some() {
            rows = self.writable(rows, rejects)?;
        } else {
            self.refuse_unwritable(&rows)?;
        }
        if source.is_some() && self.explodes {
            rows = siblings::last_of_each_key(rows, &self.key)?;
        }
        if self.key.is_empty()
            && let Some(source) = source
        {
            rows = self.without_deletes(rows, source, rejects)?;
        }
        let n = rows.len();
        let drawn = if self.draws_versions { Some(self.draw_versions(n, now)) } else { None };
        let (versions, partitions, offsets) = match source {
            None => (None, Int32Array::from_value(-1, n), Int64Array::from_value(-1, n)),
            Some(source) => (
                Some(take(source.versions(), &rows.origin, None)?.as_primitive::<Int64Type>().clone()),
                take(source.partitions(), &rows.origin, None)?.as_primitive::<Int32Type>().clone(),
                take(source.offsets(), &rows.origin, None)?.as_primitive::<Int64Type>().clone(),
            ),
        };
        let versions = drawn.or(versions).ok_or_else(|| Error::internal("a row has no version"))?;
        ChangeBatch::try_new(rows.batch, rows.kinds, versions, partitions, offsets)
    }

    /// `rows` without the deletes, for a table that only takes new rows. An update that the query no longer keeps gives no row, and what
    /// it replaced stays; a delete of the source is rejected.
    fn without_deletes(&self, rows: Rows, source: &ChangeBatch, rejects: &mut Rejects) -> Result<Rows> {
        let delete = ChangeKind::Delete.code();
        if !rows.kinds.values().contains(&delete) {
            return Ok(rows);
        }
        for (kind, origin) in rows.kinds.values().iter().zip(rows.origin.values()) {
            if *kind == delete && source.kind(*origin as usize) == ChangeKind::Delete {
                rejects.push((*origin, "the source deletes this row, and the table has no key by which to do so".to_owned()));
            }
        }
        let keep: BooleanArray = rows.kinds.values().iter().map(|kind| Some(*kind != delete)).collect();
        Ok(rows.filter(&keep)?)
    }

    /// `n` new versions, above all that were drawn before.
    fn draw_versions(&mut self, n: usize, now: Timestamp) -> Int64Array {
        let first = now.0.max(self.version_bound.0.saturating_add(1));
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        if n > 0 {
            self.version_bound = Version(first.saturating_add(n - 1));
        }
        Int64Array::from_iter_values(first..first.saturating_add(n))
    }
}

/// Why a row whose group has no value in `column` can't be aggregated.
pub(super) fn no_key_of_group(column: usize) -> String {
    format!("group column {} is null or empty, and it is part of the table's key", column + 1)
}
