//! The PostgreSQL endpoint with psql, the client that everybody has.

use std::process::{Command, Stdio};

use millstream_testkit::require;

use crate::endpoint::Endpoint;

fn present() -> bool {
    let found = Command::new("psql").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    require("psql", found)
}

/// What psql prints for `commands`, errors included.
async fn psql(endpoint: &Endpoint, commands: &[&str]) -> String {
    let mut command = tokio::process::Command::new("psql");
    command.args(["-X", "-h", "127.0.0.1", "-U", "ana", "-d", "millstream", "-p", &endpoint.address.port().to_string(), "-P", "pager=off"]);
    for one in commands {
        command.args(["-c", one]);
    }
    let output = command.output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    text
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("ERROR"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backslash_commands_describe_the_pipeline() {
    if !present() {
        return;
    }
    let endpoint = Endpoint::start().await;
    contains_all(&psql(&endpoint, &["\\d"]).await, &["carrier_daily", "airlines", "every_type"]);
    contains_all(&psql(&endpoint, &["\\dt"]).await, &["carrier_daily", "airlines", "table"]);
    contains_all(&psql(&endpoint, &["\\dn"]).await, &["public", "system"]);
    contains_all(&psql(&endpoint, &["\\l"]).await, &["millstream"]);
    contains_all(&psql(&endpoint, &["\\du"]).await, &["postgres"]);
    contains_all(&psql(&endpoint, &["\\conninfo"]).await, &["millstream"]);
    let described = psql(&endpoint, &["\\d every_type"]).await;
    contains_all(
        &described,
        &[
            "tinyint_",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "numeric",
            "text",
            "bytea",
            "date",
            "timestamp with time zone",
            "timestamp without time zone",
            "boolean",
        ],
    );
    contains_all(&psql(&endpoint, &["\\dt system.*"]).await, &["jobs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_of_a_report_with_reference_data_is_a_table() {
    if !present() {
        return;
    }
    let endpoint = Endpoint::start().await;
    let sql =
        "SELECT a.name, sum(c.departures) AS flights FROM carrier_daily c JOIN airlines a USING (carrier) GROUP BY a.name ORDER BY 2 DESC";
    let text = psql(&endpoint, &[sql]).await;
    contains_all(&text, &["United Air Lines Inc.", "335", "Frontier Airlines Inc.", "(2 rows)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_readable() {
    if !present() {
        return;
    }
    let endpoint = Endpoint::start().await;
    let text = psql(&endpoint, &["\\set VERBOSITY verbose", "DELETE FROM airlines", "SELECT * FROM nowhere"]).await;
    assert!(text.contains("ERROR:  25006: cannot execute DELETE in a read-only transaction"), "{text}");
    assert!(text.contains("ERROR:  42P01: relation \"nowhere\" does not exist"), "{text}");
}
