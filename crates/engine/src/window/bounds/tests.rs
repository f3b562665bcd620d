use millstream_pipeline::window_column;

use super::*;

#[test]
fn bounds_of_null_windows_are_not_there() {
    let all = window_column(vec![0, 10], vec![10, 20], None);
    assert_eq!(Bounds::ends(&all).unwrap().all().unwrap(), [10, 20]);
    assert_eq!(Bounds::starts(&all).unwrap().all().unwrap(), [0, 10]);

    let some = window_column(vec![0, 10, 20], vec![10, 20, 30], Some(NullBuffer::from(vec![true, false, true])));
    let ends = Bounds::ends(&some).unwrap();
    assert!(!ends.are_all_there());
    assert_eq!(ends.iter().collect::<Vec<_>>(), [Some(10), None, Some(30)]);
    assert!(ends.all().unwrap_err().to_string().contains("a row without a window"));
    assert_eq!(Bounds::starts(&some.slice(2, 1)).unwrap().all().unwrap(), [20]);
}
