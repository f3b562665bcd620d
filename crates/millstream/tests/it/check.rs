//! `check` and `explain`.

use super::process::{Outcome, Place, millstream};

fn flights() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights/pipeline.sql")
}

#[test]
fn a_right_pipeline_is_taken_with_exit_code_0_and_nothing_on_stdout() {
    let outcome = Outcome::of(millstream().arg("check").arg(flights()));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{}", outcome.stderr);
}

#[test]
fn a_folder_of_files_is_one_pipeline() {
    let outcome = Outcome::of(millstream().arg("check").arg(flights().parent().unwrap()));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn a_wrong_pipeline_is_refused_with_exit_code_1_and_its_place_on_stderr() {
    let place = Place::with(
        "CREATE TABLE t (a INT) USING kafka OPTIONS (subscribe 't', value.format 'json');\nCREATE STREAMING TABEL u AS SELECT 1;\n",
    );
    let outcome = Outcome::of(millstream().arg("check").arg(place.pipeline()));
    assert_eq!(outcome.stdout, "");
    outcome.refused(&["pipeline.sql", ":2:"]);
}

#[test]
fn a_path_without_a_pipeline_is_refused() {
    let place = Place::with("");
    Outcome::of(millstream().arg("check").arg(place.dir().join("absent.sql"))).refused(&["absent.sql does not exist"]);
    std::fs::remove_file(place.pipeline()).unwrap();
    Outcome::of(millstream().arg("check").arg(place.dir())).refused(&["holds no .sql file"]);
}

#[test]
fn explain_says_who_serves_each_table_under_the_configuration() {
    let place = Place::with("");
    let config = place.dir().join("engines.toml");
    let cassandra = "[cassandra]\ncontact_points = [\"10.0.0.4:9042\"]\nkeyspace = \"flights\"\n";
    std::fs::write(&config, format!("[kafka]\nbootstrap_servers = \"broker:9092\"\n{cassandra}")).unwrap();
    let text = Outcome::of(millstream().arg("explain").arg(flights()).arg("--config").arg(&config));
    for line in [
        "flights: topic, served by Kafka (broker:9092)\n",
        "departures: event store, served by Cassandra (10.0.0.4:9042, keyspace flights)\n",
        "critical_delays: critical events, served by the built-in cache\n",
    ] {
        assert!(text.stdout.contains(line), "no {line:?} in {text:?}");
    }
    let json = Outcome::of(millstream().arg("explain").arg(flights()).args(["--format", "json", "--config"]).arg(&config));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let served = |name: &str| json["tables"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap()["served_by"].clone();
    assert_eq!(served("hourly_delays"), "Cassandra (10.0.0.4:9042, keyspace flights)");
    assert_eq!(served("carrier_daily"), "the built-in report store");
}

#[test]
fn explain_prints_the_graph_as_text_and_as_json() {
    let text = Outcome::of(millstream().arg("explain").arg(flights()));
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    for name in ["flights", "departures", "hourly_delays", "critical_delays", "airlines", "carrier_daily"] {
        assert!(text.stdout.contains(name), "no {name} in {}", text.stdout);
    }
    let json = Outcome::of(millstream().arg("explain").arg(flights()).args(["--format", "json"]));
    assert!(serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap().is_object());
}
