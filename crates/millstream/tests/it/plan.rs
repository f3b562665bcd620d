//! `plan`: what a changed pipeline means, told before it runs.

use super::process::{Outcome, Place};

const TOPIC: &str = "CREATE TABLE t (a INT NOT NULL) USING kafka OPTIONS (subscribe 't', value.format 'json');\n";
const ROWS: &str = "CREATE STREAMING TABLE rows USING cassandra PARTITIONED BY (a) AS SELECT a FROM STREAM t;\n";
const MORE: &str = "CREATE STREAMING TABLE more USING cassandra PARTITIONED BY (a) AS SELECT a FROM STREAM t;\n";

/// `millstream plan` on a pipeline of `sql`.
fn plan(place: &Place, sql: &str, format: &str) -> Outcome {
    let path = place.dir().join("changed.sql");
    std::fs::write(&path, sql).unwrap();
    Outcome::of(place.command(&["plan", "--format", format]).arg(path))
}

#[test]
fn a_changed_pipeline_is_judged_while_the_old_one_runs_and_when_nothing_does() {
    let place = Place::with(&format!("{TOPIC}{ROWS}"));
    let grown = format!("{TOPIC}{ROWS}{MORE}");
    let changed = format!("{TOPIC}{}", ROWS.replace("SELECT a FROM", "SELECT a, a + 1 AS b FROM"));
    let first = plan(&place, &grown, "text");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stdout.contains("new") && !place.data().exists(), "{first:?}");
    let judge = || {
        let outcome = plan(&place, &grown, "json");
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let verdicts: Vec<_> = json["tables"].as_array().unwrap().iter().map(|t| (t["table"].clone(), t["verdict"].clone())).collect();
        assert_eq!(verdicts, [("more", "new"), ("rows", "kept"), ("t", "kept")].map(|(t, v)| (t.into(), v.into())));
        let outcome = plan(&place, &changed, "text");
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stdout.contains("millstream reset rows --pipeline PATH"), "{outcome:?}");
    };
    let running = place.run();
    judge();
    running.terminate();
    judge();
    Outcome::of(place.command(&["plan"]).arg(place.dir().join("absent.sql"))).refused(&["absent.sql does not exist"]);
}

#[test]
fn a_pipeline_grows_on_an_old_data_directory() {
    let place = Place::with(&format!("{TOPIC}{ROWS}"));
    place.run().terminate();
    std::fs::write(place.pipeline(), format!("{TOPIC}{ROWS}{MORE}")).unwrap();
    let (status, log) = place.run().terminate();
    assert_eq!(status.code(), Some(0), "{log}");
}
