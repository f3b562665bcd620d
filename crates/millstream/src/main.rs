//! The binary `millstream`: reads the command line, runs the command, and turns what happened into an exit code.
//!
//! One module a command below [`commands`]; [`config`] says what is to be, and [`wiring`] alone makes it so. Data goes to stdout,
//! everything else to stderr.

mod allocator;
mod cli;
mod commands;
mod config;
mod control;
mod data_dir;
mod disk;
mod flights;
mod logs;
mod project;
mod publisher;
mod requests;
mod rows;
mod runtime;
mod service;
mod signals;
mod sql;
mod status;
mod upkeep;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    allocator::keep_memory();
    let cli = cli::Cli::parse();
    let outcome = logs::install(cli.log_format, &cli.log_level).and_then(|()| commands::run(cli));
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(error.kind().exit_code())
    })
}
