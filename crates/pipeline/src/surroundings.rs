//! What a pipeline meets outside of its text: where the configuration binds its tables, and what the systems behind it are able to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the configuration says of a pipeline. The default is the built-in engines, and every table where the SQL says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Reference tables that are elsewhere than the SQL says, by name, and streaming tables of files (of which only the location is said, to
    /// whoever serves them): the sections `[tables.NAME]`.
    pub rebindings: BTreeMap<String, Rebinding>,
    /// What the systems can do.
    pub abilities: Abilities,
    /// Whether there is a registry of Avro schemas: the section `[schema_registry]`.
    pub schema_registry: bool,
    /// The files that the pipeline names ([`Parsed::files`](crate::Parsed::files)), by path: what is in them, or why they can't be read.
    pub files: BTreeMap<String, Result<Vec<u8>, String>>,
}

/// Where the configuration says that a reference table is: what it doesn't say stays as the SQL has it.
///
/// So the example's files on a laptop become a database's table in production, and the SQL stays as it is:
///
/// ```toml
/// [tables.airports]
/// using = "mysql"
/// dbtable = "airports"
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebinding {
    /// `parquet`, `csv`, `json`, `postgresql` or `mysql`.
    pub using: Option<String>,
    /// The database's table: `table`, or `schema.table`.
    pub dbtable: Option<String>,
    /// A condition in the database's own SQL.
    pub filter: Option<String>,
    /// A path or a URL of files; taken as it is.
    pub location: Option<String>,
    /// How often it is looked at for changes, such as `10 minutes`.
    pub refresh: Option<String>,
}

/// What differs between the systems that can serve a pipeline, as far as the language has to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether the event store can hold tables that other services write. The built-in one can't.
    pub existing_tables: bool,
    /// Whether such tables have a change feed. Cosmos DB keeps one; on Apache Cassandra only what Millstream itself writes has one.
    pub existing_table_feeds: bool,
    /// Whether the feed of an event-store table has the latest version of each row that was written, again where it was written again, and no
    /// deletes. Cosmos DB's has; elsewhere it has each change once, with its kind.
    pub latest_version_feeds: bool,
}
