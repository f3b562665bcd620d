//! The sections that choose real engines: which there are, what stands in for an absent one, and what each must say at least.

use millstream_adapters::cassandra;
use millstream_core::{Error, Result};
use millstream_pipeline::{Abilities, Rebinding, Surroundings};

use super::Config;

/// A section that may be absent.
struct Engine {
    section: &'static str,
    /// What it is, on the reference page.
    about: &'static str,
    /// What serves in its place.
    without: &'static str,
    /// The least that it must say, as TOML: of the reference page's defaults, and of nothing else.
    least: &'static str,
}

const ENGINES: &[Engine] = &[
    Engine {
        section: "kafka",
        about: "Topics are on Apache Kafka or what speaks its protocol (box 1): [docs/engines/kafka.md](../engines/kafka.md).",
        without: "topics are served by the built-in Kafka endpoint",
        least: "bootstrap_servers = \"\"",
    },
    Engine {
        section: "cassandra",
        about: "Event-store tables and their change feed are on Apache Cassandra or Cosmos DB (boxes 3 and 4): \
                [docs/engines/cassandra.md](../engines/cassandra.md).",
        without: "event-store tables are in the built-in store",
        least: "contact_points = []\nkeyspace = \"\"",
    },
    Engine {
        section: "postgresql",
        about: "Reports are in PostgreSQL (box 7), and reference tables `USING postgresql`: [docs/engines/postgresql.md](../engines/postgresql.md).",
        without: "reports are in the built-in store",
        least: "url = \"\"",
    },
    Engine {
        section: "mysql",
        about: "Reference tables `USING mysql` (box 6): [docs/engines/mysql.md](../engines/mysql.md).",
        without: "no reference table can be `USING mysql`",
        least: "url = \"\"",
    },
    Engine {
        section: "redis",
        about: "Critical events are in Redis (box 9): [docs/engines/redis.md](../engines/redis.md).",
        without: "critical events are in the built-in store",
        least: "url = \"\"",
    },
    Engine {
        section: "lake",
        about: "Files in a data lake: reference data by a URL (box 6), and streaming tables `USING parquet`: [docs/engines/lake.md](../engines/lake.md).",
        without: "streaming tables of files are in data_dir, and reference data is read from files",
        least: "",
    },
    Engine {
        section: "schema_registry",
        about: "The registry of the Avro schemas that records name: [docs/formats.md](../formats.md#avro).",
        without: "topics in Avro need avroSchemaFile",
        least: "url = \"\"",
    },
];

/// Whether the section `name` may be absent.
pub fn is_optional(name: &str) -> bool {
    ENGINES.iter().any(|e| e.section == name)
}

/// What serves in the place of the absent section `name`.
pub fn without(name: &str) -> &'static str {
    ENGINES.iter().find(|e| e.section == name).map_or("", |e| e.without)
}

/// What the section `name` is.
pub fn about(name: &str) -> Option<&'static str> {
    ENGINES.iter().find(|e| e.section == name).map(|e| e.about)
}

/// Whether the setting must be given when its section is.
pub fn is_required(name: &str) -> bool {
    ENGINES.iter().filter_map(|e| Some((e, name.strip_prefix(e.section)?.strip_prefix('.')?))).any(|(engine, setting)| {
        let least = engine.least.parse::<toml::Table>().unwrap_or_default();
        least.contains_key(setting)
    })
}

/// A configuration with every section, each with the least that it must say.
pub fn examples() -> Config {
    let sections: String = ENGINES.iter().map(|e| format!("[{}]\n{}\n", e.section, e.least)).collect();
    toml::from_str(&sections).unwrap_or_default()
}

impl Config {
    /// What the language has to know of the configuration.
    pub fn surroundings(&self) -> Surroundings {
        let bound = self.tables.iter().map(|(name, table)| (name.clone(), table.to_rebinding()));
        let is_cosmos = self.cassandra.as_ref().is_some_and(|c| c.preset == Some(cassandra::Preset::CosmosDb));
        let abilities =
            Abilities { existing_tables: self.cassandra.is_some(), existing_table_feeds: is_cosmos, latest_version_feeds: is_cosmos };
        Surroundings {
            rebindings: bound.filter(|(_, bound)| *bound != Rebinding::default()).collect(),
            abilities,
            schema_registry: self.schema_registry.is_some(),
            ..Surroundings::default()
        }
    }

    /// The sections of real engines that are there.
    pub fn real_engines(&self) -> Vec<&'static str> {
        let there = [
            ("kafka", self.kafka.is_some()),
            ("cassandra", self.cassandra.is_some()),
            ("postgresql", self.postgresql.is_some()),
            ("mysql", self.mysql.is_some()),
            ("redis", self.redis.is_some()),
            ("lake", self.lake.is_some()),
            ("schema_registry", self.schema_registry.is_some()),
        ];
        there.into_iter().filter(|(_, there)| *there).map(|(section, _)| section).collect()
    }

    /// Refuses what an engine's own section gets wrong, and tables of systems that no section describes.
    pub(super) fn validate_engines(&self) -> Result<()> {
        self.kafka.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.cassandra.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.postgresql.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.mysql.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.redis.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.lake.as_ref().map_or(Ok(()), |s| s.validate())?;
        self.schema_registry.as_ref().map_or(Ok(()), |s| s.validate())?;
        for (name, table) in &self.tables {
            table.validate(name)?;
            let Some(system) = table.using.map(|system| system.as_str()).filter(|system| is_optional(system)) else { continue };
            if !self.real_engines().contains(&system) {
                return Err(Error::invalid(format!("[tables.{name}] is using {system}, and there is no [{system}]: say where it is")));
            }
        }
        Ok(())
    }
}
