//! Tables of windows: aggregated again from the log in one pass, compared group by group.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type};
use futures::StreamExt as _;
use millstream_core::ports::LateRow;
use millstream_core::{EventTime, Result, RowPosition, TableSpec, Timestamp};
use millstream_pipeline::graph::{Flow, OutputMode};

use super::joined_data::Sure;
use super::stored::Stored;
use super::{Check, digest};
use crate::compile::nullable;
use crate::engine::Engine;
use crate::flow::checkpoint::Checkpoint;
use crate::flow::process::Lateness;
use crate::source::SourceState;

/// Sums of floating-point numbers depend on the order of their terms; results may differ by so much, relatively.
const FLOAT_TOLERANCE: f64 = 1e-9;

impl Engine {
    /// Checks a table of windows that has a key.
    pub(super) async fn verify_aggregated(&self, spec: &Arc<TableSpec>, held: &Stored) -> Result<Check> {
        let mut check = Check::of(&spec.name);
        let late_rows = self.ports.system.late_rows().await?;
        let schema = nullable(&spec.schema);
        let mut expected: Vec<RecordBatch> = Vec::new();
        let (mut whole, mut is_of_one_query, mut with_values) = (true, true, true);
        let mut ordered = vec![false; schema.fields().len()];
        for flow in self.pipeline.flows.iter().filter(|f| f.target == spec.name) {
            let Some(checkpoint) = self.committed_state(&flow.id, held.epochs.get(&flow.id)).await? else { continue };
            let late = late_of(&late_rows, flow, &checkpoint.header.source);
            let windows = self.expect_windows(flow, &checkpoint, &late, &mut check).await?;
            expected.push(windows.rows);
            whole &= windows.whole;
            is_of_one_query &= windows.is_of_one_query;
            with_values &= windows.with_values;
            ordered.iter_mut().zip(windows.ordered).for_each(|(any, this)| *any |= this);
        }
        let expected = concat_batches(&schema, &expected)?;
        let mut stored = Vec::new();
        let mut stream = held.scan().await?;
        while let Some(batch) = stream.next().await {
            let columns = batch?.columns().iter().take(schema.fields().len()).cloned().collect();
            stored.push(RecordBatch::try_new(schema.clone(), columns)?);
        }
        let stored = concat_batches(&schema, &stored)?;
        check.count("rows", stored.num_rows() as u64);
        if is_of_one_query {
            tokio::task::block_in_place(|| compare(spec, &expected, &stored, &Comparable { whole, with_values, ordered }, &mut check))?;
        }
        Ok(check)
    }

    /// What `flow` should have written at `checkpoint`.
    pub(super) async fn expect_windows(
        &self,
        flow: &Flow,
        checkpoint: &Checkpoint,
        late: &HashMap<RowPosition, EventTime>,
        check: &mut Check,
    ) -> Result<ExpectedWindows> {
        let watermark = checkpoint.header.watermark.as_ref().and_then(|w| w.current());
        let mut processor = self.processor(flow)?;
        processor.refresh(&self.references, &self.spark).await?;
        let before = self.before_change(flow, &checkpoint.header, check)?;
        let same_failures = before.as_ref().is_none_or(|before| before.same_failures);
        processor.decide_lateness(Lateness::Exactly(late.clone()));
        let mut events = 0;
        let mut dead = HashSet::new();
        let (mut met, mut came, mut aggregated_nowhere, mut fail_now) = (0, 0, 0, false);
        let whole = self
            .replay_source(flow, None, &checkpoint.header.source, &mut |chunk| {
                let processed = processor.process(chunk, Timestamp(0))?;
                events += chunk.records_for(&flow.id) as u64;
                met += processed.late.len();
                came += processed.aggregated;
                aggregated_nowhere += processed.late.iter().filter(|l| !l.is_in_others).count() as u64;
                dead.extend(chunk.rejected.iter().filter(|r| r.is_for(&flow.id)).map(|r| r.position));
                fail_now |= !processed.rejected.is_empty();
                if same_failures {
                    dead.extend(processed.rejected.iter().map(|(position, ..)| *position));
                }
                Ok(())
            })
            .await?;
        processor.settle(watermark)?;
        let watermark = processor.state().watermark_of_windows(watermark);
        let mode = processor.mode();
        let altered = checkpoint.header.altered.as_ref();
        if let Some(altered) = altered {
            check.note(format!(
                "flow {}: an earlier query wrote windows up to epoch {}, which can't be told from later ones: they were only counted",
                flow.id, altered.after
            ));
        }
        let same_reports = self.same_reports_from(flow, &checkpoint.header, check).is_none();
        let rows = processor.results(|end| mode != Some(OutputMode::Append) || watermark.is_some_and(|w| end <= w))?;
        let dead_letters = self.check_dead_letters(flow, &checkpoint.header.source, &dead, check).await?;
        // Whether each event came through the joins as it does now.
        let came_so =
            before.as_ref().is_none_or(|before| before.sure == Sure::OfEvent) && (same_failures || (!fail_now && dead_letters.is_empty()));
        if met < late.len() && whole && came_so {
            check.problem(format!("{} late rows of flow {} are of no event", late.len() - met, flow.id));
        }
        check.count("events", events);
        check.count("late", late.len() as u64);
        let left = events.saturating_sub(dead.len() as u64);
        // Of a join of streams it isn't known which events match nothing.
        let filtered = if flow.join.is_some() { 0 } else { left.saturating_sub(came) };
        check.count("filtered", filtered);
        check.count("aggregated", left.saturating_sub(filtered + aggregated_nowhere));
        Ok(ExpectedWindows {
            rows,
            ordered: processor.ordered_columns(),
            whole,
            is_of_one_query: altered.is_none() && same_reports && came_so,
            with_values: before.is_none(),
        })
    }
}

/// The rows that a flow of windows should have written.
pub(super) struct ExpectedWindows {
    pub(super) rows: RecordBatch,
    /// For each column, whether its values depend on the order in which events came.
    pub(super) ordered: Vec<bool>,
    /// Whether the source still holds all events.
    pub(super) whole: bool,
    /// Whether the table's windows can be compared at all: all were written by the query that the flow has now, with the reports that it joins now, and
    /// with the same events.
    pub(super) is_of_one_query: bool,
    /// Whether their values can be compared: all were made with the reference data that there is now.
    pub(super) with_values: bool,
}

/// The rows that were late for `flow`, whose sources were read to `until`, and the watermark that each came behind.
pub(super) fn late_of(late_rows: &[LateRow], flow: &Flow, until: &SourceState) -> HashMap<RowPosition, EventTime> {
    let late_rows = late_rows.iter().filter(|l| l.flow == flow.id);
    late_rows.map(|l| (position_for(flow, until, &l.source, l.position), l.watermark)).collect()
}

/// The position in what `flow` reads of a row of its source `source`.
pub(super) fn position_for(flow: &Flow, until: &SourceState, source: &str, position: RowPosition) -> RowPosition {
    until.position_among_all(flow.sources().position(|name| name == source).unwrap_or(0), position)
}

/// What of the rows can be compared.
struct Comparable {
    /// Whether the source still holds all events.
    whole: bool,
    /// Whether the windows' values can be compared, and not only which windows there are.
    with_values: bool,
    /// For each column, whether its values depend on the order in which events came: they may differ.
    ordered: Vec<bool>,
}

/// Compares windows by key.
fn compare(spec: &TableSpec, expected: &RecordBatch, stored: &RecordBatch, comparable: &Comparable, check: &mut Check) -> Result<()> {
    let Comparable { whole, with_values, ordered } = comparable;
    let whole = *whole;
    let loose: Vec<&str> = spec.schema.fields().iter().zip(ordered).filter(|(_, o)| **o).map(|(f, _)| f.name().as_str()).collect();
    if !loose.is_empty() {
        check.note(format!("not compared, for it depends on the order in which events came: {}", loose.join(", ")));
    }
    let key = spec.key.indices(&spec.schema)?;
    let mut rows: HashMap<digest::KeyDigest, usize> =
        digest::keys(expected, &key)?.into_iter().enumerate().map(|(row, k)| (k, row)).collect();
    let mut unexplained = 0;
    for (row, digest) in digest::keys(stored, &key)?.into_iter().enumerate() {
        match rows.remove(&digest) {
            Some(should) => {
                let differing =
                    (0..stored.num_columns()).find(|c| !ordered[*c] && !same(expected.column(*c), should, stored.column(*c), row));
                if let Some(column) = differing.filter(|_| whole && *with_values) {
                    let text = |array: &ArrayRef, at| arrow::util::display::array_value_to_string(array, at).unwrap_or_default();
                    check.problem(format!(
                        "window {}: {} is {}, and its events give {}",
                        digest::describe(stored, &key, row),
                        spec.schema.field(column).name(),
                        text(stored.column(column), row),
                        text(expected.column(column), should)
                    ));
                }
            }
            None if whole => check.problem(format!("window {} is explained by no event", digest::describe(stored, &key, row))),
            None => unexplained += 1,
        }
    }
    if unexplained > 0 || !whole {
        check.note("the log no longer keeps all events: windows could not be compared value by value");
    }
    if spec.ttl.is_some() && !rows.is_empty() {
        check.count("expired", rows.len() as u64);
        return Ok(());
    }
    for row in rows.into_values() {
        check.problem(format!("window {} is missing", digest::describe(expected, &key, row)));
    }
    Ok(())
}

fn same(a: &ArrayRef, i: usize, b: &ArrayRef, j: usize) -> bool {
    if a.is_null(i) || b.is_null(j) {
        return a.is_null(i) && b.is_null(j);
    }
    if a.data_type() == &DataType::Float64 && b.data_type() == &DataType::Float64 {
        let (x, y) = (a.as_primitive::<Float64Type>().value(i), b.as_primitive::<Float64Type>().value(j));
        return x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= FLOAT_TOLERANCE * x.abs().max(y.abs());
    }
    a.slice(i, 1).as_ref() == b.slice(j, 1).as_ref()
}
