//! Queries, each a pipeline whose table `result` is compared with the rows that Spark gives for it.
//!
//! A query's comment may say, behind an `@`, what it needs: `@doubling changes the result` (counts and sums over a topic), `@closed
//! by a later event` (append mode: rows come when their window is closed), `@tolerance 1e-12: REASON` (sums of floating-point
//! numbers). Those in `streams` were run by Structured Streaming, in micro-batches (`@batches of 40`), and are about which rows are late;
//! where Spark decides that otherwise (`@differs: REASON`), what differs is a golden file beside them. Queries of kinds that the engine can't run yet are in `queries/not_yet`; `check` refuses them, and the day it doesn't
//! the suite says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use millstream_core::ports::ReferenceSource;
use millstream_engine::Engine;
use millstream_pipeline::graph::{Binding, Pipeline};
use millstream_pipeline::{SourceFile, parse};
use millstream_testkit::toy::FixedReferenceSource;

use super::ways::Way;
use super::{counts::Tally, files, folder, spelling, stated};
use crate::world::World;

/// Seeds of the runs that are not straight; each is another set of sizes, kills, and orders.
const SEEDS: [u64; 1] = [1];

/// How many processes have to die over the whole suite for its result to say anything.
const DEATHS_MIN: usize = 200;

/// A query of the suite, ready to run.
pub struct Query {
    pub name: String,
    pub pipeline: Arc<Pipeline>,
    /// The topics that it reads, with their partitions' count and events.
    pub topics: Vec<(String, i32, Vec<String>)>,
    references: BTreeMap<String, Arc<dyn ReferenceSource>>,
    expected: Expected,
    pub doubling_changes: bool,
    pub closed_by_later_event: bool,
}

/// The golden rows.
struct Expected {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How far a DOUBLE may be away, as a part of itself.
    tolerance: f64,
}

impl Query {
    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).unwrap();
        let pipeline = checked(&text)?;
        let marks: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("-- @")).collect();
        let tolerance = marks.iter().find_map(|mark| mark.strip_prefix("tolerance ")?.split(':').next()?.parse().ok());
        let rows = std::fs::read_to_string(path.with_extension("rows")).unwrap();
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = rows.lines().map(cells);
        let expected = Expected {
            columns: lines.next().unwrap(),
            rows: lines.filter(|cells| !cells.iter().all(String::is_empty)).collect(),
            tolerance: tolerance.unwrap_or(0.0),
        };
        let (mut topics, mut references) = (Vec::new(), BTreeMap::<String, Arc<dyn ReferenceSource>>::new());
        for (name, table) in &pipeline.tables {
            match &table.binding {
                Binding::Topic(topic) if pipeline.flows.iter().any(|flow| flow.reads(name)) => {
                    topics.push((name.clone(), topic.partitions, lines_of(name)));
                }
                Binding::Topic(_) => {}
                _ if table.spec.kind == millstream_core::TableKind::Reference => {
                    references.insert(name.clone(), reference(&table.spec.schema, &lines_of(name)));
                }
                _ => {}
            }
        }
        Ok(Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            pipeline,
            topics,
            references,
            expected,
            doubling_changes: marks.contains(&"doubling changes the result"),
            closed_by_later_event: marks.contains(&"closed by a later event"),
        })
    }

    /// A world in which it can run.
    pub fn world(&self, epoch_rows: usize) -> World {
        let mut world = World::with_epochs_of(epoch_rows);
        world.pipeline = self.pipeline.clone();
        world.references = self.references.clone();
        world
    }

    /// Runs the job that makes `result`, where a job does.
    async fn refresh(&self, world: &World) -> Result<(), String> {
        let Some(job) = self.pipeline.jobs.iter().find(|job| job.report == "result") else { return Ok(()) };
        let running = world.start().await;
        let engine = running.engine.clone();
        engine.caught_up().await.map_err(|error| error.to_string())?;
        let run = engine.refresh(&job.report).await.map_err(|error| format!("the job fails: {error}"))?;
        running.stop().await;
        run.error.map_or(Ok(()), |error| Err(format!("the job fails: {error}")))
    }

    /// The table `result`, compared with what Spark gives.
    pub async fn compare(&self, world: &World, engine: &Arc<Engine>) -> Result<(), String> {
        self.refresh(world).await?;
        let frame = engine.session().unwrap().sql("SELECT * FROM result").await.map_err(|e| e.to_string())?;
        let columns: Vec<_> =
            frame.schema().fields().iter().map(|f| format!("{} {}", f.name(), spelling::type_name(f.data_type()))).collect();
        if columns != self.expected.columns {
            return Err(format!("columns {columns:?}, Spark has {:?}", self.expected.columns));
        }
        let batches = frame.collect().await.map_err(|e| e.to_string())?;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for batch in &batches {
            rows.extend((0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| spelling::value(c, row)).collect()));
        }
        rows.sort_by_key(|row| row.join("\t"));
        self.expected.compare(&rows)
    }
}

impl Expected {
    fn compare(&self, found: &[Vec<String>]) -> Result<(), String> {
        let equal = |one: &Vec<String>, other: &Vec<String>| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| self.equal_cells(one, other))
        };
        let text = |rows: &[&Vec<String>]| rows.iter().take(4).map(|row| format!("    {}\n", row.join("\t"))).collect::<String>();
        if self.rows.len() == found.len() && self.rows.iter().zip(found).all(|(one, other)| equal(one, other)) {
            return Ok(());
        }
        let missing: Vec<_> = self.rows.iter().filter(|row| !found.iter().any(|other| equal(row, other))).collect();
        let surplus: Vec<_> = found.iter().filter(|row| !self.rows.iter().any(|other| equal(row, other))).collect();
        Err(format!(
            "{} rows, Spark has {}; {} only in Spark:\n{}  {} only here:\n{}",
            found.len(),
            self.rows.len(),
            missing.len(),
            text(&missing),
            surplus.len(),
            text(&surplus)
        ))
    }

    fn equal_cells(&self, one: &str, other: &str) -> bool {
        if one == other {
            return true;
        }
        let (Ok(one), Ok(other)) = (one.parse::<f64>(), other.parse::<f64>()) else { return false };
        self.tolerance > 0.0 && (one - other).abs() <= self.tolerance * one.abs().max(other.abs())
    }
}

/// The query's text with the shared tables in front, checked.
fn checked(text: &str) -> Result<Arc<Pipeline>, String> {
    let tables = std::fs::read_to_string(folder().join("tables.sql")).unwrap();
    let files = [("tables.sql", tables.as_str()), ("query.sql", text)];
    let files = files.map(|(name, text)| SourceFile { name: name.to_owned(), text: text.to_owned() });
    let parsed = parse(&files).map_err(|errors| errors.render(false))?;
    parsed.check(&BTreeMap::new()).map(Arc::new).map_err(|errors| errors.render(false))
}

fn lines_of(table: &str) -> Vec<String> {
    let path = folder().join("events").join(table).with_extension("jsonl");
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Reference data in lines of JSON.
fn reference(schema: &SchemaRef, lines: &[String]) -> Arc<dyn ReferenceSource> {
    let reader = arrow::json::ReaderBuilder::new(schema.clone()).build(std::io::Cursor::new(lines.join("\n"))).unwrap();
    Arc::new(FixedReferenceSource::new(schema.clone(), reader.map(Result::unwrap).collect()))
}

fn paths(folder: &str) -> Vec<PathBuf> {
    let only = std::env::var("MILLSTREAM_QUERY").unwrap_or_default();
    files(folder, "sql").into_iter().filter(|path| path.to_string_lossy().contains(&only)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_give_what_spark_gives_in_every_way() {
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for path in paths("queries") {
        let query = match Query::read(&path) {
            Ok(query) => query,
            Err(errors) => {
                wrong.push(format!("{} is refused:\n{errors}", path.display()));
                continue;
            }
        };
        tally.queries += 1;
        tally.called(&std::fs::read_to_string(&path).unwrap());
        tally.types(query.expected.columns.iter().filter_map(|column| column.split_once(' ')).map(|(_, data_type)| data_type));
        for way in Way::all(&SEEDS) {
            tally.runs += 1;
            let outcome = match way.run(&query).await {
                Ok(ran) => {
                    tally.deaths += ran.deaths;
                    query.compare(&ran.world, &ran.engine).await
                }
                Err(error) => Err(error),
            };
            if let Err(difference) = outcome {
                wrong.push(format!("{}, {way:?}: {difference}", query.name));
                // The other ways would say the same, or hide it.
                break;
            }
        }
    }
    tally.print("queries");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let is_whole = std::env::var_os("MILLSTREAM_QUERY").is_none();
    assert!(!is_whole || tally.deaths >= DEATHS_MIN, "only {} processes died", tally.deaths);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_close_the_windows_that_spark_closes_with_the_same_rows() {
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for path in paths("streams") {
        let text = std::fs::read_to_string(&path).unwrap();
        let query = Query::read(&path).unwrap_or_else(|errors| panic!("{} is refused:\n{errors}", path.display()));
        tally.queries += 1;
        tally.called(&text);
        tally.types(query.expected.columns.iter().filter_map(|column| column.split_once(' ')).map(|(_, data_type)| data_type));
        let differs = text.lines().any(|line| line.starts_with("-- @differs: "));
        for way in Way::in_order(&SEEDS) {
            tally.runs += 1;
            let ran = way.run(&query).await.unwrap_or_else(|error| panic!("{}, {way:?}: {error}", query.name));
            tally.deaths += ran.deaths;
            let outcome = query.compare(&ran.world, &ran.engine).await;
            wrong.extend(match (outcome, differs) {
                (Ok(()), false) => None,
                (Ok(()), true) => Some(format!("{} does not differ: take its statement out", query.name)),
                (Err(difference), true) => stated::settle(&path.with_extension("differs"), &(difference + "\n")).err(),
                (Err(difference), false) => Some(format!("{}, {way:?}: {difference}", query.name)),
            });
        }
    }
    tally.print("streams");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn queries_that_are_not_possible_yet_are_refused() {
    let possible: Vec<_> =
        paths("queries/not_yet").into_iter().filter(|path| checked(&std::fs::read_to_string(path).unwrap()).is_ok()).collect();
    assert!(possible.is_empty(), "these queries pass check now, move them to tests/oracle/queries: {possible:?}");
}
