//! `check --probe`: every connection that the configuration names is tried, side by side, with a bound on the time.

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use millstream_adapters::kafka::{self, KafkaLog};
use millstream_adapters::lake::LakeSettings;
use millstream_adapters::{cassandra, lake, mysql, postgresql, redis, schema_registry};
use millstream_core::ports::{Clock, EventLog, SystemClock};
use millstream_core::{Error, Result};
use millstream_pipeline::graph::{Binding, Pipeline};

use crate::config::Config;
use crate::wiring;

/// A connection that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that is being tried: one line about what is there.
type Try<'a> = Pin<Box<dyn Future<Output = Result<String>> + Send + 'a>>;

/// A system that was tried.
pub struct Tried {
    system: &'static str,
    outcome: Result<String>,
}

/// Tries every system that `config` names.
pub async fn all(config: &Config) -> Vec<Tried> {
    let checkpoints = config.checkpoints.location.as_ref().map(|location| {
        let lake = config.lake.clone().unwrap_or_default();
        LakeSettings { location: Some(location.clone()), ..lake }
    });
    let mut tries: Vec<(&'static str, Try<'_>)> = Vec::new();
    if let Some(settings) = &config.kafka {
        tries.push(("kafka", Box::pin(kafka::probe(settings))));
    }
    if let Some(settings) = &config.cassandra {
        tries.push(("cassandra", Box::pin(cassandra::probe(settings))));
    }
    if let Some(settings) = &config.postgresql {
        tries.push(("postgresql", Box::pin(postgresql::probe(settings))));
    }
    if let Some(settings) = &config.mysql {
        tries.push(("mysql", Box::pin(mysql::probe(settings))));
    }
    if let Some(settings) = &config.redis {
        tries.push(("redis", Box::pin(redis::probe(settings))));
    }
    if let Some(settings) = &config.lake {
        tries.push(("lake", Box::pin(lake::probe(settings))));
    }
    if let Some(settings) = &checkpoints {
        tries.push(("checkpoints", Box::pin(lake::probe(settings))));
    }
    if let Some(settings) = &config.schema_registry {
        tries.push(("schema_registry", Box::pin(schema_registry::probe(settings))));
    }
    join_all(tries.into_iter().map(async |(system, probe)| {
        let outcome = tokio::select! {
            outcome = probe => outcome,
            () = SystemClock.sleep(PATIENCE) => Err(Error::unavailable(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        Tried { system, outcome }
    }))
    .await
}

/// Refuses topics that are absent where Millstream may not make them (Event Hubs): it could not start. Warns of those that may lose records
/// because of their retention.
pub async fn topics(config: &Config, pipeline: &Pipeline) -> Result<()> {
    let Some(settings) = &config.kafka else { return Ok(()) };
    let log = KafkaLog::connect(settings, Arc::new(SystemClock))?;
    let there = log.topics().await?;
    let named = pipeline.tables.values().filter_map(|table| match &table.binding {
        Binding::Topic(topic) => Some(topic.name.as_str()),
        _ => None,
    });
    let mut absent = Vec::new();
    for name in named {
        match there.iter().find(|topic| topic.name == name) {
            Some(topic) => log.look_at_oldest(topic).await?,
            None => absent.push(name),
        }
    }
    if absent.is_empty() || settings.manage_topics() {
        return Ok(());
    }
    Err(Error::not_found(format!(
        "{} has no topic {}, and kafka.manage_topics is off: make {}, or name another with [tables.NAME] subscribe",
        settings.bootstrap_servers,
        absent.join(", "),
        if absent.len() == 1 { "it" } else { "them" }
    )))
}

/// Tries the places of those tables of files that have one of their own.
pub async fn lake_tables(config: &Config, pipeline: &Pipeline) -> Result<()> {
    let places = wiring::bound_lake_tables(config, pipeline)?.into_values().collect();
    wiring::lake_probe(config.lake.clone().unwrap_or_default(), places)().await
}

/// One line each.
pub fn report(tried: &[Tried]) -> String {
    let mut text = String::new();
    if tried.is_empty() {
        text.push_str("everything is built in: there is no connection to try\n");
    }
    for Tried { system, outcome } in tried {
        let (word, line) = match outcome {
            Ok(line) => ("ok", line.clone()),
            Err(error) if error.kind().is_transient() => ("away", error.to_string()),
            Err(error) => ("wrong", error.to_string()),
        };
        let _ = writeln!(text, "{system:<10}  {word:<5}  {line}");
    }
    text
}

/// The exit code: that of something that somebody has to change, else that of something that may pass, else 0.
pub fn exit_code(tried: &[Tried]) -> u8 {
    let codes: Vec<u8> = tried.iter().filter_map(|t| t.outcome.as_ref().err()).map(|e| e.kind().exit_code()).collect();
    [4, 1, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}
