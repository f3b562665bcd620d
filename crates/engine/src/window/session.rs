//! The aggregation over sessions: rows of a key that follow one another within a gap.
//!
//! Which sessions there are is decided by [`Sessions`]; the states of sessions that a row joins are merged. A session is found by its key
//! and span, so a session that grows or is taken up by another leaves its place in the state: such places are rows of the checkpoint's
//! delta too, told from open sessions by the column `fate`.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, UInt8Array, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt8Type};
use arrow::row::Rows;
use millstream_core::time::micros_of;
use millstream_core::{Error, EventTime, Result};
use millstream_pipeline::window_column;

use super::functions::Functions;
use super::grouping::{Grouped, Grouper, every, in_order};
use super::remembered::{Remembered, bytes_of};
use super::sessions::{Joined, Reach, Sessions, Span, whole};
use super::state::{Emitted, GroupKey, GroupState};
use super::{Advanced, Arrivals, Bounds, LateRow, Mark};
use crate::compile::Aggregation;
use crate::spill::{Size, SpillArea};

/// What a state row says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    /// It is open, and this is its state.
    Open = 0,
    /// It is there no more: it has grown, or was taken up by another.
    Gone = 1,
    /// It is closed, and remembered.
    Closed = 2,
}

/// An aggregation over sessions, with its state.
pub(super) struct SessionAggregator {
    plan: Aggregation,
    functions: Functions,
    /// The group columns but the session.
    key_columns: Vec<usize>,
    grouper: Grouper,
    /// The states of open sessions.
    state: GroupState,
    sessions: Sessions,
    /// Closed sessions that are remembered.
    remembered: Remembered,
    /// The columns of state rows, then `fate`.
    stored: SchemaRef,
    has_constant_gap: bool,
    /// About so many bytes of closed sessions come out at a time.
    emitted_bytes_max: usize,
}

/// How a session is found in the state: its end, and its key followed by its start.
fn session_key(key: &[u8], span: Span) -> GroupKey {
    let mut row = Vec::with_capacity(key.len() + size_of::<i64>());
    row.extend_from_slice(key);
    row.extend_from_slice(&span.start.to_be_bytes());
    GroupKey::new(EventTime(span.end), &row)
}

/// The key and span of what [`session_key`] made.
fn parts(session: &GroupKey) -> Result<(&[u8], Span)> {
    let (key, start) = session.row().split_last_chunk().ok_or_else(|| Error::internal("a session has no start"))?;
    Ok((key, Span { start: i64::from_be_bytes(*start), end: session.end().0 }))
}

/// What became of rows.
struct JoinedRows {
    /// The sessions that they joined; some were taken up by others.
    sessions: Vec<Joined>,
    /// For each row the number of the session that it joined; `None` for late ones.
    numbers: Vec<Option<usize>>,
    /// The late ones.
    late: Vec<LateRow>,
}

impl SessionAggregator {
    /// Without state. `gap` is `None` where it differs by row.
    pub(super) fn new(plan: Aggregation, gap: Option<Duration>, input: &SchemaRef) -> Result<Self> {
        let functions = Functions::new(&plan, input)?;
        let state = GroupState::new(functions.state_schema().clone());
        let key_columns: Vec<usize> = (0..plan.groups).filter(|c| *c != plan.window).collect();
        let grouper = Grouper::new(&key_columns.iter().map(|c| input.field(*c).clone()).collect::<Vec<_>>())?;
        let mut fields: Vec<Field> = functions.state_schema().fields().iter().map(|f| Field::clone(f)).collect();
        fields.push(Field::new("fate", DataType::UInt8, false));
        Ok(Self {
            plan,
            functions,
            key_columns,
            grouper,
            state,
            sessions: Sessions::new(Reach::of_gap(gap.map_or(0, micros_of))),
            remembered: Remembered::default(),
            stored: Arc::new(Schema::new(fields)),
            has_constant_gap: gap.is_some(),
            emitted_bytes_max: usize::MAX,
        })
    }

    pub(super) fn state_schema(&self) -> &SchemaRef {
        &self.stored
    }

    /// Which sessions there are is known in memory, whatever becomes of their states.
    pub(super) fn size(&self) -> Size {
        let index = self.sessions.bytes() + self.remembered.bytes();
        Size { memory: self.state.bytes() + index, pinned: self.state.pinned_bytes() + index, disk: self.state.disk_bytes() }
    }

    pub(super) fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        let index = self.size().pinned - self.state.pinned_bytes();
        self.state.spill(area, bytes_max.saturating_sub(index))
    }

    pub(super) fn reach(&self) -> Option<Reach> {
        (!self.has_constant_gap).then_some(self.sessions.reach)
    }

    pub(super) fn set_reach(&mut self, reach: Reach) {
        self.sessions.reach = reach;
    }

    /// A part of the state: open sessions first, then those that are remembered.
    pub(super) fn part(&self, mark: &Mark, bytes_max: usize) -> Result<(RecordBatch, Option<Mark>)> {
        let mut open = RecordBatch::new_empty(self.stored.clone());
        let mut after = mark.after.as_ref();
        if !mark.is_in_remembered {
            let (rows, last) = self.state.part(after, bytes_max)?;
            open = self.with_fate(&rows, Fate::Open)?;
            if last.is_some() {
                return Ok((open, Some(Mark { is_in_remembered: false, after: last })));
            }
            after = None;
        }
        let (mut keys, mut spans, mut bytes) = (Vec::new(), Vec::new(), open.get_array_memory_size());
        let mut last = None;
        for session in self.remembered.behind(after) {
            if bytes >= bytes_max && last.is_some() {
                break;
            }
            let (key, span) = parts(session)?;
            keys.push(key);
            spans.push(span);
            bytes = bytes.saturating_add(bytes_of(session));
            last = Some(session);
        }
        let more = last.filter(|last| self.remembered.last() != Some(*last));
        let closed = self.without_state(self.grouper.decode(&keys)?, &spans, Fate::Closed)?;
        let mark = more.map(|last| Mark { is_in_remembered: true, after: Some(last.clone()) });
        Ok((concat_batches(&self.stored, [&open, &closed])?, mark))
    }

    pub(super) fn results(&self, only: impl Fn(EventTime) -> bool) -> Result<RecordBatch> {
        let states = self.state.all()?;
        let ends = Bounds::ends(states.column(self.plan.window))?;
        let picked: BooleanArray = ends.iter().map(|end| Some(end.is_some_and(|e| only(EventTime(e))))).collect();
        self.functions.evaluate(&filter_record_batch(&states, &picked)?)
    }

    pub(super) fn restore(&mut self, rows: RecordBatch) -> Result<()> {
        let lost = || Error::corrupt("the state of sessions in a checkpoint has no column `fate`");
        let fates = rows.columns().last().and_then(|c| c.as_primitive_opt::<UInt8Type>()).ok_or_else(lost)?.clone();
        let (keys, spans) = (self.keys(&rows)?, self.spans(&rows)?);
        let with = |fate: Fate| (0..fates.len()).filter(move |row| fates.value(*row) == fate as u8);
        for row in with.clone()(Fate::Gone) {
            let (key, span) = (keys.row(row).data(), spans[row]);
            self.state.remove(&[session_key(key, span)]);
            self.sessions.remove(key, span);
        }
        for row in with.clone()(Fate::Closed) {
            let (key, span) = (keys.row(row).data(), spans[row]);
            let session = session_key(key, span);
            self.state.remove(std::slice::from_ref(&session));
            self.sessions.add(key, span, true);
            self.remembered.insert(session);
        }
        let open: Vec<usize> = with(Fate::Open).collect();
        for row in &open {
            self.sessions.add(keys.row(*row).data(), spans[*row], false);
        }
        let numbers = UInt32Array::from_iter_values(open.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
        let columns = rows.columns()[..self.functions.state_schema().fields().len()].iter().map(|c| take(c, &numbers, None));
        let states = RecordBatch::try_new(self.functions.state_schema().clone(), columns.collect::<std::result::Result<_, _>>()?)?;
        self.state.put(open.iter().map(|row| session_key(keys.row(*row).data(), spans[*row])).collect(), states)
    }

    /// Closes the sessions that `watermark` has reached, without results. Of `emitted`, what is behind is still to come out.
    pub(super) fn drop_closed(&mut self, watermark: Option<EventTime>, emitted: Option<RecordBatch>) -> Result<()> {
        if let Some(watermark) = watermark {
            let emitted = match emitted {
                Some(row) => self.session_keys(&row)?.pop().map(|key| Emitted { key, row }),
                None => None,
            };
            let sessions = self.state.closed(watermark, emitted.as_ref().map(|last| &last.key))?;
            self.state.forget(watermark, emitted)?;
            self.remember(sessions)?;
        }
        self.forget_unreachable(watermark)
    }

    /// From now on, about so many bytes of closed sessions come out at a time.
    pub(super) fn bound_emission(&mut self, bytes_max: usize) {
        self.emitted_bytes_max = bytes_max;
    }

    /// The last session that has come out, where others that are closed are still to come out.
    pub(super) fn emitted(&self) -> Option<&Emitted> {
        self.state.emitted()
    }

    /// Closes the sessions that `watermark` has reached, and forgets those that no row can reach any more. Returns the states of those
    /// that were closed, as far as they come out at once.
    fn close(&mut self, watermark: Option<EventTime>) -> Result<Option<RecordBatch>> {
        let closed = watermark.map(|w| self.state.close(w, self.emitted_bytes_max)).transpose()?.flatten();
        let states = match closed {
            Some((sessions, states)) => {
                self.remember(sessions)?;
                Some(states)
            }
            None => None,
        };
        self.forget_unreachable(watermark)?;
        Ok(states)
    }

    /// These sessions are closed.
    fn remember(&mut self, sessions: Vec<GroupKey>) -> Result<()> {
        for session in sessions {
            let (key, span) = parts(&session)?;
            self.sessions.close(key, span);
            self.remembered.insert(session);
        }
        Ok(())
    }

    /// Forgets the closed sessions that no row can reach any more at `watermark`.
    fn forget_unreachable(&mut self, watermark: Option<EventTime>) -> Result<()> {
        self.sessions.reach.advance(watermark);
        while let Some(session) = self.remembered.first().filter(|s| s.end().0 <= self.sessions.reach.horizon) {
            let (key, span) = parts(session)?;
            self.sessions.remove(key, span);
            self.remembered.forget_first();
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, rows: &RecordBatch, arrivals: &Arrivals, watermark: Option<EventTime>) -> Result<Advanced> {
        let by_key = self.grouper.group(&self.key_of(rows), None)?;
        let keys = self.keys(&take_record_batch(rows, &by_key.first_rows)?)?;
        let JoinedRows { sessions, numbers, late } = self.join(&by_key, &keys, &self.spans(rows)?, arrivals);
        let in_time: BooleanArray = numbers.iter().map(|n| Some(n.is_some())).collect();
        let kept = if in_time.true_count() == rows.num_rows() { rows.clone() } else { filter_record_batch(rows, &in_time)? };
        let of_row: Vec<usize> = numbers.iter().flatten().map(|n| whole(&sessions, *n)).collect();
        let merged = self.merge(&kept, &of_row, &sessions, &keys)?;
        let gone = self.gone(rows, &sessions)?;
        let closed = self.close(watermark)?;
        let due = match closed {
            Some(closed) => self.functions.evaluate(&closed)?,
            None => RecordBatch::new_empty(self.functions.output_schema().clone()),
        };
        // What is closed by now is closed again when it is restored; it may have to be remembered.
        let horizon = self.sessions.reach.horizon;
        let ends = Bounds::ends(merged.column(self.plan.window))?;
        let is_unseen = match self.state.emitted() {
            Some(last) => self.session_keys(&merged)?.iter().map(|key| *key > last.key).collect(),
            None => Vec::new(),
        };
        let counts = |(row, end): (usize, Option<i64>)| end.is_some_and(|e| e > horizon) || is_unseen.get(row).copied().unwrap_or_default();
        let counts: BooleanArray = ends.iter().enumerate().map(|at| Some(counts(at))).collect();
        let open = self.with_fate(&filter_record_batch(&merged, &counts)?, Fate::Open)?;
        Ok(Advanced { due, delta: concat_batches(&self.stored, [&gone, &open])?, late })
    }

    /// Puts rows into sessions, and says which are late.
    fn join(&mut self, by_key: &Grouped, keys: &Rows, spans: &[Span], arrivals: &Arrivals) -> JoinedRows {
        let mut joining = self.sessions.joining(keys.iter().map(|key| key.data()).collect());
        let (mut numbers, mut late) = (Vec::with_capacity(spans.len()), Vec::new());
        let all: Vec<usize> = (0..spans.len()).collect();
        for rows in all.chunk_by(|a, b| arrivals.origins[*a] == arrivals.origins[*b]) {
            let mut is_late = false;
            for row in rows {
                let watermark = arrivals.watermarks[*row];
                is_late |= match (arrivals.is_known[*row], watermark) {
                    (true, None) => false,
                    (true, Some(_)) => {
                        joining.saw(spans[*row]);
                        true
                    }
                    (false, _) => joining.is_late(by_key.of_row[*row], spans[*row], watermark),
                };
            }
            for row in rows {
                numbers.push((!is_late).then(|| joining.join(by_key.of_row[*row], *row, spans[*row])));
                if let Some(watermark) = arrivals.watermarks[*row].filter(|_| is_late) {
                    late.push(LateRow { row: *row, window_end: EventTime(spans[*row].end), watermark, is_in_others: false });
                }
            }
        }
        JoinedRows { sessions: joining.settle(), numbers, late }
    }

    /// Aggregates `rows`, each of the session that `of_row` says, merges the result with the states of the sessions that these took up,
    /// and returns the new states.
    fn merge(&mut self, rows: &RecordBatch, of_row: &[usize], joined: &[Joined], keys: &Rows) -> Result<RecordBatch> {
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(self.functions.state_schema().clone()));
        }
        let session_of_row = |row: &u32| &joined[of_row[*row as usize]];
        let grouped = in_order(of_row.to_vec(), joined.len());
        let of_group: Vec<&Joined> = grouped.first_rows.values().iter().map(session_of_row).collect();
        let mut columns = self.functions.accumulate(rows, &grouped)?.columns().to_vec();
        columns[self.plan.window] = column_of(of_group.iter().map(|j| j.span));
        let fresh = RecordBatch::try_new(self.functions.state_schema().clone(), columns)?;
        let (mut known, mut group_of_known) = (Vec::new(), Vec::new());
        for (group, session) in of_group.iter().enumerate() {
            for span in &session.taken_up {
                known.push(session_key(keys.row(session.key).data(), *span));
                group_of_known.push(group);
            }
        }
        let merged = if known.is_empty() {
            fresh
        } else {
            let states = self.state.take(&known)?;
            if states.num_rows() != known.len() {
                return Err(Error::internal("a session has no state"));
            }
            self.functions.merge(&states, &group_of_known, &fresh, &every(of_group.len()))?
        };
        self.state.put(of_group.iter().map(|j| session_key(keys.row(j.key).data(), j.span)).collect(), merged.clone())?;
        Ok(merged)
    }

    /// The sessions that were taken up, as rows that say so. `rows` are those that joined.
    fn gone(&self, rows: &RecordBatch, joined: &[Joined]) -> Result<RecordBatch> {
        let places = || joined.iter().flat_map(|j| j.taken_up.iter().map(|span| (j.row, *span)));
        let of_row = UInt32Array::from_iter_values(places().map(|(row, _)| u32::try_from(row).unwrap_or(u32::MAX)));
        let keys = self.key_columns.iter().map(|c| take(rows.column(*c), &of_row, None)).collect::<std::result::Result<_, _>>()?;
        self.without_state(keys, &places().map(|(_, span)| span).collect::<Vec<_>>(), Fate::Gone)
    }

    /// State rows that have no state.
    fn without_state(&self, keys: Vec<ArrayRef>, spans: &[Span], fate: Fate) -> Result<RecordBatch> {
        let mut keys = keys.into_iter();
        let fields = self.stored.fields();
        let columns = fields[..fields.len() - 1].iter().enumerate().map(|(i, field)| {
            if i == self.plan.window {
                Ok(column_of(spans.iter().copied()))
            } else if i < self.plan.groups {
                keys.next().ok_or_else(|| Error::internal("a session has another key"))
            } else {
                Ok(new_null_array(field.data_type(), spans.len()))
            }
        });
        let mut columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        columns.push(Arc::new(UInt8Array::from_value(fate as u8, spans.len())));
        Ok(RecordBatch::try_new(self.stored.clone(), columns)?)
    }

    fn with_fate(&self, states: &RecordBatch, fate: Fate) -> Result<RecordBatch> {
        let mut columns = states.columns().to_vec();
        columns.push(Arc::new(UInt8Array::from_value(fate as u8, states.num_rows())));
        Ok(RecordBatch::try_new(self.stored.clone(), columns)?)
    }

    /// The columns that are the key, of rows that begin with the group columns.
    fn key_of(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.key_columns.iter().map(|c| rows.column(*c).clone()).collect()
    }

    /// The same encoded.
    fn keys(&self, rows: &RecordBatch) -> Result<Rows> {
        self.grouper.encode(&self.key_of(rows))
    }

    /// How the sessions of state rows are found.
    fn session_keys(&self, rows: &RecordBatch) -> Result<Vec<GroupKey>> {
        let (keys, spans) = (self.keys(rows)?, self.spans(rows)?);
        Ok(spans.iter().enumerate().map(|(row, span)| session_key(keys.row(row).data(), *span)).collect())
    }

    fn spans(&self, rows: &RecordBatch) -> Result<Vec<Span>> {
        let window = rows.column(self.plan.window);
        let (starts, ends) = (Bounds::starts(window)?, Bounds::ends(window)?);
        Ok(starts.all()?.iter().zip(ends.all()?).map(|(start, end)| Span { start: *start, end: *end }).collect())
    }
}

/// Spans as a column of windows.
fn column_of(spans: impl Iterator<Item = Span>) -> ArrayRef {
    let (starts, ends) = spans.map(|span| (span.start, span.end)).unzip();
    window_column(starts, ends, None)
}
