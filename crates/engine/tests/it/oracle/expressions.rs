//! Expressions, each over rows of arguments, through what a streaming flow's go through: `check`, the engine's compiler, its steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt8Array, UInt32Array};
use arrow::datatypes::{Field, Int64Type, Schema};
use datafusion::execution::SessionState;
use millstream_core::ChangeKind;
use millstream_engine::compile::{Rows, compile, run};
use millstream_pipeline::session::spark_session;
use millstream_pipeline::{SourceFile, parse};

use super::stated::{self, Kind, Stated};
use super::{counts, files, spelling};

/// A section of a golden file: an expression over arguments, and Spark's answer.
struct Section {
    expression: String,
    /// The types of the arguments.
    types: Vec<String>,
    /// The type of the result, or the condition with which Spark refuses the expression.
    result: Result<String, String>,
    /// Arguments, and Spark's value or `! CONDITION`.
    rows: Vec<(Vec<String>, String)>,
}

impl Section {
    fn types_text(&self) -> String {
        self.types.join(", ")
    }

    fn head(&self) -> String {
        if self.types.is_empty() { self.expression.clone() } else { format!("{} :: {}", self.expression, self.types_text()) }
    }
}

fn sections(text: &str) -> Vec<Section> {
    let starts = text.split("== ").filter(|s| !s.is_empty());
    let blocks = text.strip_prefix("== ").unwrap_or_default().split("\n\n== ");
    assert!(starts.count() >= 1, "a golden file without sections");
    blocks.map(section).collect()
}

fn section(text: &str) -> Section {
    let mut lines = text.lines();
    let (head, result) = lines.next().unwrap().rsplit_once(" => ").unwrap();
    let (expression, types) = head.rsplit_once(" :: ").unwrap_or((head, ""));
    let rows = lines.filter(|l| !l.is_empty()).map(|line| {
        let (arguments, value) = line.strip_prefix("=> ").map(|value| ("", value)).or_else(|| line.split_once("\t=> ")).unwrap();
        (arguments.split('\t').filter(|a| !a.is_empty()).map(str::to_owned).collect(), value.to_owned())
    });
    Section {
        expression: expression.to_owned(),
        types: split_types(types),
        result: match result.strip_prefix("! ") {
            Some(condition) => Err(condition.to_owned()),
            None => Ok(result.to_owned()),
        },
        rows: rows.collect(),
    }
}

/// `DECIMAL(10, 2), INT` as two types.
fn split_types(text: &str) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for part in text.split(", ").filter(|part| !part.is_empty()) {
        match types.last_mut().filter(|last| last.contains('(') && !last.contains(')')) {
            Some(open) => *open = format!("{open}, {part}"),
            None => types.push(part.to_owned()),
        }
    }
    types
}

/// What Millstream makes of an expression.
enum Answer {
    /// `check` refuses it.
    Refused(String),
    /// The type, and for each row the value or why there is none.
    Values(String, Vec<Result<String, String>>),
}

fn evaluate(section: &Section, session: &SessionState) -> Answer {
    let names = ["a", "b", "c"];
    let arguments: Vec<_> = section.types.iter().zip(names).map(|(data_type, name)| format!(", {name} {data_type}")).collect();
    let text = format!(
        "CREATE TABLE input (id BIGINT NOT NULL{}) USING kafka OPTIONS (subscribe 'input', value.format 'json');
         CREATE STREAMING TABLE result USING cassandra PARTITIONED BY (id) AS SELECT id, {} AS v FROM STREAM input;",
        arguments.concat(),
        section.expression
    );
    let file = SourceFile { name: "pipeline.sql".to_owned(), text };
    let pipeline = match parse(&[file]).and_then(|parsed| parsed.check(&BTreeMap::new())) {
        Ok(pipeline) => pipeline,
        Err(errors) => {
            let messages: Vec<_> = errors.iter().map(ToString::to_string).collect();
            return Answer::Refused(messages.join("; "));
        }
    };
    let table = pipeline.tables["result"].spec.schema.clone();
    let program = match compile(&pipeline.flows[0], table.clone(), session) {
        Ok(program) => program,
        Err(error) => return Answer::Refused(format!("only the engine refuses it: {error}")),
    };
    let count = section.rows.len();
    let columns: Vec<(&String, ArrayRef)> = program
        .inputs
        .iter()
        .map(|name| match names.iter().position(|n| n == name) {
            Some(at) => {
                let values: Vec<_> = section.rows.iter().map(|(arguments, _)| arguments[at].as_str()).collect();
                (name, spelling::column(&values, &section.types[at]))
            }
            None => (name, Arc::new(Int64Array::from_iter_values(0..i64::try_from(count).unwrap())) as ArrayRef),
        })
        .collect();
    let schema = Schema::new(columns.iter().map(|(name, c)| Field::new(name.as_str(), c.data_type().clone(), true)).collect::<Vec<_>>());
    let batch = RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
    let rows = Rows {
        batch,
        origin: UInt32Array::from_iter_values(0..u32::try_from(count).unwrap()),
        kinds: UInt8Array::from_value(ChangeKind::Insert.code(), count),
    };
    let mut rejects = Vec::new();
    let done = match run(&program.before, rows, &mut rejects) {
        Ok(done) => done,
        Err(error) => return Answer::Refused(format!("the flow stops: {error}")),
    };
    let mut values: Vec<Result<String, String>> = vec![Err("lost".to_owned()); count];
    let (ids, results) = (done.batch.column(0).as_primitive::<Int64Type>(), done.batch.column(1));
    for row in 0..done.batch.num_rows() {
        let value = spelling::value(results, row);
        let id = usize::try_from(ids.value(row)).unwrap();
        // The table would not take it.
        let forbidden = value == "NULL" && !table.field(1).is_nullable();
        values[id] = if forbidden { Err("null in a column that is NOT NULL".to_owned()) } else { Ok(value) };
    }
    for (row, reason) in rejects {
        // Every case is the column v, and which expression it is the case says.
        let reason = reason.strip_prefix("column v: ").unwrap_or(&reason);
        values[row as usize] = Err(reason.rsplit_once(", in ").map_or(reason, |(why, _)| why).to_owned());
    }
    Answer::Values(spelling::type_name(table.field(1).data_type()), values)
}

/// How Millstream's answer differs from Spark's: what it refuses, or the lines that differ.
enum Difference {
    Refused(String),
    Lines(Vec<String>),
}

/// The differences, and the most ulps that a value is away where all differences are such.
fn compare(section: &Section, answer: Answer) -> (Option<Difference>, Option<u64>) {
    let (data_type, values) = match (answer, &section.result) {
        (Answer::Refused(_), Err(_)) => return (None, None),
        (Answer::Refused(message), Ok(_)) => {
            // A constant expression is computed when it is checked.
            let all_fail = section.rows.iter().all(|(_, value)| value.starts_with("! "));
            return (if all_fail { None } else { Some(Difference::Refused(message)) }, None);
        }
        (Answer::Values(data_type, _), Err(condition)) => {
            return (Some(Difference::Lines(vec![format!("Spark refuses it: {condition}; here {data_type}")])), None);
        }
        (Answer::Values(data_type, values), Ok(_)) => (data_type, values),
    };
    let mut lines = Vec::new();
    let mut ulps = Some(0);
    let expected_type = section.result.as_deref().unwrap_or_default();
    if data_type != expected_type && expected_type != "NULL" {
        lines.push(format!("{expected_type}, here {data_type}"));
        ulps = None;
    }
    for ((arguments, expected), found) in section.rows.iter().zip(values) {
        let found_text = match &found {
            Ok(value) => value.clone(),
            Err(reason) => format!("! {reason}"),
        };
        let equal = match &found {
            Ok(value) => value == expected,
            Err(_) => expected.starts_with("! "),
        };
        if !equal {
            let apart = found.ok().and_then(|value| spelling::ulps_apart(expected, &value, &data_type));
            ulps = ulps.zip(apart).map(|(most, apart)| most.max(apart));
            let arguments = if arguments.is_empty() { String::new() } else { arguments.join("\t") + "\t" };
            lines.push(format!("{arguments}=> {expected}, here {found_text}"));
        }
    }
    if lines.is_empty() { (None, None) } else { (Some(Difference::Lines(lines)), ulps) }
}

/// Compares one golden file; adds what is wrong to `wrong`, and gives the text of the file of differences.
fn check_file(path: &std::path::Path, session: &SessionState, tally: &mut counts::Tally, wrong: &mut String) -> String {
    let stated = stated::read(path);
    let mut shown: BTreeSet<usize> = BTreeSet::new();
    let mut differences = String::new();
    for section in sections(&std::fs::read_to_string(path.with_extension("spark")).unwrap()) {
        let answer = catch_unwind(AssertUnwindSafe(|| evaluate(&section, session)))
            .unwrap_or_else(|_| Answer::Refused("Millstream panics".to_owned()));
        tally.expression(
            &section.expression,
            section.types.iter().map(String::as_str).chain(section.result.as_deref().ok()),
            section.rows.len(),
        );
        let (difference, ulps) = compare(&section, answer);
        let Some(difference) = difference else { continue };
        let about = |kind: &dyn Fn(Kind) -> bool| {
            let fits = |s: &Stated| kind(s.kind) && s.is_about(&section.expression, &section.types_text());
            stated.iter().position(fits)
        };
        let (statement, lines) = match &difference {
            Difference::Refused(message) => (about(&|k| k == Kind::Refused), vec![format!("refused: {message}")]),
            Difference::Lines(lines) => {
                let near = about(&|k| matches!(k, Kind::WithinUlps(most) if ulps.is_some_and(|ulps| ulps <= most)));
                (near.or_else(|| about(&|k| k == Kind::Differs)), lines.clone())
            }
        };
        match statement {
            Some(index) => {
                shown.insert(index);
                if matches!(stated[index].kind, Kind::Differs | Kind::Refused) {
                    let _ = writeln!(differences, "== {}\n{}\n", section.head(), lines.join("\n"));
                }
            }
            None => {
                let _ = writeln!(wrong, "== {}\n{}\n", section.head(), lines.join("\n"));
            }
        }
    }
    for (index, statement) in stated.iter().enumerate().filter(|(index, _)| !shown.contains(index)) {
        let _ = writeln!(wrong, "statement {index} of {} is true of no case any more, take it out: {}", path.display(), statement.text());
    }
    differences
}

#[test]
fn expressions_give_what_spark_gives() {
    let session = spark_session().state();
    let (mut tally, mut wrong) = (counts::Tally::default(), String::new());
    for path in files("expressions", "cases") {
        let differences = check_file(&path, &session, &mut tally, &mut wrong);
        if let Err(difference) = stated::settle(&path.with_extension("differs"), &differences) {
            let _ = writeln!(wrong, "{difference}");
        }
    }
    let missing = tally.functions_without_a_case(&session);
    if !missing.is_empty() {
        let _ = writeln!(wrong, "no case calls {}: a function of the language has cases", missing.join(", "));
    }
    tally.print("expressions");
    assert!(wrong.is_empty(), "\n{wrong}");
}
