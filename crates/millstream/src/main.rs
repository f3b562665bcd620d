//! The binary `millstream`: reads the command line, runs the command, and turns what happened into an exit code.
//!
//! One module a command below [`commands`]; [`config`] says what is to be, and [`wiring`] alone makes it so. Data goes to stdout,
//! everything else to stderr.

mod cli;
mod config;
mod disk;
mod flights;
mod logs;
mod rows;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let outcome = logs::install(cli.log_format, &cli.log_level);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}
