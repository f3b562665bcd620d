use super::*;

fn span(start: i64, end: i64) -> Span {
    Span { start, end }
}

/// Rows of one key as (time, gap, watermark). Returns the late ones, and the spans of the sessions that are there in the end.
fn run(rows: &[(i64, i64, Option<i64>)], gap: i64) -> (Vec<usize>, Vec<Span>) {
    let mut sessions = Sessions::new(Reach::of_gap(gap));
    let mut joining = sessions.joining(vec![b"k"]);
    let mut late = Vec::new();
    for (row, (time, gap, watermark)) in rows.iter().enumerate() {
        let own = span(*time, time + gap);
        if joining.is_late(0, own, watermark.map(EventTime)) {
            late.push(row);
        } else {
            joining.join(0, row, own);
        }
    }
    let mut spans: Vec<Span> = joining.settle().into_iter().filter(|j| j.into.is_none()).map(|j| j.span).collect();
    spans.sort();
    (late, spans)
}

#[test]
fn rows_within_a_gap_are_one_session_in_whatever_order_they_come() {
    let times = [0, 8, 30, 20, 100, 10];
    let mut order: Vec<usize> = (0..times.len()).collect();
    for _ in 0..50 {
        // A shuffle that needs no chance.
        order.rotate_left(1);
        order.swap(0, 3);
        let rows: Vec<_> = order.iter().map(|i| (times[*i], 10, None)).collect();
        assert_eq!(run(&rows, 10), (vec![], vec![span(0, 40), span(100, 110)]));
    }
}

#[test]
fn touching_is_enough() {
    assert_eq!(run(&[(0, 10, None), (10, 10, None)], 10).1, [span(0, 20)]);
    assert_eq!(run(&[(0, 10, None), (11, 10, None)], 10).1, [span(0, 10), span(11, 21)]);
}

#[test]
fn a_row_is_late_when_its_own_span_is_not_after_the_watermark() {
    // The second row would join an open session, and is late all the same, as in Spark.
    assert_eq!(run(&[(20, 10, None), (12, 10, Some(22))], 10).0, [1]);
    assert_eq!(run(&[(20, 10, None), (13, 10, Some(22))], 10), (vec![], vec![span(13, 30)]));
}

#[test]
fn a_row_that_meets_a_closed_session_is_late_and_one_that_does_not_begins_another() {
    assert_eq!(run(&[(0, 10, None), (10, 10, Some(12))], 10).0, [1], "the session of the first row is closed at 10");
    assert_eq!(run(&[(0, 10, None), (11, 10, Some(12))], 10), (vec![], vec![span(0, 10), span(11, 21)]));
}

#[test]
fn where_gaps_differ_a_row_that_reaches_back_beyond_what_is_remembered_is_late() {
    // At watermark 100 with gaps of at most 10, sessions that ended by 90 are forgotten.
    let rows = [(0, 10, None), (200, 10, Some(100)), (50, 80, Some(100)), (95, 80, Some(100))];
    assert_eq!(run(&rows, 0).0, [2]);
}

#[test]
fn a_bridge_takes_up_stored_sessions_and_those_of_the_epoch() {
    let mut sessions = Sessions::new(Reach::of_gap(10));
    sessions.add(b"k", span(0, 10), false);
    sessions.add(b"k", span(40, 50), false);
    let mut joining = sessions.joining(vec![b"k"]);
    let first = joining.join(0, 0, span(20, 30));
    let other = joining.join(0, 1, span(31, 39));
    let bridge = joining.join(0, 2, span(10, 31));
    let end = joining.join(0, 3, span(39, 40));
    let mut joined = joining.settle();
    assert_eq!([first, other, bridge, end].map(|n| whole(&joined, n)), [whole(&joined, end); 4]);
    let whole = whole(&joined, end);
    joined[whole].taken_up.sort();
    assert_eq!((joined[whole].span, joined[whole].taken_up.as_slice()), (span(0, 50), [span(0, 10), span(40, 50)].as_slice()));
}

#[test]
fn keys_are_apart_and_only_those_with_sessions_take_memory() {
    let mut sessions = Sessions::new(Reach::of_gap(10));
    let mut joining = sessions.joining(vec![b"a", b"late", b"b"]);
    assert!(joining.is_late(1, span(0, 10), Some(EventTime(20))));
    joining.join(0, 1, span(30, 40));
    joining.join(2, 2, span(35, 45));
    let joined = joining.settle();
    assert_eq!(joined.iter().map(|j| (j.key, j.row, j.span)).collect::<Vec<_>>(), [(0, 1, span(30, 40)), (2, 2, span(35, 45))]);
    assert_eq!(sessions.bytes(), 2 * PER_KEY_BYTES + 2);

    let mut joining = sessions.joining(vec![b"b"]);
    joining.join(0, 0, span(40, 50));
    let joined = joining.settle();
    assert_eq!((joined[0].span, joined[0].taken_up.as_slice()), (span(35, 50), [span(35, 45)].as_slice()), "it is the next epoch's too");
    sessions.remove(b"b", span(35, 50));
    sessions.remove(b"a", span(30, 40));
    assert_eq!(sessions.bytes(), 0);
}
