//! The configuration: what `millstream.toml`, the environment and flags say about who serves what, and where.
//!
//! Everything here is data and pure checks ([`Config::validate`]); [`load`] reads it from its layers, and `wiring` alone acts on it.

pub mod checkpoints;
mod conflicts;
pub mod engines;
pub mod keys;
pub mod layers;
pub mod listen;
pub mod load;
pub mod print;
pub mod shape;
pub mod store;
pub mod tables;

use std::path::PathBuf;

use millstream_adapters::cassandra::CassandraSettings;
use millstream_adapters::kafka::KafkaSettings;
use millstream_adapters::lake::LakeSettings;
use millstream_adapters::mysql::MysqlSettings;
use millstream_adapters::postgresql::PostgresSettings;
use millstream_adapters::redis::RedisSettings;
use millstream_adapters::schema_registry::SchemaRegistrySettings;
use millstream_broker::BrokerSettings;
use millstream_core::{Error, Result};
use millstream_engine::EngineSettings;
use millstream_gateway::http::HttpSettings;
use millstream_gateway::sql::SqlSettings;
use serde::{Deserialize, Serialize};

pub use checkpoints::CheckpointsConfig;
pub use listen::{ListenAddress, ListenSettings};
pub use load::{Effective, Layers};
pub use store::StoreConfig;
pub use tables::TablesConfig;

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder that holds everything. A relative path in a file counts from the file's folder.
    pub data_dir: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Where clients connect.
    pub listen: ListenSettings,
    /// When a filling disk pauses intake.
    pub disk: DiskSettings,
    /// Flows and jobs.
    pub engine: EngineSettings,
    /// Where flows' checkpoints are.
    pub checkpoints: CheckpointsConfig,
    /// The Kafka endpoint. Its durability is that of the whole program.
    pub broker: BrokerSettings,
    /// The built-in store.
    pub store: StoreConfig,
    /// The HTTP API.
    pub http: HttpSettings,
    /// The PostgreSQL endpoint.
    pub sql: SqlSettings,
    /// Topics elsewhere than in the built-in endpoint.
    pub kafka: Option<KafkaSettings>,
    /// Event-store tables elsewhere than in the built-in store.
    pub cassandra: Option<CassandraSettings>,
    /// Reports elsewhere than in the built-in store, and reference tables.
    pub postgresql: Option<PostgresSettings>,
    /// Reference tables.
    pub mysql: Option<MysqlSettings>,
    /// Critical events elsewhere than in the built-in store.
    pub redis: Option<RedisSettings>,
    /// Files in a data lake.
    pub lake: Option<LakeSettings>,
    /// The registry of Avro schemas.
    pub schema_registry: Option<SchemaRegistrySettings>,
    /// What is said of single tables.
    pub tables: TablesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("millstream-data"),
            durability: Durability::default(),
            listen: ListenSettings::default(),
            disk: DiskSettings::default(),
            engine: EngineSettings::default(),
            checkpoints: CheckpointsConfig::default(),
            broker: BrokerSettings::default(),
            store: StoreConfig::default(),
            http: HttpSettings::default(),
            sql: SqlSettings::default(),
            kafka: None,
            cassandra: None,
            postgresql: None,
            mysql: None,
            redis: None,
            lake: None,
            schema_registry: None,
            tables: TablesConfig::default(),
        }
    }
}

impl Config {
    /// The addresses that are listened on, each with the name of its setting.
    pub fn listeners(&self) -> Vec<(&'static str, ListenAddress)> {
        let [http, kafka, sql] = self.listen.named();
        if self.has_kafka_endpoint() { vec![http, kafka, sql] } else { vec![http, sql] }
    }

    /// Whether the built-in Kafka endpoint is served: topics are nowhere else.
    pub fn has_kafka_endpoint(&self) -> bool {
        self.kafka.is_none()
    }

    /// Refuses values that can't work or would be unsafe, naming the setting. Does no I/O.
    pub fn validate(&self) -> Result<()> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(Error::invalid("data_dir is empty: name a folder"));
        }
        self.listen.validate()?;
        self.disk.validate()?;
        self.engine.validate()?;
        self.checkpoints.validate(self.durability)?;
        self.broker.validate()?;
        self.store.validate()?;
        self.http.validate()?;
        self.sql.validate()?;
        self.validate_engines()
    }
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process (kill -9), not of the machine.
    #[default]
    Process,
    /// Power loss too: every acknowledgement waits for an fsync.
    Fsync,
}

/// When a filling disk pauses intake. Section `[disk]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSettings {
    /// With less free space than this under `data_dir`, producers are refused until there is more again.
    pub free_bytes_min: u64,
    /// How often the free space is looked at.
    pub check_interval_ms: u64,
}

impl Default for DiskSettings {
    fn default() -> Self {
        Self { free_bytes_min: 512 << 20, check_interval_ms: 1_000 }
    }
}

impl DiskSettings {
    fn validate(&self) -> Result<()> {
        if self.check_interval_ms == 0 {
            return Err(Error::invalid("disk.check_interval_ms is 0: set it to at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
