//! `cargo xtask oracle`: what Apache Spark answers, as golden files that the engine's differential suite compares Millstream with.
//!
//! Everything lies in `crates/engine/tests/oracle`. A person writes `expressions/NAME.cases` (see [`cases`]), `queries/*.sql` and `streams/*.sql` (see
//! [`queries`]), and the events in `events/*.jsonl` come from seeded generators ([`nexmark`], [`flights`], [`lateness`]). One Spark session
//! ([`spark`]) evaluates all of it and this module writes `expressions/NAME.spark` and `queries/NAME.rows`. The suite,
//! `crates/engine/tests/it/oracle`, reads those and never starts Spark. `--check` evaluates a fixed sample and compares it with the
//! files, so that CI sees when they are not what Spark says.

mod cases;
mod differences;
mod events;
mod flights;
mod golden;
mod lateness;
mod nexmark;
mod queries;
mod spark;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;
use cases::Case;
use queries::Query;
use spark::Spark;

const FOLDER: &str = "crates/engine/tests/oracle";

/// Of the cases of expressions, `--check` evaluates every one whose number in its file is divisible by this.
const SAMPLED_CASES: usize = 12;

/// Of the queries, the same.
const SAMPLED_QUERIES: usize = 8;

/// Writes the golden files anew, those whose name contains `filter`; with `check` compares a sample of all, and writes nothing.
pub fn run(filter: Option<&str>, check: bool) -> Result<()> {
    let folder = workspace::root().join(FOLDER);
    let wanted = |path: &Path| filter.is_none_or(|part| part.split(',').any(|part| path.to_string_lossy().contains(part)));
    let expressions: Vec<_> = files(&folder.join("expressions"), "cases")?.into_iter().filter(|path| wanted(path)).collect();
    let mut queries = files(&folder.join("queries"), "sql")?;
    queries.extend(files(&folder.join("queries/not_yet"), "sql")?);
    queries.extend(files(&folder.join("streams"), "sql")?);
    queries.retain(|path| wanted(path));
    events::settle(&folder.join("events"), check)?;
    let mut spark = Spark::start()?;
    let mut stale = Vec::new();
    for path in &expressions {
        let cases = cases::read(path)?;
        let golden = path.with_extension("spark");
        if check {
            let text = fs::read_to_string(&golden).with_context(|| format!("can't read {}", golden.display()))?;
            for case in cases.iter().step_by(SAMPLED_CASES) {
                if !golden::has_section(&text, &spark.evaluate(case)?) {
                    stale.push(format!("{}: {}", name(&golden), case.head()));
                }
            }
        } else {
            write(&golden, &expressions_text(&mut spark, &cases)?)?;
            eprintln!("{}: {} expressions", name(&golden), cases.len());
        }
    }
    let shared = queries::shared(&folder)?;
    for (number, path) in queries.iter().enumerate() {
        if check && number % SAMPLED_QUERIES != 0 {
            continue;
        }
        let golden = path.with_extension("rows");
        let rows = spark.rows(&Query::read(path, &shared)?, &folder).with_context(|| name(path))?;
        if !check {
            write(&golden, &rows)?;
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(rows.as_str()) {
            stale.push(name(&golden));
        }
    }
    if !stale.is_empty() {
        bail!("Spark says otherwise than {} of the golden files, run `cargo xtask oracle`:\n{}", stale.len(), stale.join("\n"));
    }
    Ok(())
}

/// What differs from Spark and why, and what is not possible yet, for the reference page of SQL.
pub fn differences() -> Result<String> {
    let folder = workspace::root().join(FOLDER);
    let cases = files(&folder.join("expressions"), "cases")?;
    differences::page(&cases, &files(&folder.join("streams"), "sql")?, &files(&folder.join("queries/not_yet"), "sql")?)
}

fn expressions_text(spark: &mut Spark, cases: &[Case]) -> Result<String> {
    let sections: Result<Vec<String>> = cases.iter().map(|case| spark.evaluate(case)).collect();
    Ok(sections?.join("\n"))
}

/// The files of a folder with this extension, by name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths: Vec<_> = paths?.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    Ok(paths)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
