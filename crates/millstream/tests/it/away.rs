//! An engine that is away when the program starts: it is waited for, by name, and everything goes on by itself.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use millstream_testkit::report::require;
use serde_json::Value;

use super::process::{Place, free_ports, http_get};

const PIPELINE: &str = "
CREATE TABLE t (a INT NOT NULL, b INT) USING kafka OPTIONS (subscribe 't', value.format 'json');
CREATE STREAMING TABLE rows USING cassandra PARTITIONED BY (a) AS SELECT a, b FROM STREAM t;
CREATE STREAMING TABLE hot USING redis TBLPROPERTIES ('key' = 'a', 'ttl' = '1 hour') AS SELECT * FROM STREAM rows WHERE b > 1;
";

/// A process that ends with the test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines of JSON until one has this message; its fields.
fn until_said(lines: &mut impl BufRead, message: &str) -> Value {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it said {message:?}:\n{seen}");
        seen.push_str(&line);
        let fields = serde_json::from_str::<Value>(&line).unwrap_or_default()["fields"].take();
        if fields["message"].as_str().is_some_and(|said| said.contains(message)) {
            return fields;
        }
    }
}

fn readyz(http: &str) -> (bool, Value) {
    let answer = http_get(http, "readyz");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (answer.starts_with("HTTP/1.1 200"), serde_json::from_str(body).unwrap())
}

#[test]
fn a_redis_that_is_away_at_the_start_is_waited_for_and_named() {
    if !require("redis", Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok()) {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::with(PIPELINE);
    let mut command = place.command(&["run"]);
    command.arg(place.pipeline()).args(["--log-format", "json"]).stderr(Stdio::piped());
    free_ports(&mut command);
    let mut run = Owned(command.env("MILLSTREAM_REDIS__URL", format!("redis://127.0.0.1:{port}")).spawn().unwrap());
    let mut log = BufReader::new(run.0.stderr.take().unwrap());
    let http = until_said(&mut log, "opening")["http"].as_str().unwrap().to_owned();
    until_said(&mut log, "redis is away");
    assert!(http_get(&http, "healthz").starts_with("HTTP/1.1 200"));
    let (ready, answer) = readyz(&http);
    assert!(!ready);
    let redis = answer["engines"].as_array().unwrap().iter().find(|engine| engine["system"] == "redis").unwrap();
    assert_eq!((&redis["box"], &redis["state"]), (&"critical events".into(), &"away".into()), "{answer}");
    assert!(redis["since"].is_string() && redis["why"].is_string(), "{answer}");
    assert!(http_get(&http, "v1/tables/rows?a=1").starts_with("HTTP/1.1 503"));
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(place.dir());
    let _server = Owned(server.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    until_said(&mut log, "redis is back");
    until_said(&mut log, "running");
    // Flows are starting: the rest of the log is read on, and dropped.
    let _log = std::thread::spawn(move || for _ in log.lines() {});
    assert!(std::iter::repeat_with(|| readyz(&http)).take(50_000).any(|(ready, _)| ready), "{:?}", readyz(&http));
    assert!(http_get(&http, "metrics").contains("millstream_engine_up{box=\"critical events\",system=\"redis\"} 1\n"));
}
