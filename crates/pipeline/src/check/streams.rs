//! Joins of two streams: the one join in a flow's optimised plan, and the times between which rows of its sides can match. They bound what has
//! to be kept, so a join whose condition does not give both is refused.

use datafusion::common::{JoinType, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator};
use millstream_core::TableSpec;
use millstream_core::table::timestamp_type;

use super::lineage;
use super::shape::{self, Stream};
use super::targets::Target;
use crate::diagnostic::{Place, Problem};
use crate::graph::{Side, StreamJoin};

const MICROS_A_DAY: i64 = 86_400_000_000;

/// What is known of the time of the right row minus that of the left one, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bounds {
    least: Option<i64>,
    greatest: Option<i64>,
}

impl Bounds {
    fn at_least(&mut self, us: i64) {
        self.least = Some(self.least.map_or(us, |known| known.max(us)));
    }

    fn at_most(&mut self, us: i64) {
        self.greatest = Some(self.greatest.map_or(us, |known| known.min(us)));
    }
}

/// The join of `streams` in `plan`, which is optimised, with the tables on its left and right in this order; or why it can't run.
pub(super) fn join(plan: &LogicalPlan, streams: &[Stream; 2], place: Place) -> Result<(StreamJoin, Vec<Stream>), Problem> {
    let lost = || Problem::new("millstream::not_supported", place, "two streams in one flow have to be joined");
    let help = "write FROM STREAM a JOIN STREAM b ON a.key = b.key AND ..., or a flow for each stream into the same table (CREATE FLOW)";
    let found = join_of(plan, streams).ok_or_else(|| lost().help(help))?;
    let [first, second] = streams;
    let [left, right] = if shape::count_scans(&found.left, &first.table) > 0 { [first, second] } else { [second, first] };
    for stream in [left, right] {
        if stream.watermark.is_none() {
            return Err(no_watermark(stream));
        }
    }
    if left.table == right.table && left.watermark != right.watermark {
        let message = format!("`{}` is read twice, with watermarks that differ", left.table);
        return Err(Problem::new("millstream::bad_watermark", right.place, message).help("give both the same column and the same delay"));
    }
    if found.on.is_empty() {
        let message = "a join of streams needs an equality of columns";
        return Err(Problem::new("millstream::unsupported_over_stream", place, message)
            .help(format!("write JOIN STREAM {} ON left.column = right.column AND ...", right.table)));
    }
    let sides = Sides { join: found, left, right };
    let (bounds, condition) = sides.bounds();
    let (Some(least_us), Some(greatest_us)) = (bounds.least, bounds.greatest) else { return Err(sides.unbounded(bounds, place)) };
    if least_us > greatest_us {
        let message = "the bounds in time of the join exclude each other: no rows can match";
        return Err(Problem::new("millstream::no_time_bound", place, message).help(sides.example()));
    }
    let times = sides.times().ok_or_else(|| sides.unbounded(Bounds::default(), place))?;
    let right_watermark = right.watermark.clone().ok_or_else(|| no_watermark(right))?;
    let window_side = window_side(plan, found, place)?;
    let joined = StreamJoin { right: right.table.clone(), right_watermark, times, least_us, greatest_us, condition, window_side };
    Ok((joined, vec![left.clone(), right.clone()]))
}

fn no_watermark(stream: &Stream) -> Problem {
    let message = format!("a join of streams keeps rows until the watermark has passed them, and `{}` has none", stream.table);
    Problem::new("millstream::no_watermark", stream.place, message)
        .help(format!("write STREAM {} WATERMARK ts DELAY OF INTERVAL 1 HOUR, with its event-time column", stream.table))
}

/// The join both of whose sides read a stream.
fn join_of<'p>(plan: &'p LogicalPlan, streams: &[Stream]) -> Option<&'p Join> {
    let reads = |plan: &LogicalPlan| streams.iter().any(|stream| shape::count_scans(plan, &stream.table) > 0);
    match plan {
        LogicalPlan::Join(join) if reads(&join.left) && reads(&join.right) => Some(join),
        other => other.inputs().into_iter().find_map(|input| join_of(input, streams)),
    }
}

/// A join with the streams that its sides read.
struct Sides<'a> {
    join: &'a Join,
    left: &'a Stream,
    right: &'a Stream,
}

impl Sides<'_> {
    /// What the join's condition says of the event times, and what it says beside.
    fn bounds(&self) -> (Bounds, Option<Expr>) {
        let mut bounds = Bounds::default();
        for (left, right) in &self.join.on {
            self.compare(left, Operator::Eq, right, &mut bounds);
        }
        let mut beside = Vec::new();
        for condition in self.join.filter.iter().flat_map(split_conjunction) {
            let is_bound = match condition {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.compare(left, *op, right, &mut bounds),
                Expr::Between(between) if !between.negated => {
                    let low = self.compare(&between.expr, Operator::GtEq, &between.low, &mut bounds);
                    self.compare(&between.expr, Operator::LtEq, &between.high, &mut bounds) && low
                }
                _ => false,
            };
            if !is_bound {
                beside.push(condition.clone());
            }
        }
        (bounds, conjunction(beside))
    }

    /// Takes what `one op other` says, if both are an event time plus or minus a length of time. Whether that is all that it says.
    fn compare(&self, one: &Expr, op: Operator, other: &Expr, bounds: &mut Bounds) -> bool {
        let (Some((one_side, one_us)), Some((other_side, other_us))) = (self.moment(one), self.moment(other)) else { return false };
        // As `left + left_us op right + right_us`: of right minus left.
        let (op, us) = match (one_side, other_side) {
            (Side::Left, Side::Right) => (Some(op), one_us.saturating_sub(other_us)),
            (Side::Right, Side::Left) => (op.swap(), other_us.saturating_sub(one_us)),
            _ => return false,
        };
        match op {
            Some(Operator::Lt) => bounds.at_least(us.saturating_add(1)),
            Some(Operator::LtEq) => bounds.at_least(us),
            Some(Operator::Gt) => bounds.at_most(us.saturating_sub(1)),
            Some(Operator::GtEq) => bounds.at_most(us),
            Some(Operator::Eq) => {
                bounds.at_least(us);
                bounds.at_most(us);
            }
            _ => return false,
        }
        true
    }

    /// The side whose event time `expr` is, and how many microseconds it is after it.
    fn moment(&self, expr: &Expr) -> Option<(Side, i64)> {
        match expr {
            Expr::Alias(alias) => self.moment(&alias.expr),
            Expr::Cast(cast) if *cast.field.data_type() == timestamp_type() => self.moment(&cast.expr),
            Expr::Column(column) => {
                let of = |plan: &LogicalPlan, stream: &Stream| {
                    let index = plan.schema().maybe_index_of_column(column)?;
                    (lineage::origin(plan, index) == stream.time()).then_some(())
                };
                let left = of(&self.join.left, self.left).map(|()| Side::Left);
                left.or_else(|| of(&self.join.right, self.right).map(|()| Side::Right)).map(|side| (side, 0))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
                let (moment, length) =
                    if let Some(length) = length(right) { (self.moment(left)?, length) } else { (self.moment(right)?, length(left)?) };
                Some((moment.0, moment.1.checked_add(length)?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
                let (side, us) = self.moment(left)?;
                Some((side, us.checked_sub(length(right)?)?))
            }
            _ => None,
        }
    }

    /// The places of the event times among the columns of both inputs.
    fn times(&self) -> Option<[usize; 2]> {
        let place = |plan: &LogicalPlan, stream: &Stream| {
            (0..plan.schema().fields().len()).find(|index| lineage::origin(plan, *index) == stream.time())
        };
        Some([place(&self.join.left, self.left)?, place(&self.join.right, self.right)?])
    }

    /// Refuses a join that has not both bounds.
    fn unbounded(&self, bounds: Bounds, place: Place) -> Problem {
        let (left, right) = (&self.left.table, &self.right.table);
        let what = match (bounds.least, bounds.greatest) {
            (None, Some(_)) => format!("nothing says how long before a row of `{left}` one of `{right}` may come that matches it"),
            (Some(_), None) => format!("nothing says how long after a row of `{left}` one of `{right}` may come that matches it"),
            _ => "nothing bounds the time between rows that match".to_owned(),
        };
        Problem::new("millstream::no_time_bound", place, format!("a join of streams would keep its rows for ever: {what}"))
            .help(self.example())
    }

    fn example(&self) -> String {
        let column = |stream: &Stream| stream.watermark.as_ref().map_or_else(|| "ts".to_owned(), |w| w.column.clone());
        let (left, right) = (column(self.left), column(self.right));
        format!(
            "write AND r.{right} BETWEEN l.{left} AND l.{left} + INTERVAL 1 HOUR, where l is `{}` and r is `{}`",
            self.left.table, self.right.table
        )
    }
}

/// The microseconds of an interval that has no months, whose length differs.
fn length(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Alias(alias) => length(&alias.expr),
        Expr::Negative(inner) => length(inner)?.checked_neg(),
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(MICROS_A_DAY)?.checked_add(interval.nanoseconds / 1_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => {
            i64::from(interval.days).checked_mul(MICROS_A_DAY)?.checked_add(i64::from(interval.milliseconds) * 1_000)
        }
        _ => None,
    }
}

/// The column of the `join` below that the column `index` of `plan` is, unchanged, on the way of which there is no aggregate.
fn column_of_join(plan: &LogicalPlan, index: usize, join: &Join) -> Option<usize> {
    match plan {
        LogicalPlan::Projection(projection) => column_below(&projection.input, projection.expr.get(index)?, join),
        LogicalPlan::Filter(filter) => column_of_join(&filter.input, index, join),
        LogicalPlan::SubqueryAlias(alias) => column_of_join(&alias.input, index, join),
        LogicalPlan::Join(found) if found == join => Some(index),
        LogicalPlan::Join(lookup) => {
            let left = lookup.left.schema().fields().len();
            if index < left { column_of_join(&lookup.left, index, join) } else { column_of_join(&lookup.right, index - left, join) }
        }
        _ => None,
    }
}

fn column_below(input: &LogicalPlan, expr: &Expr, join: &Join) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => column_below(input, &alias.expr, join),
        Expr::Column(column) => column_of_join(input, input.schema().maybe_index_of_column(column)?, join),
        _ => None,
    }
}

fn side_of(join: &Join, column: usize) -> Side {
    if column < join.left.schema().fields().len() { Side::Left } else { Side::Right }
}

/// Whether rows of the join may have nulls in place of that side.
fn may_be_missing(join: &Join, side: Side) -> bool {
    matches!((join.join_type, side), (JoinType::Full, _) | (JoinType::Left, Side::Right) | (JoinType::Right, Side::Left))
}

/// The side of whose event times the windows above the join are.
fn window_side(plan: &LogicalPlan, join: &Join, place: Place) -> Result<Option<Side>, Problem> {
    let Some(mut aggregate) = shape::aggregate_of(plan) else { return Ok(None) };
    while let Some(below) = shape::aggregate_of(&aggregate.input) {
        aggregate = below;
    }
    let time = aggregate.group_expr.iter().find_map(shape::window_arguments).map(|(time, _)| time);
    let column = time.and_then(|time| column_below(&aggregate.input, time, join));
    let Some(side) = column.map(|column| side_of(join, column)) else {
        let message = "the windows over a join of streams are not over the event time of one of its sides";
        return Err(Problem::new("millstream::watermark_mismatch", place, message).help("write window(left.ts, '1 hour')"));
    };
    if may_be_missing(join, side) {
        let message = "the windows are over the time of a side that a row of this outer join may lack";
        let help = "group by windows of the other side's time, or write JOIN; over a FULL JOIN there are no windows";
        return Err(Problem::new("millstream::unsupported_over_stream", place, message).help(help));
    }
    Ok(Some(side))
}

/// A column of the target's key that is null for the rows of an outer join that match nothing.
pub(super) fn missing_key(plan: &LogicalPlan, streams: &[Stream], target: &Target, spec: &TableSpec) -> Option<Problem> {
    let join = join_of(plan, streams)?;
    let is_missing = |column: &&str| {
        let index = spec.schema.index_of(column).ok();
        index.and_then(|index| column_of_join(plan, index, join)).is_some_and(|column| may_be_missing(join, side_of(join, column)))
    };
    let column = spec.key.columns().find(is_missing)?;
    let message = format!("key column `{column}` is null in the rows of this outer join that match nothing on its side");
    let help =
        format!("put columns of the other side into the key; in a full join write coalesce(left.{column}, right.{column}) AS {column}");
    Some(Problem::new("millstream::missing_key", target.key_place, message).help(help))
}
