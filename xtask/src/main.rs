//! The project's entry points, as `cargo xtask NAME`: what a person and what CI run.
//!
//! It starts other programs and reads files. It knows no product crate: it asks the `millstream` program, as any user would.

#![expect(clippy::print_stdout, reason = "a developer's tool speaks on stdout")]

mod bench;
mod chance;
mod ci;
mod demo;
mod docs;
mod e2e;
mod oracle;
mod prerequisites;
mod run;
mod services;
mod suites;
mod tidy;
mod workspace;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Makes cargo build this crate again for another clone (see `.cargo/config.toml`).
const _: Option<&str> = option_env!("CLONE_ROOT");

/// Millstream's entry points for developers
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build everything, then run the flights demo; arguments go to `millstream demo`
    Demo {
        /// Such as --exit, --rate 20000, --faults
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build everything, then run all tests, and print the table of contract suites by systems
    Test {
        /// Only the tests that need real systems, against those that `cargo xtask services up` started
        #[arg(long)]
        real: bool,
        /// Go to `cargo test`, such as -p millstream-core, or -- --nocapture
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the program with real clients (kcat, psql, the Java client), and compare the demo with its figures
    E2e {
        /// Only the checks whose name contains this
        filter: Option<String>,
        /// With the long ones: every outage of every engine, and ten runs with kills on every mix
        #[arg(long)]
        all: bool,
    },
    /// Real Kafka, Cassandra, PostgreSQL, PgBouncer, MariaDB and Redis as local processes, without containers
    Services {
        #[command(subcommand)]
        verb: services::Verb,
        /// Where everything of the instance lies; not set: one of the user's own under the system's temporary folder
        #[arg(long, global = true)]
        folder: Option<PathBuf>,
    },
    /// Check what the house rules say and a program can see
    Tidy,
    /// Everything that CI checks beside the tests: format, clippy, tidy, generated docs
    Ci,
    /// Write docs/reference/ from the program
    Docs {
        /// Compare, write nothing, and fail on a difference
        #[arg(long)]
        check: bool,
    },
    /// Make the golden files of the differential suite anew from Apache Spark, which is installed once into the user's cache folder
    Oracle {
        /// Only the files whose name contains this, or one of several with commas between them
        filter: Option<String>,
        /// Evaluate a fixed sample, compare it with the golden files, write nothing, and fail on a difference
        #[arg(long)]
        check: bool,
    },
    /// Print the table of contract suites by systems of the last test run
    Suites,
    /// Run the benchmarks, and write their figures to docs/benchmarks.md
    Bench(bench::Options),
}

impl Task {
    fn run(self) -> Result<()> {
        match self {
            Self::Demo { arguments } => demo::run(&arguments),
            Self::Test { real: true, arguments } => suites::test_real(&arguments),
            Self::Test { real: false, arguments } => suites::test(&arguments),
            Self::E2e { filter, all } => e2e::run(filter.as_deref(), all),
            Self::Services { verb, folder } => services::run(&verb, folder),
            Self::Tidy => tidy::run(),
            Self::Ci => ci::run(),
            Self::Docs { check } => docs::run(check),
            Self::Oracle { filter, check } => oracle::run(filter.as_deref(), check),
            Self::Suites => suites::print(),
            Self::Bench(options) => bench::run(options),
        }
    }
}

fn main() -> std::process::ExitCode {
    match Task::parse().run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
