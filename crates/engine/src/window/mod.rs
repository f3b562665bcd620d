//! The windowed aggregation: per-epoch partial aggregates, merged into keyed state that is kept as columns of partial results.
//!
//! In each epoch, rows are grouped and aggregated from scratch (vectorized, by DataFusion's group accumulators); the partial results of
//! the groups that occurred are merged with the state they had, and the merged rows are the epoch's *delta*: what the checkpoint stores
//! and what `update` mode evaluates. A window whose end the watermark has reached is closed: its groups leave the state, and `append`
//! mode evaluates them then. Nothing is allocated per row; state is one entry a group.

mod bounds;
mod fixed;
mod functions;
mod grouping;
mod placement;
mod remembered;
mod session;
mod sessions;
mod stages;
mod state;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use millstream_core::floats::normalized;
use millstream_core::{EventTime, Result};
use millstream_pipeline::graph::WindowKind;

use crate::compile::Aggregation;
use crate::spill::{GroupKey, Size, SpillArea};
pub use bounds::Bounds;
use fixed::FixedAggregator;
use session::SessionAggregator;
pub use sessions::Reach;
pub use stages::{Stages, StagesAdvanced, StagesMark};

/// The aggregation of one flow, with its state.
pub struct WindowAggregator {
    /// How many columns rows are grouped by: the first ones.
    groups: usize,
    window_column: usize,
    kind: Kind,
}

enum Kind {
    Fixed(Box<FixedAggregator>),
    Session(Box<SessionAggregator>),
}

/// Runs the same call on either kind.
macro_rules! on {
    ($self:expr, $aggregator:ident => $call:expr) => {
        match &$self.kind {
            Kind::Fixed($aggregator) => $call,
            Kind::Session($aggregator) => $call,
        }
    };
    (mut $self:expr, $aggregator:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Fixed($aggregator) => $call,
            Kind::Session($aggregator) => $call,
        }
    };
}

/// How far the state of an aggregation is written, in the order of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Of sessions: all open ones are, and these are the remembered ones.
    is_in_remembered: bool,
    /// The last that is written; `None`: none is.
    after: Option<GroupKey>,
}

/// When rows came.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// The watermark that each row came at.
    pub watermarks: Vec<Option<EventTime>>,
    /// The event that each row was made of: rows of one event are late together.
    pub origins: Vec<u32>,
    /// Of each row whether it is known already if it is late: it is, if it has a watermark.
    pub is_known: Vec<bool>,
}

impl Arrivals {
    /// `n` rows that are not late.
    pub(crate) fn in_time(n: usize) -> Self {
        Self { watermarks: vec![None; n], origins: vec![0; n], is_known: vec![true; n] }
    }
}

/// A row that came behind the watermark of at least one of its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateRow {
    /// Its number among the rows that were given.
    pub row: usize,
    /// The end of the last window that it missed.
    pub window_end: EventTime,
    /// The watermark that it came behind.
    pub watermark: EventTime,
    /// Whether other windows took it.
    pub is_in_others: bool,
}

/// What rows did to the state.
pub struct Advanced {
    /// The rows that are now due, as the aggregation's output columns.
    pub due: RecordBatch,
    /// The state rows that changed: the checkpoint's delta.
    pub delta: RecordBatch,
    /// The rows that came too late.
    pub late: Vec<LateRow>,
}

impl WindowAggregator {
    /// An aggregation without state. `input` are the columns that the step before it gives.
    pub fn new(plan: Aggregation, input: &SchemaRef) -> Result<Self> {
        let (groups, window_column) = (plan.groups, plan.window);
        let kind = match plan.kind {
            WindowKind::Fixed(windows) => Kind::Fixed(Box::new(FixedAggregator::new(plan, windows, input)?)),
            WindowKind::Same => Kind::Fixed(Box::new(FixedAggregator::of_given_windows(plan, input)?)),
            WindowKind::Session { gap } => Kind::Session(Box::new(SessionAggregator::new(plan, gap, input)?)),
        };
        Ok(Self { groups, window_column, kind })
    }

    /// The column of the window among the input's columns.
    #[must_use]
    pub fn window_column(&self) -> usize {
        self.window_column
    }

    /// The columns of the state: groups, then partial results, and what else there is to say of a group.
    #[must_use]
    pub fn state_schema(&self) -> &SchemaRef {
        on!(self, a => a.state_schema())
    }

    /// About what the state takes.
    #[must_use]
    pub fn size(&self) -> Size {
        on!(self, a => a.size())
    }

    /// Puts state into files, until about `bytes_max` bytes are in memory, as far as that can be. When it fails, all is as it was, and
    /// it can be asked again.
    pub fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        on!(mut self, a => a.spill(area, bytes_max))
    }

    /// The state rows behind `mark`, about `bytes_max` of them, and the mark behind these; without one, there are no more.
    pub fn part(&self, mark: &Mark, bytes_max: usize) -> Result<(RecordBatch, Option<Mark>)> {
        on!(self, a => a.part(mark, bytes_max))
    }

    /// The results of the windows whose end `only` picks, as the aggregation's output columns.
    pub fn results(&self, only: impl Fn(EventTime) -> bool) -> Result<RecordBatch> {
        on!(self, a => a.results(only))
    }

    /// Puts back state rows that a checkpoint stored; a later row of a group replaces an earlier one.
    pub fn restore(&mut self, rows: RecordBatch) -> Result<()> {
        on!(mut self, a => a.restore(rows))
    }

    /// Closes the windows that the watermark has reached, without results: for deltas that were stored before they closed. What is behind the group
    /// `emitted` is still to come out, where that is given.
    pub fn drop_closed(&mut self, watermark: Option<EventTime>, emitted: Option<RecordBatch>) -> Result<()> {
        on!(mut self, a => a.drop_closed(watermark, emitted))
    }

    /// From now on, of the windows that are closed about `bytes_max` bytes of state come out of one [`advance`](Self::advance).
    pub fn bound_emission(&mut self, bytes_max: usize) {
        on!(mut self, a => a.bound_emission(bytes_max));
    }

    /// The last group that has come out of closed windows, as its group columns, where others are still to come out.
    pub fn emitted(&self) -> Result<Option<RecordBatch>> {
        let emitted = on!(self, a => a.emitted());
        let groups: Vec<usize> = (0..self.groups).collect();
        Ok(emitted.map(|last| last.row.project(&groups)).transpose()?)
    }

    /// Whether closed windows are still to come out.
    #[must_use]
    pub fn has_more(&self) -> bool {
        on!(self, a => a.emitted()).is_some()
    }

    /// Behind which watermark all has come out, when it has come to `watermark`.
    #[must_use]
    pub fn emitted_watermark(&self, watermark: Option<EventTime>) -> Option<EventTime> {
        let emitted = on!(self, a => a.emitted()).map(|last| EventTime(last.key.end().0.saturating_sub(1)));
        watermark.map(|watermark| emitted.map_or(watermark, |emitted| emitted.min(watermark)))
    }

    /// How far back rows can reach that are not late, where only the rows say so: sessions whose gaps differ.
    #[must_use]
    pub fn reach(&self) -> Option<Reach> {
        match &self.kind {
            Kind::Fixed(_) => None,
            Kind::Session(sessions) => sessions.reach(),
        }
    }

    /// Puts [`reach`](Self::reach) back.
    pub fn set_reach(&mut self, reach: Reach) {
        if let Kind::Session(sessions) = &mut self.kind {
            sessions.set_reach(reach);
        }
    }

    /// `rows` with one zero and one NaN in what they are grouped by: groups are told apart by their bytes, and Spark's are by these values.
    fn grouped(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns =
            rows.columns().iter().enumerate().map(|(i, column)| if i < self.groups { normalized(column) } else { column.clone() });
        Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
    }

    /// Takes `rows` into those of their windows that were open when they came. Then closes the windows that `watermark` has reached.
    pub fn advance(&mut self, rows: &RecordBatch, arrivals: &Arrivals, watermark: Option<EventTime>) -> Result<Advanced> {
        let rows = self.grouped(rows)?;
        on!(mut self, a => a.advance(&rows, arrivals, watermark))
    }
}
