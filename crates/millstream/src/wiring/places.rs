//! Which system serves each table under a configuration and where it is, in words that hold no secret: for `explain`, the status page and
//! the log. [`boxes`](super::boxes), [`references`](super::references) and [`lake`](super::lake) do what is said here.

use millstream_adapters::cassandra::{self, CassandraSettings};
use millstream_adapters::kafka::{self, KafkaSettings};
use millstream_adapters::postgresql::PostgresSettings;
use millstream_adapters::redis::RedisSettings;
use millstream_pipeline::graph::{Binding, DatabaseSystem, Reference, ReferenceOrigin, Table};

use super::lake;
use crate::config::Config;

/// Who serves `table`, which the pipeline calls `name`: `Cassandra (127.0.0.1:9042, keyspace flights)`.
pub fn served_by(config: &Config, name: &str, table: &Table) -> String {
    let cassandra = config.cassandra.as_ref().map(|settings| format!("{} ({})", cql_service(settings), cassandra(settings)));
    let real = match &table.binding {
        Binding::Topic(_) => config.kafka.as_ref().map(|settings| format!("{} ({})", kafka_service(settings), kafka(settings))),
        Binding::EventStore | Binding::ExistingTable => cassandra,
        Binding::Critical(_) => config.redis.as_ref().map(|settings| format!("Redis ({})", redis(settings))),
        Binding::Report => config.postgresql.as_ref().map(|settings| format!("PostgreSQL ({})", reports(settings))),
        Binding::Reference(reference) => return reference_data(config, reference),
        Binding::Lake => return format!("Parquet files in {}", lake::place(config, name)),
    };
    real.unwrap_or_else(|| built_in(&table.binding).to_owned())
}

fn built_in(binding: &Binding) -> &'static str {
    match binding {
        Binding::Topic(_) => "the built-in Kafka endpoint",
        Binding::EventStore | Binding::ExistingTable => "the built-in event store",
        Binding::Critical(_) => "the built-in cache",
        Binding::Report => "the built-in report store",
        Binding::Reference(_) | Binding::Lake => "files",
    }
}

fn reference_data(config: &Config, reference: &Reference) -> String {
    let ReferenceOrigin::Database(database) = &reference.origin else { return "files".to_owned() };
    let (system, url) = match database.system {
        DatabaseSystem::Postgresql => ("PostgreSQL", config.postgresql.as_ref().map(|settings| settings.url.as_str())),
        DatabaseSystem::Mysql => ("MySQL", config.mysql.as_ref().map(|settings| settings.url.as_str())),
    };
    url.map_or_else(|| system.to_owned(), |url| format!("{system} ({})", without_options(url)))
}

fn kafka_service(settings: &KafkaSettings) -> &'static str {
    match settings.preset {
        Some(kafka::Preset::EventHubs) => "Event Hubs",
        None => "Kafka",
    }
}

fn cql_service(settings: &CassandraSettings) -> &'static str {
    match settings.preset {
        Some(cassandra::Preset::CosmosDb) => "Cosmos DB for Apache Cassandra",
        None => "Cassandra",
    }
}

/// Where topics are.
pub fn kafka(settings: &KafkaSettings) -> String {
    settings.bootstrap_servers.clone()
}

/// Where event-store tables are.
pub fn cassandra(settings: &CassandraSettings) -> String {
    format!("{}, keyspace {}", settings.contact_points.join(","), settings.keyspace)
}

/// Where reports are.
pub fn reports(settings: &PostgresSettings) -> String {
    format!("{}, schema {}", without_options(&settings.url), settings.schema)
}

/// Where critical events are.
pub fn redis(settings: &RedisSettings) -> String {
    format!("{}, keys {}", without_options(&settings.url), settings.key_prefix)
}

/// A URL up to its options.
pub fn without_options(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

#[cfg(test)]
mod tests;
