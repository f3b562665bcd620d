//! Apache Flink SQL at a job: Flink's spelling of its query over the same topics of the real Kafka, in a cluster inside one process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::input::Topic;
use super::jobs::Job;
use super::peer::GRACE;
use crate::bench::watched::{Watched, watch};
use crate::e2e::process::folder;
use crate::run;
use crate::services::install;

/// How the page calls it.
pub const NAME: &str = "Flink 2.0.1 from Kafka, warm";

const JARS: &str = "flink-2.0.1-kafka";
const POM: &str = include_str!("flink/pom.xml");
const SOURCE: &str = include_str!("flink/FlinkStream.java");

/// Where Java looks for who makes reporters of metrics (java.util.ServiceLoader), and ours.
const SERVICE: &str = "META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory";
const REPORTER: &str = "FlinkStream$ProgressFactory";

/// The packages of `java.base` that Flink's own start script opens to it.
const OPENS: [&str; 11] = [
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
];

/// Runs Flink's `query` of a job over topics that hold `events` events of its input, for at most `limit`; its rows go to the topic `to`, or nowhere.
pub fn run(bootstrap: &str, job: &Job, query: &str, events: u64, to: Option<&str>, limit: Duration) -> Result<Watched> {
    let folder = folder("bench-flink")?;
    let jars = install::jars(JARS, POM)?;
    let classes = classes(&folder, &jars)?;
    let topics = job.reads.iter().map(|table| job.input.topic(table)).collect::<Result<Vec<_>>>()?;
    let file = folder.join("statements.sql");
    std::fs::write(&file, statements(bootstrap, &topics, job.query, query, to)?)?;
    let mut java = install::java()?;
    java.args(OPENS.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    java.args(["-Xmx4g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp"]).arg(class_path(&jars, &classes)).arg("FlinkStream");
    java.arg(file)
        .args([job.rows(events).to_string(), job.reads.len().to_string(), limit.as_secs().to_string()])
        .arg(folder.join("checkpoints"));
    watch(&mut java, limit + GRACE)
}

/// Compiles the program that runs a job: the reporter that tells it how far Flink is has to be on the class path.
fn classes(folder: &Path, jars: &Path) -> Result<PathBuf> {
    let classes = folder.join("classes");
    let service = classes.join(SERVICE);
    std::fs::create_dir_all(service.parent().context("it is in a folder")?)?;
    std::fs::write(service, REPORTER)?;
    let source = folder.join("FlinkStream.java");
    std::fs::write(&source, SOURCE)?;
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(class_path(jars, &classes)).arg("-d").arg(&classes).arg(source);
    run::captured(&mut javac)?;
    Ok(classes)
}

fn class_path(jars: &Path, classes: &Path) -> String {
    format!("{}/*:{}", jars.display(), classes.display())
}

/// What Flink is to execute: a table for each topic, with the watermark that `with_watermarks` has for it, and last the table that the query fills.
fn statements(bootstrap: &str, topics: &[Topic], with_watermarks: &str, query: &str, to: Option<&str>) -> Result<String> {
    let mut text = String::new();
    let kafka = |topic: &str| {
        format!(
            "'connector' = 'kafka', 'properties.bootstrap.servers' = '{bootstrap}', 'topic' = '{topic}', \
             'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'"
        )
    };
    for Topic { table, topic, columns } in topics {
        let mut all = columns.split(',').map(column).collect::<Result<Vec<_>>>()?;
        all.extend(watermark(table, with_watermarks)?);
        let bounds = "'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset'";
        writeln!(text, "CREATE TABLE {table} ({}) WITH ({}, {bounds});", all.join(", "), kafka(topic))?;
    }
    let sink = to.map_or_else(|| "'connector' = 'blackhole'".to_owned(), kafka);
    write!(text, "CREATE TABLE written WITH ({sink}) AS {}", query.trim())?;
    Ok(text)
}

/// A column as Flink has it: names that may be words of its own in quotes, a time with the precision that event time has there.
fn column(column: &str) -> Result<String> {
    let (name, data_type) = column.trim().split_once(' ').with_context(|| format!("{column} is no column"))?;
    let data_type = match data_type.trim_end_matches(" NOT NULL") {
        "TIMESTAMP" => "TIMESTAMP_LTZ(3)",
        other => other,
    };
    Ok(format!("`{name}` {data_type}"))
}

/// The watermark of a table in Spark's query (`STREAM table WATERMARK column DELAY OF INTERVAL n unit`) as Flink has it, if it has one.
fn watermark(table: &str, query: &str) -> Result<Option<String>> {
    let Some((_, clause)) = query.split_once(&format!("STREAM {table} WATERMARK ")) else { return Ok(None) };
    let words: Vec<&str> = clause.split_whitespace().collect();
    let [column, "DELAY", "OF", "INTERVAL", number, unit, ..] = words.as_slice() else { anyhow::bail!("no watermark: {clause}") };
    let unit = unit.trim_end_matches(')').trim_end_matches('S');
    Ok(Some(format!("WATERMARK FOR `{column}` AS `{column}` - INTERVAL '{number}' {unit}")))
}

#[cfg(test)]
mod tests;
