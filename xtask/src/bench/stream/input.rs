//! What the jobs read: the flights of some years, or the events of an auction. It names the topics, says how many events each holds, and publishes
//! them to an endpoint.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::nexmark::{self, Kind};
use crate::bench::Build;
use crate::{run, workspace};

/// A year's flights.
const YEAR: u64 = 336_776;

/// The most years that the publisher has.
const YEARS: u64 = 100;

/// What jobs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The flights that left New York in 2013, published once for each year, each year 365 days after the one before.
    Flights,
    /// Persons, auctions and bids: [`nexmark`].
    Nexmark,
}

/// A topic that a job's query reads as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The table's name.
    pub table: String,
    /// The topic's.
    pub topic: String,
    /// Its columns, as SQL has them.
    pub columns: String,
}

impl Input {
    /// All there are, in the order in which they are measured.
    pub const ALL: [Self; 2] = [Self::Flights, Self::Nexmark];

    /// How it is called in the names of folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flights => "flights",
            Self::Nexmark => "nexmark",
        }
    }

    /// The pipeline's tables.
    pub const fn tables(self) -> &'static str {
        match self {
            Self::Flights => include_str!("flights/topics.sql"),
            Self::Nexmark => include_str!("nexmark/topics.sql"),
        }
    }

    /// How many events there are if nobody says otherwise: some million for every job.
    pub const fn usual_events(self) -> u64 {
        match self {
            Self::Flights => YEAR * 15,
            Self::Nexmark => 10_000_000,
        }
    }

    /// How many of `events` events the table has.
    pub fn rows(self, table: &str, events: u64) -> u64 {
        match (self, table) {
            (Self::Flights, _) => events,
            (Self::Nexmark, "person") => nexmark::count(Kind::Person, events),
            (Self::Nexmark, "auction") => nexmark::count(Kind::Auction, events),
            (Self::Nexmark, _) => nexmark::count(Kind::Bid, events),
        }
    }

    /// The topic that holds `table`.
    pub fn topic(self, table: &str) -> Result<Topic> {
        topics(self.tables()).into_iter().find(|topic| topic.table == table).with_context(|| format!("there is no topic for {table}"))
    }

    /// All topics.
    pub fn topics(self) -> Vec<Topic> {
        topics(self.tables())
    }

    /// An error if so many events can't be had.
    pub fn check(self, events: u64) -> Result<()> {
        let most = if self == Self::Flights { YEAR * YEARS } else { nexmark::MOST };
        ensure!((1..=most).contains(&events), "there are 1 to {most} events of {}, not {events}", self.name());
        Ok(())
    }

    /// Publishes `events` events to each of the endpoints.
    pub fn publish(self, build: Build, endpoints: &[&str], events: u64) -> Result<()> {
        match self {
            Self::Flights => endpoints.iter().try_for_each(|endpoint| flights(build, endpoint, events)),
            Self::Nexmark => auction(endpoints, events),
        }
    }
}

fn flights(build: Build, endpoint: &str, events: u64) -> Result<()> {
    let topic = Input::Flights.topic("flights")?.topic;
    let (years, limit) = (events.div_ceil(YEAR).to_string(), events.to_string());
    let mut publish = Command::new(build.program()?);
    publish.args(["publish-flights", "--bootstrap", endpoint, "--topic", &topic, "--years", &years, "--limit", &limit]);
    run::captured(&mut publish).map(drop)
}

/// Makes the events once, and gives them to a kcat for each topic of each endpoint. A record's key is the event's number, so that the partitions go
/// forward evenly.
fn auction(endpoints: &[&str], events: u64) -> Result<()> {
    let start = |kind: Kind| {
        let table = match kind {
            Kind::Person => "person",
            Kind::Auction => "auction",
            Kind::Bid => "bid",
        };
        let topic = Input::Nexmark.topic(table)?.topic;
        endpoints.iter().map(|endpoint| Producer::start(endpoint, &topic)).collect::<Result<Vec<_>>>()
    };
    let mut producers = [start(Kind::Person)?, start(Kind::Auction)?, start(Kind::Bid)?];
    for (number, (kind, line)) in nexmark::Events::new(events).enumerate() {
        let [persons, auctions, bids] = &mut producers;
        let of_kind = match kind {
            Kind::Person => persons,
            Kind::Auction => auctions,
            Kind::Bid => bids,
        };
        for producer in of_kind {
            writeln!(producer.input, "{number}\t{line}").context("kcat takes no more events")?;
        }
    }
    producers.into_iter().flatten().try_for_each(Producer::end)
}

/// A kcat that publishes what it is given, a line a record.
struct Producer {
    child: Child,
    input: BufWriter<ChildStdin>,
}

impl Producer {
    fn start(endpoint: &str, topic: &str) -> Result<Self> {
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", endpoint, "-t", topic, "-K", "\t", "-X", "linger.ms=20", "-X", "partitioner=consistent_random"]);
        let mut child = kcat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("can't start kcat")?;
        let input = BufWriter::with_capacity(1 << 16, child.stdin.take().context("kcat has no stdin")?);
        Ok(Self { child, input })
    }

    /// Waits until all is acknowledged.
    fn end(mut self) -> Result<()> {
        self.input.flush().context("kcat takes no more events")?;
        drop(self.input);
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => bail!("kcat could not publish: {status}"),
        }
    }
}

/// The tables `USING kafka` of a pipeline's text, as the benchmarks write them: a head, columns, options.
fn topics(text: &str) -> Vec<Topic> {
    let statements = text.split("CREATE TABLE ").skip(1);
    statements
        .filter_map(|statement| {
            let (table, rest) = statement.split_once(" (\n")?;
            let (columns, rest) = rest.split_once("\n)\nUSING kafka OPTIONS (subscribe '")?;
            let (topic, _) = rest.split_once('\'')?;
            Some(Topic { table: table.to_owned(), topic: topic.to_owned(), columns: columns.trim().to_owned() })
        })
        .collect()
}

/// Puts the pipeline of a job, and the reference data that it may name, into `folder`.
pub fn write_pipeline(folder: &Path, input: Input, out: &str, query: &str) -> Result<()> {
    std::fs::copy(airlines(), folder.join("airlines.parquet"))?;
    let mut file = File::create(folder.join("pipeline.sql"))?;
    let sink = format!("CREATE STREAMING TABLE out USING kafka TBLPROPERTIES ('topic' = '{out}', 'value.format' = 'json') AS");
    Ok(writeln!(file, "{}{sink}\n{};", input.tables(), query.trim())?)
}

/// The airlines, by their codes.
pub fn airlines() -> std::path::PathBuf {
    workspace::root().join("examples/flights/reference/airlines.parquet")
}

#[cfg(test)]
mod tests;
