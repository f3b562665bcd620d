use super::*;

#[test]
fn a_row_shows_least_median_most_and_the_ratio_to_the_promise() {
    let row = row("seconds", &mut [9.0, 5.0, 8.0], 10.0);
    assert_eq!(row, ["seconds", "5.0", "8.0", "9.0", "10.0", "0.80"]);
}
