//! Apache Spark Structured Streaming at a job: the same query over the same topics of the real Kafka.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::input;
use super::jobs::Job;
use super::peer::GRACE;
use crate::bench::watched::{Watched, watch};
use crate::e2e::process::folder;
use crate::services::install;
use crate::workspace;

/// How the page calls it.
pub const NAME: &str = "Spark 4.1.1 from Kafka, warm";

const PYSPARK: &str = "4.1.1";
const JARS: &str = "spark-4.1.1-kafka";
const POM: &str = include_str!("spark-pom.xml");
const PROGRAM: &str = "xtask/src/bench/stream/spark_stream.py";

/// A topic is taken in so many micro-batches. The first one warms it up and isn't counted.
const BATCHES: u64 = 5;

/// Runs a job over topics that hold `events` events of its input, for at most `limit`; its rows go to the topic `to`, or nowhere.
pub fn run(bootstrap: &str, job: &Job, events: u64, to: Option<&str>, limit: Duration) -> Result<Watched> {
    let tables = job.reads.iter().map(|table| {
        let topic = job.input.topic(table)?;
        // from_json takes no NOT NULL.
        let columns = topic.columns.replace(" NOT NULL", "");
        let rows_per_batch = job.input.rows(table, events).div_ceil(BATCHES);
        Ok(json!({ "name": topic.table, "topic": topic.topic, "columns": columns, "rows_per_batch": rows_per_batch }))
    });
    let tables = serde_json::Value::from(tables.collect::<Result<Vec<_>>>()?);
    let mut command = Command::new(install::pyspark(PYSPARK)?);
    command.arg(workspace::root().join(PROGRAM));
    command.arg("--jars").arg(install::jars(JARS, POM)?).arg("--airlines").arg(input::airlines());
    command.args(["--bootstrap", bootstrap, "--query", job.spark_query.unwrap_or(job.query)]);
    command.args(["--tables", &tables.to_string(), "--limit", &limit.as_secs().to_string()]);
    command.arg("--checkpoint").arg(folder("bench-spark")?);
    if let Some(topic) = to {
        command.args(["--to", topic]);
    }
    watch(&mut command, limit + GRACE)
}
