//! What was compared, counted: the last line of the suite.

use std::collections::BTreeSet;
use std::io::Write as _;

use datafusion::execution::SessionState;

/// Functions whose values nobody can write down; `from_avro`, which Spark has in a package of its own; and those that belong to a `GROUP BY`,
/// which whole queries compare.
const NOT_COMPARABLE: [&str; 12] = [
    "from_avro",
    "session_window",
    "window_time",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_timezone",
    "localtimestamp",
    "now",
    "rand",
    "shuffle",
    "uuid",
];

/// What a run has compared.
#[derive(Debug, Default)]
pub struct Tally {
    expressions: usize,
    values: usize,
    pub queries: usize,
    pub runs: usize,
    /// Processes that died, and whose state another one restored.
    pub deaths: usize,
    types: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Tally {
    /// An expression with its types and how many rows were compared.
    pub fn expression<'a>(&mut self, text: &str, types: impl Iterator<Item = &'a str>, rows: usize) {
        self.expressions += 1;
        self.values += rows;
        self.types.extend(types.filter(|t| *t != "NULL").map(|t| t.split('(').next().unwrap_or(t).to_owned()));
        self.called(text);
    }

    /// The functions that a text calls: the words before a parenthesis, as far as the language has them.
    pub fn called(&mut self, text: &str) {
        let known = millstream_pipeline::function_names();
        for (at, _) in text.match_indices('(') {
            let before = text[..at].trim_end();
            let start = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |i| i + 1);
            let name = before[start..].to_lowercase();
            if known.contains(&name) {
                self.functions.insert(name);
            }
        }
    }

    /// The types of a query's columns.
    pub fn types<'a>(&mut self, types: impl Iterator<Item = &'a str>) {
        self.types.extend(types.map(|t| t.split('(').next().unwrap_or(t).to_owned()));
    }

    /// The scalar functions of the language that nothing called.
    pub fn functions_without_a_case(&self, session: &SessionState) -> Vec<String> {
        let scalar = |name: &String| session.scalar_functions().contains_key(name.as_str());
        let names = millstream_pipeline::function_names().into_iter();
        names.filter(|n| scalar(n) && !self.functions.contains(n) && !NOT_COMPARABLE.contains(&n.as_str())).collect()
    }

    /// Says what was compared, on stderr and as a line for the end of `cargo xtask test`.
    pub fn print(&self, what: &str) {
        let mut parts = vec![format!("{} types, {} functions", self.types.len(), self.functions.len())];
        if self.queries > 0 {
            parts.insert(0, format!("{} queries in {} runs with {} kills and restores", self.queries, self.runs, self.deaths));
        }
        if self.expressions > 0 {
            parts.insert(0, format!("{} expressions over {} rows", self.expressions, self.values));
        }
        let line = format!("compared with Apache Spark ({what}): {}", parts.join(", "));
        eprintln!("{line}");
        let Some(log) = std::env::var_os(millstream_testkit::report::SUITE_LOG) else { return };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
