//! The jobs: each a query over one input, as each program has it, and what Millstream has promised of it.

use anyhow::{Result, bail};

use super::input::Input;

/// A query over the topics of an input.
pub struct Job {
    /// What `--jobs` calls it.
    pub name: &'static str,
    /// What the page calls it.
    pub what: &'static str,
    /// What it reads,
    pub input: Input,
    /// of that these tables.
    pub reads: &'static [&'static str],
    /// The query, which Spark runs as it stands,
    pub query: &'static str,
    /// unless it runs this one in its place.
    pub spark_query: Option<&'static str>,
    /// Flink's spelling of it; none where Flink SQL has none.
    pub flink_query: Option<&'static str>,
    /// Whether it writes enough rows for its sink to count: then everybody writes them to a topic, else peers to nowhere.
    pub to_topic: bool,
    /// Whether it keeps no state, so that a bare client's consume loop is what real Kafka allows.
    pub stateless: bool,
}

/// How many times as fast as Spark Millstream is to be from the built-in endpoint: from topic to topic,
const GOAL_TO_TOPIC: f64 = 4.0;
/// and where hardly a row is written.
const GOAL: f64 = 10.0;

impl Job {
    /// How many times as fast as Spark it is to be from the built-in endpoint.
    pub const fn goal(&self) -> f64 {
        if self.to_topic { GOAL_TO_TOPIC } else { GOAL }
    }

    /// How many rows of its input's `events` events it reads.
    pub fn rows(&self, events: u64) -> u64 {
        self.reads.iter().map(|table| self.input.rows(table, events)).sum()
    }
}

/// A job over flights that keeps state and writes hardly a row.
const FLIGHTS: Job = Job {
    name: "",
    what: "",
    input: Input::Flights,
    reads: &["flights"],
    query: "",
    spark_query: None,
    flink_query: None,
    to_topic: false,
    stateless: false,
};

/// The same over the bids of an auction.
const BIDS: Job = Job { input: Input::Nexmark, reads: &["bid"], ..FLIGHTS };

/// All jobs, in the order in which they are measured.
pub static JOBS: [Job; 15] = [
    Job {
        name: "decode",
        what: "decode, all rows filtered out",
        query: include_str!("flights/decode.sql"),
        // Its optimizer would read the JSON anew for each comparison; its sink takes whatever comes and does nothing.
        spark_query: Some("SELECT * FROM STREAM flights"),
        flink_query: Some(include_str!("flights/decode.flink.sql")),
        stateless: true,
        ..FLIGHTS
    },
    Job {
        name: "filter",
        what: "filter and projection to a topic",
        query: include_str!("flights/filter.sql"),
        flink_query: Some(include_str!("flights/filter.flink.sql")),
        to_topic: true,
        stateless: true,
        ..FLIGHTS
    },
    Job {
        name: "hourly",
        what: "hourly window by origin",
        query: include_str!("flights/hourly.sql"),
        flink_query: Some(include_str!("flights/hourly.flink.sql")),
        ..FLIGHTS
    },
    Job {
        name: "sliding",
        what: "window of an hour every 15 minutes, by origin",
        query: include_str!("flights/sliding.sql"),
        flink_query: Some(include_str!("flights/sliding.flink.sql")),
        ..FLIGHTS
    },
    Job {
        name: "reference",
        what: "join with reference data to a topic",
        query: include_str!("flights/reference.sql"),
        to_topic: true,
        ..FLIGHTS
    },
    Job {
        name: "streams",
        what: "join of two streams: the next departures of the same aircraft",
        query: include_str!("flights/streams.sql"),
        flink_query: Some(include_str!("flights/streams.flink.sql")),
        to_topic: true,
        ..FLIGHTS
    },
    Job {
        name: "q0",
        what: "Nexmark q0: every bid as it is, to a topic",
        query: include_str!("nexmark/q0.sql"),
        flink_query: Some(include_str!("nexmark/q0.flink.sql")),
        to_topic: true,
        stateless: true,
        ..BIDS
    },
    Job {
        name: "q1",
        what: "Nexmark q1: prices in another currency, to a topic",
        query: include_str!("nexmark/q1.sql"),
        flink_query: Some(include_str!("nexmark/q1.flink.sql")),
        to_topic: true,
        stateless: true,
        ..BIDS
    },
    Job {
        name: "q2",
        what: "Nexmark q2: bids on some auctions, to a topic",
        query: include_str!("nexmark/q2.sql"),
        flink_query: Some(include_str!("nexmark/q2.flink.sql")),
        to_topic: true,
        stateless: true,
        ..BIDS
    },
    Job {
        name: "q3",
        what: "Nexmark q3, within a minute: who sells in a category and three states, to a topic",
        reads: &["person", "auction"],
        query: include_str!("nexmark/q3.sql"),
        flink_query: Some(include_str!("nexmark/q3.flink.sql")),
        to_topic: true,
        ..BIDS
    },
    Job {
        name: "q4",
        what: "Nexmark q4, in windows: the mean of the winning bids of each category",
        reads: &["auction", "bid"],
        query: include_str!("nexmark/q4.sql"),
        ..BIDS
    },
    Job {
        name: "q5",
        what: "Nexmark q5: the auction with the most bids in each sliding window",
        query: include_str!("nexmark/q5.sql"),
        flink_query: Some(include_str!("nexmark/q5.flink.sql")),
        ..BIDS
    },
    Job {
        name: "q7",
        what: "Nexmark q7: the highest bid of each window",
        query: include_str!("nexmark/q7.sql"),
        flink_query: Some(include_str!("nexmark/q7.flink.sql")),
        ..BIDS
    },
    Job {
        name: "q8",
        what: "Nexmark q8: who sells in the window of registering, to a topic",
        reads: &["person", "auction"],
        query: include_str!("nexmark/q8.sql"),
        flink_query: Some(include_str!("nexmark/q8.flink.sql")),
        to_topic: true,
        ..BIDS
    },
    Job {
        name: "q11",
        what: "Nexmark q11: sessions of bidders",
        query: include_str!("nexmark/q11.sql"),
        flink_query: Some(include_str!("nexmark/q11.flink.sql")),
        ..BIDS
    },
];

/// The jobs with these names, all of them if there are none; in the order of [`JOBS`].
pub fn chosen(names: &[String]) -> Result<Vec<&'static Job>> {
    if let Some(unknown) = names.iter().find(|name| JOBS.iter().all(|job| job.name != **name)) {
        bail!("there is no job {unknown}; there are: {}", JOBS.iter().map(|job| job.name).collect::<Vec<_>>().join(", "));
    }
    Ok(JOBS.iter().filter(|job| names.is_empty() || names.iter().any(|name| name == job.name)).collect())
}

#[cfg(test)]
mod tests;
