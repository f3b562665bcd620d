//! The commands, one module each: what the user asked for, in terms of the modules beside this one.

mod ask;
mod check;
mod configuration;
mod demo;
mod docs;
mod explain;
mod init;
mod plan;
mod present;
mod publish;
mod replay;
mod run;

use std::process::ExitCode;

use millstream_core::Result;

use crate::cli::{Cli, Command, ConfigWhat};
use crate::control::Request;

/// Runs the command and returns the process's exit code.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Config { what: ConfigWhat::Print { path, config } } => configuration::print(path.as_deref(), &config),
        Command::Demo(args) => demo::run(args),
        Command::Docs { page } => docs::run(page),
        Command::Evict { name, place } => ask::run(&place, Request::Evict { name }),
        Command::Explain { path, format, config } => explain::run(&path, &config, format),
        Command::Init { dir } => init::run(&dir),
        Command::Plan { path, format, config } => plan::run(&path, &config, format),
        Command::PublishFlights(args) => publish::run(args),
        Command::Refresh { name, place } => ask::run(&place, Request::Refresh { name }),
        Command::Replay { what } => replay::run(what),
        Command::Reset { name, place } => ask::run(&place, Request::Reset { name }),
        Command::Run(args) => run::run(args),
        Command::Sql(args) => ask::sql(args),
        Command::Status { place } => ask::run(&place, Request::Status),
        Command::Verify { format, place } => ask::run(&place, Request::Verify { format }),
    }
}
