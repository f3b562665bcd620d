//! The aggregations of a flow, each over the results of the one before: rows go in at the first, what is due comes out of the last.
//!
//! A window's result has the time of the window's last microsecond, so that it is in windows above that end no earlier: it is there
//! before these close, and is never late. An aggregation below another gives final results only (`append`).

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt8Array, UInt32Array};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use millstream_core::{ChangeKind, Error, EventTime, Result};
use millstream_pipeline::graph::{OutputMode, WindowKind};

use super::{Arrivals, LateRow, Mark, Reach, WindowAggregator};
use crate::compile::{self, Aggregation, AggregationStage, Rejects, Rows, Step};
use crate::spill::{Size, SpillArea};

struct Stage {
    input: SchemaRef,
    plan: Aggregation,
    aggregator: WindowAggregator,
    after: Vec<Step>,
}

/// The aggregations of a flow, with their state.
pub struct Stages {
    first: Stage,
    further: Vec<Stage>,
}

/// How far the state of a flow's aggregations is written. The default: nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagesMark {
    stage: usize,
    in_stage: Mark,
}

/// What rows did to the state.
pub struct StagesAdvanced {
    /// The rows of the last aggregation that are now due, after its steps.
    pub due: Rows,
    /// The state rows of each aggregation that changed: the checkpoint's delta.
    pub delta: Vec<RecordBatch>,
    /// The rows that came too late.
    pub late: Vec<LateRow>,
}

impl Stage {
    fn new(stage: AggregationStage) -> Result<Self> {
        let aggregator = WindowAggregator::new(stage.aggregation.clone(), &stage.input)?;
        Ok(Self { input: stage.input, plan: stage.aggregation, aggregator, after: stage.after })
    }

    /// What results of windows do to the rows of the table.
    fn kind(&self) -> ChangeKind {
        match self.plan.mode {
            OutputMode::Update => ChangeKind::Update,
            OutputMode::Append => ChangeKind::Insert,
        }
    }

    /// Results of windows, after the steps. An update that a step does not keep becomes a delete; an insert is no row.
    fn finish(&self, results: RecordBatch, kind: ChangeKind) -> Result<Rows> {
        let n = results.num_rows();
        let origin = UInt32Array::from_iter_values(0..u32::try_from(n).unwrap_or(u32::MAX));
        let rows = Rows { batch: results, origin, kinds: UInt8Array::from_value(kind.code(), n) };
        let mut failed = Rejects::new();
        let rows = compile::run(&self.after, rows, &mut failed)?;
        match failed.first() {
            None => Ok(rows),
            // No single event is to blame for a window's result, so there is none to put aside.
            Some((_, reason)) => Err(Error::invalid(format!("the result of a window could not be computed: {reason}"))),
        }
    }

    /// The column before the steps that `output` is a plain copy of, if it is one.
    fn trace(&self, output: usize) -> Option<usize> {
        let column = self.after.iter().rev().try_fold(output, |column, step| match step {
            Step::Filter(_) => Some(column),
            Step::Project { expressions, .. } => expressions.get(column)?.downcast_ref::<Column>().map(Column::index),
            Step::Join(_) | Step::Explode(_) => None,
        })?;
        Some(column).filter(|column| *column < self.plan.groups)
    }

    /// For each column after the steps, whether its values depend on the order of rows.
    fn ordered(&self) -> Vec<bool> {
        let groups = std::iter::repeat_n(false, self.plan.groups);
        let mut ordered: Vec<bool> = groups.chain(self.plan.functions.iter().map(|f| f.is_ordered)).collect();
        for step in &self.after {
            if let Step::Project { expressions, .. } = step {
                let depends = |e: &Arc<dyn PhysicalExpr>| collect_columns(e).iter().any(|c| ordered.get(c.index()) == Some(&true));
                ordered = expressions.iter().map(depends).collect();
            }
        }
        ordered
    }
}

impl Stages {
    /// Without state; `None` where there is no aggregation.
    pub fn new(stages: Vec<AggregationStage>) -> Result<Option<Self>> {
        let mut stages = stages.into_iter().map(Stage::new);
        let Some(first) = stages.next().transpose()? else { return Ok(None) };
        Ok(Some(Self { first, further: stages.collect::<Result<_>>()? }))
    }

    fn all(&self) -> impl DoubleEndedIterator<Item = &Stage> {
        std::iter::once(&self.first).chain(&self.further)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Stage> {
        std::iter::once(&mut self.first).chain(&mut self.further)
    }

    fn last(&self) -> &Stage {
        self.further.last().unwrap_or(&self.first)
    }

    /// When rows are written.
    #[must_use]
    pub fn mode(&self) -> OutputMode {
        self.last().plan.mode
    }

    /// The windows that rows go into.
    #[must_use]
    pub fn kind(&self) -> WindowKind {
        self.first.plan.kind
    }

    /// Why a row is in no window.
    #[must_use]
    pub fn why_in_none(&self) -> &'static str {
        match self.kind() {
            WindowKind::Session { .. } => {
                "the event time is null, or the gap of the session is null or not a length of time, so that the row is in no session"
            }
            _ => "the event time is null, so that the row is in no window",
        }
    }

    /// The column of the window among the columns that rows have.
    #[must_use]
    pub fn window_column(&self) -> usize {
        self.first.plan.window
    }

    /// Of the columns that rows are grouped by, the one that comes out unchanged as the column `output`; `None` if none does.
    #[must_use]
    pub fn group_behind(&self, output: usize) -> Option<usize> {
        self.all().rev().try_fold(output, |column, stage| stage.trace(column))
    }

    /// For each column that comes out, whether its values depend on the order in which rows came.
    #[must_use]
    pub fn ordered_columns(&self) -> Vec<bool> {
        let columns = self.last().ordered();
        let below = self.all().rev().skip(1).any(|stage| stage.ordered().contains(&true));
        columns.into_iter().map(|ordered| ordered || below).collect()
    }

    /// Whether a row that is added to closed windows can change open ones: sessions that it joins, windows above its own.
    #[must_use]
    pub fn closed_windows_reach_open_ones(&self) -> bool {
        !self.further.is_empty() || matches!(self.kind(), WindowKind::Session { .. })
    }

    /// About what the state takes.
    #[must_use]
    pub fn size(&self) -> Size {
        self.all().map(|stage| stage.aggregator.size()).fold(Size::default(), Size::plus)
    }

    /// Puts state into files, until about `bytes_max` bytes are in memory, as far as that can be: of each aggregation the same share. When it
    /// fails, nothing is lost, and it can be asked again.
    pub fn spill(&mut self, area: &SpillArea, bytes_max: usize) -> Result<()> {
        let all = self.size();
        self.all_mut().try_for_each(|stage| {
            let own = stage.aggregator.size();
            stage.aggregator.spill(area, own.share(all, bytes_max))
        })
    }

    /// A part of the state, by aggregation: about `bytes_max` of what is behind `mark`, and the mark behind it; without one, all is written.
    pub fn part(&self, mark: &StagesMark, bytes_max: usize) -> Result<(Vec<RecordBatch>, Option<StagesMark>)> {
        let mut parts = self.nothing();
        let mut from = mark.in_stage.clone();
        let mut left = bytes_max;
        for (number, (stage, part)) in self.all().zip(&mut parts).enumerate().skip(mark.stage) {
            let (rows, next) = stage.aggregator.part(&from, left)?;
            left = left.saturating_sub(rows.get_array_memory_size());
            *part = rows;
            if let Some(in_stage) = next {
                return Ok((parts, Some(StagesMark { stage: number, in_stage })));
            }
            from = Mark::default();
            if left == 0 && number < self.further.len() {
                return Ok((parts, Some(StagesMark { stage: number + 1, in_stage: from })));
            }
        }
        Ok((parts, None))
    }

    /// No state rows, by aggregation.
    #[must_use]
    pub fn nothing(&self) -> Vec<RecordBatch> {
        self.all().map(|stage| RecordBatch::new_empty(stage.aggregator.state_schema().clone())).collect()
    }

    /// Puts back state rows that a checkpoint stored; a later row of a group replaces an earlier one.
    pub fn restore(&mut self, states: Vec<RecordBatch>) -> Result<()> {
        let stored = states.len();
        let mut restored = 0;
        for (stage, rows) in self.all_mut().zip(states) {
            let layout = stage.aggregator.state_schema();
            let types = |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
            if types(layout) != types(&rows.schema()) {
                return Err(Error::invalid(format!(
                    "the state of a checkpoint has the columns {}, and the flow's has {layout}",
                    rows.schema()
                )));
            }
            stage.aggregator.restore(rows)?;
            restored += 1;
        }
        if restored == stored && restored == 1 + self.further.len() {
            return Ok(());
        }
        Err(Error::corrupt(format!("a checkpoint has the state of {stored} aggregations, and the flow has {}", 1 + self.further.len())))
    }

    /// Closes the windows that the watermark has reached, without results: for deltas that were stored before they closed.
    /// What is still to come out of each aggregation stays, as [`emitted`](Self::emitted) said.
    pub fn drop_closed(&mut self, mut watermark: Option<EventTime>, emitted: Vec<Option<RecordBatch>>) -> Result<()> {
        let mut emitted = emitted.into_iter();
        self.all_mut().try_for_each(|stage| {
            stage.aggregator.drop_closed(watermark, emitted.next().flatten())?;
            watermark = stage.aggregator.emitted_watermark(watermark);
            Ok(())
        })
    }

    /// From now on, of the windows that are closed about `bytes_max` bytes of state come out of each aggregation at a time.
    pub fn bound_emission(&mut self, bytes_max: usize) {
        self.all_mut().for_each(|stage| stage.aggregator.bound_emission(bytes_max));
    }

    /// Of each aggregation the last group that has come out of closed windows, where others are still to come out.
    pub fn emitted(&self) -> Result<Vec<Option<RecordBatch>>> {
        self.all().map(|stage| stage.aggregator.emitted()).collect()
    }

    /// Whether closed windows are still to come out.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.all().any(|stage| stage.aggregator.has_more())
    }

    /// The next part of what `watermark` has closed.
    pub fn go_on(&mut self, watermark: Option<EventTime>) -> Result<StagesAdvanced> {
        self.advance(&RecordBatch::new_empty(self.first.input.clone()), &Arrivals::default(), watermark)
    }

    /// How far back rows can reach that are not late, where only the rows say so: sessions whose gaps differ.
    #[must_use]
    pub fn reach(&self) -> Option<Reach> {
        self.first.aggregator.reach()
    }

    /// Puts [`reach`](Self::reach) back.
    pub fn set_reach(&mut self, reach: Reach) {
        self.first.aggregator.set_reach(reach);
    }

    /// Takes `rows` into those of their windows that were open when they came. Then closes the windows that `watermark` has reached, from
    /// the first aggregation to the last.
    pub fn advance(&mut self, rows: &RecordBatch, arrivals: &Arrivals, watermark: Option<EventTime>) -> Result<StagesAdvanced> {
        let advanced = self.first.aggregator.advance(rows, arrivals, watermark)?;
        let mut due = self.first.finish(advanced.due, self.first.kind())?;
        let mut delta = vec![advanced.delta];
        // Windows above wait for what is still to come out below.
        let mut watermark = self.first.aggregator.emitted_watermark(watermark);
        for stage in &mut self.further {
            let advanced = stage.aggregator.advance(&due.batch, &Arrivals::in_time(due.len()), watermark)?;
            due = stage.finish(advanced.due, stage.kind())?;
            delta.push(advanced.delta);
            watermark = stage.aggregator.emitted_watermark(watermark);
        }
        Ok(StagesAdvanced { due, delta, late: advanced.late })
    }

    /// The results of the windows whose end `only` picks, after all steps. No window was closed before: results of aggregations below go
    /// into those above now, so this is asked once.
    pub fn results(&mut self, only: impl Fn(EventTime) -> bool) -> Result<Rows> {
        let mut due = self.first.finish(self.first.aggregator.results(&only)?, ChangeKind::Insert)?;
        for stage in &mut self.further {
            stage.aggregator.advance(&due.batch, &Arrivals::in_time(due.len()), None)?;
            due = stage.finish(stage.aggregator.results(&only)?, ChangeKind::Insert)?;
        }
        Ok(due)
    }
}
