use super::*;

#[test]
fn a_window_of_the_row_before_is_the_one_that_a_division_finds() {
    let times = [0, 1, 9, 10, 11, 25, 24, 19, 20, -1, -10, -11, 3, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1, i64::MIN + 12, 0];
    for (slide, start) in [(10, 0), (10, 3), (7, -5), (1, 0), (i64::MAX / 2, 0)] {
        let mut last = None;
        for (at, time) in times.iter().chain(times.iter().rev()).enumerate() {
            assert_eq!(start_behind(&mut last, *time, slide, start), start_of(*time, slide, start), "{at}: {time} of {slide} from {start}");
        }
    }
}
