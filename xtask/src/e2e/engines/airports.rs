//! The reference table that the flights example reads from MySQL, filled from the file that it reads by default.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::e2e::process::{Millstream, folder};
use crate::services::{Site, mysql};

const COLUMNS: [&str; 8] = ["faa", "name", "lat", "lon", "alt", "tz", "dst", "tzone"];

/// Makes the table `airports` with the rows that Millstream reads from the file.
pub fn load(site: &Site) -> Result<()> {
    let query = format!("select {} from airports", COLUMNS.join(", "));
    let mut millstream = Millstream::start(&folder("engines/airports")?, &["run", "examples/flights/pipeline.sql"])?;
    millstream.wait_until_ready(Duration::from_secs(60))?;
    let rows = millstream.command(&["sql", "-e", &query, "--format", "json"])?;
    let mut statements = "DROP TABLE IF EXISTS airports;
CREATE TABLE airports (faa VARCHAR(8) PRIMARY KEY, name VARCHAR(200), lat DOUBLE, lon DOUBLE, alt BIGINT, tz BIGINT, dst VARCHAR(8),
  tzone VARCHAR(64));
"
    .to_owned();
    for line in rows.lines() {
        let row: Value = serde_json::from_str(line).with_context(|| format!("not a row: {line}"))?;
        let values: Vec<_> = COLUMNS.iter().map(|column| literal(row.get(column))).collect();
        writeln!(statements, "INSERT INTO airports VALUES ({});", values.join(", "))?;
    }
    mysql::statements(site, &statements)
}

fn literal(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "NULL".to_owned(),
        Some(Value::String(text)) => format!("'{}'", text.replace('\\', r"\\").replace('\'', "''")),
        Some(other) => other.to_string(),
    }
}
