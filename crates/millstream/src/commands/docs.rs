//! `docs`: reference pages in Markdown, made from the definitions that the program itself uses.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use millstream_core::Result;
use millstream_pipeline::{FunctionKinds, function_kinds};

use super::present::stdout;
use crate::cli::{Cli, DocsPage};
use crate::config::print;

/// Prints a page.
pub fn run(page: DocsPage) -> Result<ExitCode> {
    stdout(&match page {
        DocsPage::Cli => cli(),
        DocsPage::Configuration => print::markdown(),
        DocsPage::Sql => sql(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The reference page of SQL, but for what differs from Spark, which only the differential suite knows.
fn sql() -> String {
    let FunctionKinds { scalar, volatile, aggregate, window } = function_kinds();
    let list = |names: BTreeSet<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!(
        "# SQL\n\nWhat the SELECTs of a pipeline may consist of; statements, options and properties are in [the language](../language.md), types in \
         [types](../types.md). All of it is Apache Spark 4.1's, with ANSI mode on and UTC as the session's time zone.\n\n\
         ## Operators\n\n`+`, `-`, `*`, `/`, `%`, `DIV`, `||`; `&`, `|`, `^`, `~`; `=`, `==`, `<=>`, `<>`, `!=`, `<`, `<=`, `>`, `>=`; \
         `AND`, `OR`, `NOT`, `!`; `BETWEEN`, `IN`, `LIKE`, `ILIKE`, `RLIKE`, `REGEXP`, `IS NULL`, `IS TRUE`, `IS DISTINCT FROM`; `CASE`, `CAST`, `try_cast`, `::`, \
         `EXTRACT`.\n\n\
         ## Functions of a row\n\n{}.\n\n\
         ### Not in flows\n\n{}. A replay would give another value, so `check` refuses them in flows; batch jobs may use them.\n\n\
         ## Aggregates\n\n{}.\n\n## With an OVER clause\n\nIn batch jobs: {}.\n",
        list(scalar),
        list(volatile),
        list(aggregate),
        list(window)
    )
}

/// The reference page of the command line.
fn cli() -> String {
    let mut text = String::from(
        "# Command line\n\nData goes to stdout, everything else to stderr. Exit codes: 0 success; 1 something has to be changed \
         (`verify`: it found problems; `refresh`: the job failed); 2 wrong usage (`plan`: something has to be rebuilt first); 3 something \
         that may pass (a system that doesn't answer, a directory in use); 4 a defect, or damaged data.\n",
    );
    let mut root = Cli::command();
    root.build();
    section(&mut text, &root, "millstream");
    text
}

fn section(text: &mut String, command: &Command, name: &str) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let _ = write!(text, "\n## `{name}`\n\n{about}.\n\n```\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let shown = |a: &&clap::Arg| !a.is_hide_set() && a.get_id() != "help" && a.get_id() != "version";
    // Options of the whole program are told once, at the top.
    let arguments: Vec<_> = command.get_arguments().filter(shown).filter(|a| name == "millstream" || !a.is_global_set()).collect();
    if !arguments.is_empty() {
        text.push_str("\n| argument | what it does |\n|---|---|\n");
        arguments.iter().for_each(|argument| row(text, argument));
    }
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
        section(text, sub, &format!("{name} {}", sub.get_name()));
    }
}

fn row(text: &mut String, argument: &clap::Arg) {
    let values: Vec<_> = argument.get_value_names().unwrap_or_default().iter().map(|v| v.as_str().to_owned()).collect();
    let takes_value = argument.get_action().takes_values();
    let flags: Vec<_> =
        argument.get_short().map(|s| format!("-{s}")).into_iter().chain(argument.get_long().map(|l| format!("--{l}"))).collect();
    let name = match (flags.is_empty(), takes_value) {
        (true, _) => values.join(" "),
        (false, true) => format!("{} {}", flags.join(", "), values.join(" ")),
        (false, false) => flags.join(", "),
    };
    let mut about = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let choices: Vec<_> = argument.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect();
    if takes_value && !choices.is_empty() {
        let _ = write!(about, " ({})", choices.join(", "));
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|v| format!("`{}`", v.to_string_lossy())).collect();
    if takes_value && !defaults.is_empty() {
        let _ = write!(about, "; default {}", defaults.join(", "));
    }
    let _ = writeln!(text, "| `{name}` | {about} |");
}
