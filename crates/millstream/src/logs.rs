//! Where log lines go: stderr, as text or JSON. Stdout is for data alone.

use millstream_core::{Error, Result};
use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// Begins to log events that pass `filter`. Called once.
pub fn install(format: LogFormat, filter: &str) -> Result<()> {
    check(filter)?;
    let filter =
        EnvFilter::try_new(quieted(filter)).map_err(|e| Error::invalid(format!("--log-level {filter:?} is not a level or filter: {e}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().try_init(),
    };
    installed.map_err(|e| Error::internal(format!("logging can't begin: {e}")))
}

/// The levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Refuses a word that is no level. As a filter it would be the name of a module, and nothing else would be logged: a mistyped `warn` would
/// silence everything.
fn check(filter: &str) -> Result<()> {
    let is_level =
        |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || word.parse::<usize>().is_ok_and(|n| n < LEVELS.len());
    match filter.split(',').map(str::trim).find(|part| !part.is_empty() && !part.contains('=') && !is_level(part)) {
        None => Ok(()),
        Some(part) => {
            Err(Error::invalid(format!("--log-level {filter:?}: {part} is no level: write one of {}, or MODULE=LEVEL", LEVELS.join(", "))))
        }
    }
}

/// `filter`, with the chatter of the storage engine and the query engine below it, unless the user names them.
fn quieted(filter: &str) -> String {
    let chatty = ["fjall", "lsm_tree", "datafusion", "rdkafka", "librdkafka", "tokio_postgres", "mysql_async", "redis"];
    let quiet = chatty.iter().filter(|name| !filter.contains(**name)).map(|name| format!("{name}=warn"));
    // Cassandra's remarks on a query are for whoever wrote it.
    let quieter = Some("scylla=error".to_owned()).filter(|_| !filter.contains("scylla"));
    std::iter::once(filter.to_owned()).chain(quiet).chain(quieter).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
