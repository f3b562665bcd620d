//! The command line: what can be asked for, as data. It knows no command's inner working.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The streaming architecture of one Spark SQL file, in one program.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, max_term_width = 120)]
pub struct Cli {
    /// The format of log lines, which go to stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as `info,millstream_engine=debug`
    #[arg(long, global = true, default_value = "info", value_name = "FILTER")]
    pub log_level: String,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline until SIGTERM or Ctrl-C
    Run(RunArgs),
    /// Run the flights example: publish a year of flights, print what became of them, go on serving
    Demo(DemoArgs),
    /// Write a first pipeline to edit
    Init {
        /// The folder to write it to
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check a pipeline and its configuration; exit with 1 if something has to be changed
    Check(CheckArgs),
    /// Print what reads what in a pipeline, and who serves each table
    Explain {
        /// A .sql file, or a folder of them
        path: PathBuf,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
        format: ExplainFormat,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Say what a changed pipeline means for the data that is there, before it runs; exit with 0 if everything goes on, 2 if something has to
    /// be rebuilt first
    Plan {
        /// A .sql file, or a folder of them
        path: PathBuf,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
        format: PlanFormat,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Run a query over the tables of a pipeline
    Sql(SqlArgs),
    /// Run a batch job now, and publish its report
    Refresh {
        /// The materialized view's name
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Give events that were put aside to their flows again
    Replay {
        #[command(subcommand)]
        what: ReplayWhat,
    },
    /// Run every flow's query again over its log, and reconcile log, store, feed and reports
    Verify {
        /// How the outcome is printed
        #[arg(long, value_enum, default_value_t = VerifyFormat::Table)]
        format: VerifyFormat,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Print what the flows, jobs and listeners are doing, as JSON
    Status {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Empty the cache of a redis table; reads then load its rows from the event store
    Evict {
        /// The redis table's name
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Forget a table's or report's content, so that the next run builds it again from the start
    Reset {
        /// The streaming table's or materialized view's name
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// The configuration
    Config {
        #[command(subcommand)]
        what: ConfigWhat,
    },
    /// Print a reference page in Markdown (for the documentation)
    #[command(hide = true)]
    Docs {
        /// Which one
        #[arg(value_enum)]
        page: DocsPage,
    },
    /// Publish the flights of the example, as the demo does, to the Kafka endpoint of the configuration
    #[command(hide = true)]
    PublishFlights(PublishArgs),
}

/// Where a pipeline and its data are.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// A .sql file, or a folder of them [default: the pipeline that ran on this data directory last]
    #[arg(long, value_name = "PATH")]
    pub pipeline: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which configuration counts.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file [default: millstream.toml beside the pipeline, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory, instead of the one that the setting data_dir names
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// A .sql file, or a folder of them [default: only the configuration is checked]
    pub path: Option<PathBuf>,
    /// Also try every connection that the configuration names; exit with 1 if something has to be changed, 3 if a system is away
    #[arg(long)]
    pub probe: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// A .sql file, or a folder of them
    pub path: PathBuf,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// End after the summary instead of serving on
    #[arg(long)]
    pub exit: bool,
    /// Publish at most this many events a second
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Add malformed events, duplicates and late events, and show where each went
    #[arg(long)]
    pub faults: bool,
    /// Leave out the flights of one carrier, such as UA
    #[arg(long, value_name = "CARRIER")]
    pub without_carrier: Option<String>,
    /// Publish the flights of this Parquet file instead of the ones inside this program
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments of `sql`.
#[derive(Clone, Debug, Args)]
pub struct SqlArgs {
    /// A .sql file, or a folder of them [default: the pipeline that ran on this data directory last]
    pub path: Option<PathBuf>,
    /// The query, in PostgreSQL's dialect
    #[arg(short = 'e', long = "execute", value_name = "QUERY", required = true)]
    pub query: String,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What can be replayed.
#[derive(Clone, Debug, Subcommand)]
pub enum ReplayWhat {
    /// Events that could not become rows
    DeadLetters {
        /// Repaired events, one JSON object a line, instead of the raw ones: {"flow": ..., "partition": ..., "offset": ..., "value": {...}}
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        replay: ReplayArgs,
    },
    /// Events that came behind the watermark
    LateRows {
        #[command(flatten)]
        replay: ReplayArgs,
    },
}

/// Which set-aside events are replayed.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Only those of this flow
    #[arg(long)]
    pub flow: Option<String>,
    /// At most this many events
    #[arg(long)]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What can be asked of the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigWhat {
    /// Print the settings that count, and where each comes from
    Print {
        /// The pipeline beside which millstream.toml is looked for [default: the current folder]
        path: Option<PathBuf>,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Arguments of `publish-flights`.
#[derive(Clone, Debug, Args)]
pub struct PublishArgs {
    /// The configuration, which says where topics are and who we are there: [kafka], else listen.kafka [default: millstream.toml in the
    /// current folder, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A Kafka endpoint that asks for nothing, in place of the configuration's
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "config")]
    pub bootstrap: Option<String>,
    /// The topic [default: that of the table `flights` in the configuration, else `flights`]
    #[arg(long)]
    pub topic: Option<String>,
    /// Publish at most this many events a second
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// Publish only the first so many events
    #[arg(long, value_name = "EVENTS")]
    pub limit: Option<u64>,
    /// Add malformed events and duplicates
    #[arg(long)]
    pub faults: bool,
    /// With --faults, the late events too, which come last: to be asked for when the flows have passed everything else
    #[arg(long)]
    pub late_events: bool,
    /// Leave out the flights of one carrier, such as UA
    #[arg(long, value_name = "CARRIER")]
    pub without_carrier: Option<String>,
    /// Publish the flights of this Parquet file instead of the ones inside this program
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Publish the year so many times, each 365 days after the one before
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub years: u32,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// How `explain` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// How `plan` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// For people
    Table,
    /// RFC 4180 with a header line; null is an empty field
    Csv,
    /// One JSON object a line
    Json,
}

/// How `verify` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyFormat {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// The generated reference pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocsPage {
    /// Commands and their options
    Cli,
    /// Settings
    Configuration,
    /// Types, operators and functions
    Sql,
}

#[cfg(test)]
mod tests;
