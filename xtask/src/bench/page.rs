//! `docs/benchmarks.md`: one section a benchmark, each written anew by the run that measured it, with the machine and the versions.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use crate::workspace;

/// Ours beside a peer's, measured in one run.
pub struct Comparison {
    /// What was done.
    pub what: String,
    /// How fast we were, in each round.
    pub ours: Vec<f64>,
    /// Who did the same.
    pub peer: String,
    /// How fast it was, in each round.
    pub theirs: Vec<f64>,
    /// What is counted, such as `rows/s`.
    pub unit: &'static str,
    /// The promise: ours divided by theirs, at least this.
    pub goal: Option<f64>,
}

impl Comparison {
    /// The ratio of the medians.
    pub fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.theirs)
    }
}

/// The middle one, of an even number the upper of the two.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The comparisons as a table.
pub fn table(comparisons: &[Comparison]) -> String {
    let mut text = String::from("| what | Millstream | beside | | ratio | promised |\n|---|---:|---|---:|---:|---:|\n");
    for comparison in comparisons {
        let (ours, theirs) = (figures(&comparison.ours, comparison.unit), figures(&comparison.theirs, comparison.unit));
        let goal = comparison.goal.map_or_else(|| "-".to_owned(), |goal| format!("{goal:.2}"));
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {} | {ours} | {} | {theirs} | {:.2} | {goal} |", comparison.what, comparison.peer, comparison.ratio());
    }
    text
}

fn figures(samples: &[f64], unit: &str) -> String {
    format!("{} {unit}{}", grouped(median(samples)), spread(samples))
}

/// The least and the most in parentheses, where there were several rounds.
pub fn spread(samples: &[f64]) -> String {
    let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if samples.len() > 1 { format!(" ({} to {})", grouped(least), grouped(most)) } else { String::new() }
}

/// A number with commas between the thousands; small ones keep a digit behind the point.
pub fn grouped(number: f64) -> String {
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Puts `text` into the section of the benchmark `name`, in place of what stood there.
pub fn write(name: &str, text: &str) -> Result<()> {
    let file = workspace::root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let page = replaced(&page, name, text).with_context(|| format!("{} has no section for {name}", file.display()))?;
    std::fs::write(&file, page).with_context(|| format!("can't write {}", file.display()))
}

/// What stands in the section of the benchmark `name`.
pub fn read(name: &str) -> Result<String> {
    let file = workspace::root().join("docs/benchmarks.md");
    let page = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let text = section(&page, name).with_context(|| format!("{} has no section for {name}", file.display()))?;
    Ok(text.to_owned())
}

fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("<!-- begin {name} -->\n"))?;
    Some(rest.split_once(&format!("<!-- end {name} -->"))?.0.trim())
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

/// The processor, its cores and the memory, as Linux tells them.
pub fn machine() -> String {
    let read = |file: &str, label: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find(|line| line.starts_with(label)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "processor unknown".to_owned());
    let kib = read("/proc/meminfo", "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    format!("{cores} cores ({model}), {} GB", kib.unwrap_or(0) / 1_000_000)
}

#[cfg(test)]
mod tests;
