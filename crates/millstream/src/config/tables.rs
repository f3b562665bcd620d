//! `[tables.NAME]`: what the configuration says of a single table, in place of what the pipeline's text says.

use std::collections::BTreeMap;

use millstream_core::{Error, Result};
use millstream_pipeline::Rebinding;
use serde::{Deserialize, Serialize};

/// The tables of the pipeline that are bound elsewhere, by name.
pub type TablesConfig = BTreeMap<String, TableConfig>;

/// Section `[tables.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Reference data comes from here.
    pub using: Option<ReferenceSystem>,
    /// The files of reference data, or the folder of a streaming table `USING parquet`: a path, which counts from the configuration's folder, or
    /// a URL of the lake.
    pub location: Option<std::path::PathBuf>,
    /// The table in the database: `schema.table`, or a table of the connection's own schema.
    pub dbtable: Option<String>,
    /// A condition in the database's own SQL: only rows for which it is true belong to the table.
    pub filter: Option<String>,
    /// How often the data is looked at for changes, such as `10 minutes`.
    pub refresh: Option<String>,
    /// The topic's name on the broker.
    pub subscribe: Option<String>,
}

/// What holds reference data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferenceSystem {
    /// Parquet files.
    Parquet,
    /// CSV files.
    Csv,
    /// Files of JSON lines.
    Json,
    /// A table in PostgreSQL.
    Postgresql,
    /// A table in MySQL.
    Mysql,
}

impl ReferenceSystem {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
        }
    }

    /// Whether it is a database rather than files.
    pub fn is_database(self) -> bool {
        matches!(self, Self::Postgresql | Self::Mysql)
    }
}

impl TableConfig {
    /// The same for the language.
    pub fn to_rebinding(&self) -> Rebinding {
        Rebinding {
            using: self.using.map(|system| system.as_str().to_owned()),
            dbtable: self.dbtable.clone(),
            filter: self.filter.clone(),
            location: self.location.as_ref().map(|location| location.to_string_lossy().into_owned()),
            refresh: self.refresh.clone(),
        }
    }

    /// Refuses half of a binding, and halves of two. `name` is the table's.
    pub fn validate(&self, name: &str) -> Result<()> {
        let wrong = |what: String| Err(Error::invalid(format!("[tables.{name}] {what}")));
        let system = self.using.map_or("", ReferenceSystem::as_str);
        match (self.using.map(ReferenceSystem::is_database), &self.dbtable, &self.location) {
            _ if *self == Self::default() => wrong("says nothing: remove it".to_owned()),
            (Some(true), None, _) => wrong(format!("is using {system}: say which table with dbtable")),
            (Some(true), _, Some(_)) => wrong(format!("is using {system}, which has no location")),
            (Some(false), _, None) => wrong(format!("is using {system}: say where with location")),
            (Some(false), Some(_), _) => wrong(format!("is using {system}, which has no dbtable")),
            (None, Some(_), _) => wrong("has a dbtable: say of which system with using".to_owned()),
            (Some(_), ..) if self.subscribe.is_some() => wrong("is bound to a topic (subscribe) and to reference data (using)".to_owned()),
            _ => Ok(()),
        }
    }
}
