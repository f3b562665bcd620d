use serde_json::json;

use super::*;

const LIMIT: Duration = Duration::from_secs(300);

fn line_of(lines: &[Value]) -> Line {
    let watched = Watched { lines: Vec::new(), peak_bytes: 4_000_000_000 };
    Reached::read(lines).unwrap().line("Spark", &watched, 1_000_000.0, Some(10.0), LIMIT)
}

#[test]
fn a_job_that_was_done_has_a_rate_and_a_ratio() {
    let line = line_of(&[json!({ "rows": 4_000_000, "seconds": 20.0, "cpu_seconds": 40.0, "done": true })]);
    assert_eq!((line.rates, line.remark, line.ratio), (vec![200_000.0], None, Some(5.0)));
    assert_eq!((line.rate_per_core, line.peak_bytes, line.goal), (Some(100_000.0), Some(4e9), Some(10.0)));
}

#[test]
fn a_job_that_was_ended_says_how_far_it_came() {
    let line = line_of(&[json!({ "rows": 1_000_000, "seconds": 100.4, "cpu_seconds": 150.0, "done": false })]);
    assert_eq!(line.remark.as_deref(), Some("1,000,000 rows in 100 s, then ended after 300 s"));
    assert!(line.ratio.is_some());
}

#[test]
fn a_job_that_reached_nothing_has_no_ratio() {
    for lines in [vec![], vec![json!({ "rows": 0, "seconds": 0.0, "cpu_seconds": 0.0, "done": false })]] {
        let line = line_of(&lines);
        assert_eq!(line.remark.as_deref(), Some("none when it was warm; ended after 300 s"));
        assert_eq!((line.rates.len(), line.ratio, line.rate_per_core), (0, None, None));
    }
}

#[test]
fn figures_that_lack_something_are_an_error() {
    assert!(Reached::read(&[json!({ "rows": 1, "seconds": 1.0, "cpu_seconds": 1.0 })]).is_err());
    assert!(Reached::read(&[json!({ "rows": 1, "seconds": 1.0, "done": true })]).is_err());
}
