use clap::CommandFactory;

use super::*;

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn options_of_the_whole_program_may_follow_the_command() {
    let cli = Cli::try_parse_from(["millstream", "check", "p.sql", "--log-format", "json"]).unwrap();
    assert_eq!(cli.log_format, LogFormat::Json);
}

#[test]
fn sql_needs_a_query() {
    assert!(Cli::try_parse_from(["millstream", "sql"]).is_err());
    assert!(Cli::try_parse_from(["millstream", "sql", "-e", "SELECT 1", "--format", "csv"]).is_ok());
}
