use super::*;

#[test]
fn every_duration_has_a_place_that_is_at_most_a_hundredth_longer() {
    for us in (0..5_000).chain([9_999, 65_535, 65_536, 1_000_000, 86_400_000_000]) {
        let longest = longest(place(us));
        assert!(longest >= us && longest - us <= us / 100, "{us} is counted as {longest}");
        assert!(place(us + 1) == place(us) || place(us + 1) == place(us) + 1, "{us}");
    }
}

#[test]
fn quantiles_are_those_of_what_was_added() {
    let mut histogram = Histogram::new();
    assert_eq!((histogram.count(), histogram.at(500), histogram.most_us()), (0, 0, 0));
    (1..=100).for_each(|us| histogram.add(us));
    assert_eq!((histogram.count(), histogram.at(500), histogram.at(990), histogram.at(1_000)), (100, 50, 99, 100));
    histogram.add(1_000_000);
    assert_eq!((histogram.at(990), histogram.at(1_000), histogram.most_us()), (100, 1_000_000, 1_000_000));
}
