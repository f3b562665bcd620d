//! Starting, sharing a machine, and ending.

use super::process::{Outcome, Place, Running, free_ports, http_get, millstream};

const TOPIC: &str = "CREATE TABLE t (a INT NOT NULL) USING kafka OPTIONS (subscribe 't', value.format 'json');\n";
const ROWS: &str = "CREATE STREAMING TABLE rows USING cassandra PARTITIONED BY (a) AS SELECT a FROM STREAM t;\n";

#[test]
fn a_pipeline_drains_and_ends_with_exit_code_0_on_sigterm() {
    let place = Place::with(&format!("{TOPIC}{ROWS}"));
    let (status, log) = place.run().terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("each flow finishes its epoch"), "{log}");
    assert!(!place.data().join("control.sock").exists());
}

#[test]
fn a_second_process_on_a_data_directory_is_refused_and_told_who_has_it() {
    let place = Place::with(TOPIC);
    let first = place.run();
    let mut second = place.command(&["run"]);
    second.arg(place.pipeline());
    free_ports(&mut second);
    let outcome = Outcome::of(&mut second);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("process {}", first.pid())), "{}", outcome.stderr);
}

/// Started twice by mistake, both the directory and the ports are taken: who has them says more than a port.
#[test]
fn a_second_process_of_the_same_pipeline_is_told_who_runs_it_and_not_of_ports() {
    let place = Place::with(TOPIC);
    let first = place.run();
    let mut second = place.command(&["run"]);
    second.arg(place.pipeline());
    for (name, address) in [("HTTP", &first.listen["http"]), ("KAFKA", &first.listen["kafka"]), ("SQL", &first.listen["sql"])] {
        let address = address.as_str().unwrap().trim_start_matches("http://").trim_end_matches('/');
        second.env(format!("MILLSTREAM_LISTEN__{name}"), address);
    }
    let outcome = Outcome::of(&mut second);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("is in use by process {}", first.pid())), "{}", outcome.stderr);
}

#[test]
fn a_mistyped_log_level_is_refused() {
    let place = Place::with(TOPIC);
    Outcome::of(place.command(&["run", "--log-level", "wran"]).arg(place.pipeline()))
        .refused(&["wran is no level: write one of off, error"]);
}

#[test]
fn a_taken_port_is_refused_by_its_setting() {
    let place = Place::with(TOPIC);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = place.command(&["run"]);
    command.arg(place.pipeline()).env("MILLSTREAM_LISTEN__HTTP", "127.0.0.1:0").env("MILLSTREAM_LISTEN__SQL", "127.0.0.1:0");
    command.env("MILLSTREAM_LISTEN__KAFKA", &address);
    Outcome::of(&mut command).refused(&[&format!("listen.kafka = {address} is taken: set listen.kafka or MILLSTREAM_LISTEN__KAFKA")]);
}

#[test]
fn a_changed_pipeline_on_an_old_data_directory_is_refused_with_the_difference() {
    let place = Place::with(&format!("{TOPIC}{ROWS}"));
    place.run().terminate();
    std::fs::write(place.pipeline(), format!("{TOPIC}{}", ROWS.replace("SELECT a FROM", "SELECT a, a + 1 AS b FROM"))).unwrap();
    let mut command = place.command(&["run"]);
    command.arg(place.pipeline());
    free_ports(&mut command);
    Outcome::of(&mut command).refused(&["table rows", "millstream reset rows --pipeline PATH"]);
}

#[test]
fn a_full_disk_pauses_intake_and_shows_in_the_status() {
    let place = Place::with(TOPIC);
    // No disk has so much room.
    let running = Running::start(&place, &[("MILLSTREAM_DISK__FREE_BYTES_MIN", "1000000000000000000")]);
    let paused = running.until(|| running.status()["pipeline"]["intake_paused"].as_str().map(str::to_owned)).unwrap();
    assert!(paused.contains("disk.free_bytes_min"), "{paused}");
    let ready = http_get(running.listen["http"].as_str().unwrap(), "readyz");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
}

#[test]
fn the_version_is_printed() {
    let outcome = Outcome::of(millstream().arg("--version"));
    assert_eq!(outcome.stdout, format!("millstream {}\n", env!("CARGO_PKG_VERSION")));
}
