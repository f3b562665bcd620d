use std::time::Duration;

use arrow::array::ArrayRef;

use super::*;

#[test]
fn windows_of_the_first_times_that_there_can_be_begin_with_time() {
    let windows = FixedWindows { size: Duration::from_micros(25), slide: Duration::from_micros(10), start_us: 0 };
    let last: ArrayRef = window_column(vec![i64::MIN], vec![i64::MIN + 25], None);
    let rows = RecordBatch::try_from_iter([("window", last)]).unwrap();
    let expanded = expand(&rows, 0, &UInt32Array::from(vec![3]), &windows).unwrap();
    assert_eq!(Bounds::starts(expanded.column(0)).unwrap().all().unwrap(), [i64::MIN; 3]);
    assert_eq!(Bounds::ends(expanded.column(0)).unwrap().all().unwrap(), [25, 15, 5].map(|end| i64::MIN + end));
}
