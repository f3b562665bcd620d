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
fn the_reference_pages_are_made_from_the_definitions() {
    let cli = Outcome::of(millstream().args(["docs", "cli"]));
    assert!(cli.stdout.contains("## `millstream replay dead-letters`"), "{}", cli.stdout);
    let settings = Outcome::of(millstream().args(["docs", "configuration"]));
    assert!(settings.stdout.contains("| `listen.kafka` | `\"127.0.0.1:9092\"` |"), "{}", settings.stdout);
}
