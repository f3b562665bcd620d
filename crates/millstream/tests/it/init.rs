//! `init`.

use super::process::{Outcome, millstream};

#[test]
fn the_first_pipeline_is_right_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("new");
    let outcome = Outcome::of(millstream().arg("init").arg(&made));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let checked = Outcome::of(millstream().arg("check").arg(&made));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_eq!(std::fs::read_to_string(made.join("README.md")).unwrap().lines().count(), 3);
    std::fs::write(made.join("pipeline.sql"), "-- mine").unwrap();
    Outcome::of(millstream().arg("init").arg(&made)).refused(&["pipeline.sql is there already"]);
    assert_eq!(std::fs::read_to_string(made.join("pipeline.sql")).unwrap(), "-- mine");
}
