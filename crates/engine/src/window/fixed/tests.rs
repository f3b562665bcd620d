use std::time::Duration;

use super::*;

fn windows(size: u64, slide: u64) -> FixedWindows {
    FixedWindows { size: Duration::from_micros(size), slide: Duration::from_micros(slide), start_us: 0 }
}

/// The ends of the windows of `time`, by definition: every window is looked at.
fn ends(w: &FixedWindows, time: i64) -> Vec<i64> {
    let (size, slide) = (micros_of(w.size), micros_of(w.slide));
    (-50..50).map(|n| n * slide).filter(|start| *start <= time && time < start + size).map(|start| start + size).collect()
}

#[test]
fn a_row_is_in_every_window_that_holds_its_time_and_late_for_those_that_end_at_or_before_the_watermark() {
    for (size, slide) in [(60, 15), (60, 60), (25, 10), (7, 3), (10, 1)] {
        let w = windows(size, slide);
        for time in -40..40 {
            let all = ends(&w, time);
            let row = RowWindows::of(&w, time, *all.last().unwrap_or(&0));
            assert_eq!(row.open_at(None), u32::try_from(all.len()).unwrap_or(0), "{w:?} {time}");
            for watermark in -60..120 {
                let open = all.iter().filter(|end| **end > watermark).count();
                let open = u32::try_from(open).unwrap_or(0);
                assert_eq!(row.open_at(Some(EventTime(watermark))), open, "{w:?} {time} {watermark}");
                let missed = all.iter().rfind(|end| **end <= watermark).map(|end| EventTime(*end));
                assert_eq!(row.last_closed(open), missed, "{w:?} {time} {watermark}");
            }
        }
    }
}

#[test]
fn one_window_is_open_or_closed() {
    let row = RowWindows::one(10);
    assert_eq!((row.open_at(Some(EventTime(9))), row.open_at(Some(EventTime(10)))), (1, 0));
    assert_eq!((row.last_closed(1), row.last_closed(0)), (None, Some(EventTime(10))));
}
