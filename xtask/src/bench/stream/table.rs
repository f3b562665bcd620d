//! The table of the stream benchmark: for each job a line for each program that did it. A run that measures some jobs leaves the lines of the others as
//! they stand, if they are of the same machine, build and number of events.

use crate::bench::page::{grouped, median, spread};

/// What a program reached in a job.
#[derive(Debug, Default)]
pub struct Line {
    /// The program, and what it read from.
    pub program: String,
    /// Rows a second in each round; none where nothing was done.
    pub rates: Vec<f64>,
    /// Why the rates are not those of a whole round.
    pub remark: Option<String>,
    /// Rows for each second that it had of a core.
    pub rate_per_core: Option<f64>,
    /// The peak of its processes' resident memory.
    pub peak_bytes: Option<f64>,
    /// Of a peer: how many times as fast Millstream was.
    pub ratio: Option<f64>,
    /// At least this is promised of the ratio.
    pub goal: Option<f64>,
}

const HEAD: &str =
    "| job | program | rows/s | rows/s a core | peak memory | Millstream beside it | promised |\n|---|---|---:|---:|---:|---:|---:|\n";

/// The lines of all jobs, as the page has them.
pub struct Table {
    /// The jobs' names on the page, in their order.
    jobs: Vec<&'static str>,
    /// The lines of each, in the same order.
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table of these jobs, with the lines of those that aren't `measured` now and stand in `section`, if that begins with `head`.
    pub fn new(jobs: Vec<&'static str>, measured: &[&str], head: &str, section: &str) -> Self {
        let old: Vec<&str> =
            if section.starts_with(head) { section.lines().filter(|line| cells(line).len() == 7).collect() } else { Vec::new() };
        let kept = |job: &&'static str| -> Vec<String> {
            let of_job = old.iter().filter(|line| !measured.contains(job) && cells(line).first() == Some(job));
            of_job.map(|line| (*line).to_owned()).collect()
        };
        Self { lines: jobs.iter().map(kept).collect(), jobs }
    }

    /// Adds a line to those of `job`, and gives it as the page has it.
    pub fn add(&mut self, job: &str, line: &Line) -> Option<&str> {
        let index = self.jobs.iter().position(|known| *known == job)?;
        let lines = self.lines.get_mut(index)?;
        lines.push(text(job, line));
        lines.last().map(String::as_str)
    }

    /// The table, and what is under its goal.
    pub fn text(&self) -> String {
        let lines = || self.lines.iter().flatten();
        let table: String = lines().map(|line| format!("{line}\n")).collect();
        let missed: Vec<String> = lines().filter_map(|line| missed(line)).collect();
        let under = if missed.is_empty() { String::new() } else { format!("\n**Under its goal:** {}.\n", missed.join("; ")) };
        format!("{HEAD}{table}{under}")
    }
}

fn text(job: &str, line: &Line) -> String {
    let known = |value: Option<f64>, text: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), text);
    let rate = if line.rates.is_empty() { "-".to_owned() } else { grouped(median(&line.rates)) + &spread(&line.rates) };
    let remark = line.remark.as_ref().map_or_else(String::new, |remark| format!(" ({remark})"));
    let cells = [
        job.to_owned(),
        line.program.clone(),
        rate + &remark,
        known(line.rate_per_core, grouped),
        known(line.peak_bytes, |bytes| format!("{} MB", grouped((bytes / 1e6).round()))),
        known(line.ratio, |ratio| format!("{ratio:.2}")),
        known(line.goal, |goal| format!("{goal:.2}")),
    ];
    format!("| {} |", cells.join(" | "))
}

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    let inner = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"));
    inner.map_or_else(Vec::new, |inner| inner.split(" | ").collect())
}

/// The job and the program beside which a line's ratio is less than what was promised, with both.
fn missed(line: &str) -> Option<String> {
    let cells = cells(line);
    let [job, program, _, _, _, ratio, goal] = cells.as_slice() else { return None };
    let (is, promised): (f64, f64) = (ratio.parse().ok()?, goal.parse().ok()?);
    (is < promised).then(|| format!("{job}, beside {program}: {ratio} of {goal}"))
}

#[cfg(test)]
mod tests;
