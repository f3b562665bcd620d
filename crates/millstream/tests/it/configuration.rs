//! What settings do from outside.

use super::process::{Outcome, Place, millstream};

const TOPIC: &str = "CREATE TABLE t (a INT) USING kafka OPTIONS (subscribe 't', value.format 'json');";

#[test]
fn the_environment_overrides_the_file_and_says_so() {
    let place = Place::with(TOPIC);
    std::fs::write(place.dir().join("millstream.toml"), "[listen]\nhttp = \"127.0.0.1:18080\"\nsql = \"127.0.0.1:15432\"\n").unwrap();
    let mut command = millstream();
    command.args(["config", "print"]).arg(place.pipeline()).env("MILLSTREAM_LISTEN__HTTP", "127.0.0.1:28080");
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("http = \"127.0.0.1:28080\"  # MILLSTREAM_LISTEN__HTTP\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("sql = \"127.0.0.1:15432\"  # ") && outcome.stdout.contains("millstream.toml\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("kafka = \"127.0.0.1:9092\"  # default\n"), "{}", outcome.stdout);
}

#[test]
fn an_unknown_variable_of_the_environment_is_refused() {
    let mut command = millstream();
    command.args(["config", "print"]).env("MILLSTREAM_LISTEN__KAFAK", "127.0.0.1:1");
    Outcome::of(&mut command).refused(&["MILLSTREAM_LISTEN__KAFAK", "did you mean listen.kafka?"]);
}

#[test]
fn a_wrong_configuration_keeps_a_pipeline_from_running() {
    let place = Place::with(TOPIC);
    std::fs::write(place.dir().join("millstream.toml"), "[spark]\nremote = \"sc://localhost\"\n").unwrap();
    Outcome::of(place.command(&["run"]).arg(place.pipeline())).refused(&["millstream.toml:1:2", "[spark] is not supported yet"]);
    assert!(!place.data().exists());
}

#[test]
fn a_listener_beyond_loopback_is_refused() {
    let place = Place::with(TOPIC);
    let mut command = place.command(&["run"]);
    command.arg(place.pipeline()).env("MILLSTREAM_LISTEN__SQL", "0.0.0.0:5432");
    Outcome::of(&mut command).refused(&["listen.sql = 0.0.0.0:5432", "no TLS or authentication"]);
}

#[test]
fn a_streaming_table_of_files_lies_where_its_own_section_says() {
    let place = Place::with(&format!(
        "{TOPIC}\nCREATE STREAMING TABLE archive USING parquet AS SELECT a FROM STREAM t;\n\
         CREATE STREAMING TABLE other USING parquet AS SELECT a FROM STREAM t;"
    ));
    std::fs::write(place.dir().join("millstream.toml"), "[tables.archive]\nlocation = \"elsewhere\"\n").unwrap();
    let running = place.run();
    assert!(running.until(|| place.dir().join("elsewhere/_millstream/table.json").is_file().then_some(())).is_some());
    let status = running.status();
    let engines = status["pipeline"]["engines"].as_array().unwrap();
    let lake: Vec<_> = engines.iter().filter(|e| e["box"] == "data lake").map(|e| e["system"].as_str().unwrap()).collect();
    assert_eq!(lake, ["built in", "lake"], "{status}");
    assert!(running.terminate().0.success());
    let in_data_dir = |table: &str| place.data().join("lake").join(table).exists();
    assert!(!in_data_dir("archive") && in_data_dir("other"));
}

#[test]
fn flights_are_published_to_the_endpoint_and_topic_of_a_configuration() {
    let place = Place::with(
        "CREATE TABLE flights (origin STRING) USING kafka OPTIONS (subscribe 'flights-2013', value.format 'json', partitions '4');\n\
         CREATE STREAMING TABLE raw USING cassandra PARTITIONED BY (_partition) TBLPROPERTIES ('clustering_key' = '_offset')\n\
         AS SELECT _partition, _offset, origin FROM STREAM flights;",
    );
    let running = place.run();
    let kafka = running.listen["kafka"].as_str().unwrap();
    assert!(running.until(|| running.rows("select count(*) from raw").ok()).is_some(), "it is open, and its topic is made");
    let renamed = "[tables.flights]\nsubscribe = \"flights-2013\"\n";
    let publish = |endpoint: String, limit: &str| {
        let config = place.dir().join("publisher.toml");
        std::fs::write(&config, format!("{endpoint}{renamed}")).unwrap();
        let outcome = Outcome::of(millstream().args(["publish-flights", "--limit", limit, "--config"]).arg(config));
        assert_eq!((outcome.code, outcome.stdout), (Some(0), format!("{limit}\n")), "{}", outcome.stderr);
    };
    publish(format!("[kafka]\nbootstrap_servers = \"{kafka}\"\n"), "100");
    publish(format!("[listen]\nkafka = \"{kafka}\"\n"), "50");
    let all = running.until(|| running.rows("select count(*) from raw").ok().filter(|rows| rows[0] == "150"));
    assert!(all.is_some(), "{}", running.status());
}

#[test]
fn the_reference_pages_are_made_from_the_definitions() {
    let cli = Outcome::of(millstream().args(["docs", "cli"]));
    assert!(cli.stdout.contains("## `millstream replay dead-letters`"), "{}", cli.stdout);
    let settings = Outcome::of(millstream().args(["docs", "configuration"]));
    assert!(settings.stdout.contains("| `listen.kafka` | `\"127.0.0.1:9092\"` |"), "{}", settings.stdout);
}
