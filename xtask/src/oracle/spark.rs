//! Apache Spark as a process that answers requests: `spark.py` in a Python of its own, installed once into the user's cache folder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cases::{self, Case};
use super::golden;
use super::queries::Query;
use super::values;
use crate::{services::install, workspace};

const PYSPARK: &str = "4.1.1";
const SCRIPT: &str = "xtask/src/oracle/spark.py";

/// A running Spark.
pub(super) struct Spark {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Spark {
    /// Starts it; it takes both cores for a while, and about 1.5 GB.
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new("nice");
        command.arg(install::pyspark(PYSPARK)?).arg(workspace::root().join(SCRIPT)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let java = install::java()?;
        if let Some(home) = Path::new(java.get_program()).parent().and_then(Path::parent).filter(|home| home.is_absolute()) {
            command.env("JAVA_HOME", home);
        }
        let mut process = command.spawn().context("can't start Spark")?;
        let (requests, answers) =
            (process.stdin.take().context("Spark has no stdin")?, process.stdout.take().context("Spark has no stdout")?);
        Ok(Self { process, requests, answers: BufReader::new(answers) })
    }

    /// The section of a golden file for this case.
    pub(super) fn evaluate(&mut self, case: &Case) -> Result<String> {
        let columns: Vec<_> = case.types.iter().enumerate().map(|(number, name)| [cases::argument(number), name]).collect();
        let literals =
            |row: &Vec<String>| row.iter().zip(&case.types).map(|(value, name)| values::literal(value, name)).collect::<Vec<_>>();
        let rows: Vec<_> = case.rows.iter().map(literals).collect();
        let answer = self.ask(&json!({"expression": case.expression, "columns": columns, "rows": rows}))?;
        golden::section(case, &answer).with_context(|| case.head())
    }

    /// The golden rows of a query over the events below `folder`.
    pub(super) fn rows(&mut self, query: &Query, folder: &Path) -> Result<String> {
        let tables: Vec<_> = query.tables.iter().map(|(name, columns, file)| json!([name, columns, folder.join(file)])).collect();
        let mut request = json!({"query": query.result, "tables": tables, "views": query.views});
        if let Some(stream) = &query.stream {
            request["stream"] =
                json!({"batch": stream.batch, "column": stream.watermark.column, "delay": stream.watermark.delay.to_lowercase()});
        }
        let answer = self.ask(&request)?;
        if let Some(condition) = answer["refused"].as_str() {
            bail!("Spark refuses it: {condition}");
        }
        golden::rows(&answer)
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.requests, "{request}").and_then(|()| self.requests.flush()).context("Spark is gone")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line).context("can't read Spark's answer")? == 0 {
            bail!("Spark ended before it answered {request}");
        }
        serde_json::from_str(&line).with_context(|| format!("Spark answered {line:?}"))
    }
}

impl Drop for Spark {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
