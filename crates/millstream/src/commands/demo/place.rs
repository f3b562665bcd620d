//! Where a demo on real systems keeps what it makes: in a place of its own beside what the configuration names, which is empty when a new
//! demo begins. What a pipeline of the same configuration has stays as it is.

use millstream_core::{ErrorKind, Result, TableKind};
use millstream_engine::Ports;
use millstream_pipeline::graph::{Binding, Pipeline};

use crate::config::Config;
use crate::flights;

/// What is added to the name of a keyspace, schema or topic.
const SUFFIX: &str = "_demo";

/// The same systems, and on them the demo's own keyspace, schema, topic and keys.
pub fn of_the_demo(mut config: Config) -> Config {
    if let Some(cassandra) = &mut config.cassandra {
        cassandra.keyspace.push_str(SUFFIX);
    }
    if let Some(postgresql) = &mut config.postgresql {
        postgresql.schema.push_str(SUFFIX);
    }
    if let Some(redis) = &mut config.redis {
        redis.key_prefix.push_str("demo:");
    }
    if config.kafka.is_some() {
        let flights = config.tables.entry(flights::TOPIC.to_owned()).or_default();
        flights.subscribe.get_or_insert_with(|| flights::TOPIC.to_owned()).push_str(SUFFIX);
    }
    config
}

/// Removes what an earlier demo left in real systems, and names it first. The built-in engines of a new demo are empty.
pub async fn clear(config: &Config, pipeline: &Pipeline, ports: &Ports) -> Result<()> {
    for (name, table) in &pipeline.tables {
        let (what, removed) = match (&table.binding, table.spec.kind) {
            (Binding::Topic(topic), _) if config.kafka.is_some() => {
                (format!("topic {}", topic.name), absent_is_fine(ports.log.delete_topic(&topic.name).await))
            }
            (_, TableKind::EventStore) if config.cassandra.is_some() => {
                (format!("table {name} of the event store"), ports.event_store.drop_table(name).await)
            }
            (_, TableKind::Report) if config.postgresql.is_some() => (format!("report {name}"), ports.reports.drop_report(name).await),
            (_, TableKind::Critical) if config.redis.is_some() => {
                (format!("critical events {name}"), ports.critical.drop_table(name).await)
            }
            _ => continue,
        };
        removed.map_err(|e| e.context(format!("removing the {what} that an earlier demo left")))?;
        eprintln!("  empty at first: {what}");
    }
    Ok(())
}

fn absent_is_fine(removed: Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
