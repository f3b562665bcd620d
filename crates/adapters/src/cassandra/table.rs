//! [`Table`]: a table as it is in Cassandra, and the statements that read and write its rows. Pure.
//!
//! A table that Millstream creates has one column more than the pipeline's, `_v`: it is never null, so that its write time is the row's
//! version whatever else is null, and so that a row of key columns alone has one. It costs a few bytes, and nobody has to read it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use arrow::datatypes::Schema;
use millstream_core::{Error, Result, SortOrder, TableSpec, Timestamp, Value, Version};

use super::client::Use;
use super::column::Column;
use super::encode::key_value;
use super::names::{constant, quoted};
use super::settings::{CassandraSettings, TTL_MAX_S};

/// The column whose write time is the row's version.
pub(super) const HIDDEN: &str = "_v";
/// What the comment of a table of Millstream's begins with; its [`TableSpec::fingerprint`] follows.
pub(super) const COMMENT: &str = "millstream table 1: ";
/// The longest key, in bytes (partition key and each clustering column).
pub(super) const KEY_BYTES_MAX: usize = 65_535;

/// What the pipeline does with which tables: the adapter can't know it, and what it may leave out depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CassandraTables {
    /// Tables whose change feed is read: their changes are logged, which costs a read of each row before it is written.
    pub feeds: BTreeSet<String>,
    /// Tables whose rows are inserted once and never changed: there a null is left unset, which spares Cassandra a tombstone.
    pub insert_only: BTreeSet<String>,
}

/// Where a row's version is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VersionSource {
    /// The write time of `_v`.
    Hidden,
    /// The value of `_v`: on Cosmos DB, whose change feed has no write times.
    Stored,
    /// The latest write time of these columns: a table that was not made by Millstream.
    Columns(Vec<String>),
}

/// A table that is known.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub spec: TableSpec,
    /// Differs from that of every other table, also from an earlier one of the same name.
    pub id: String,
    /// Keyspace and name, quoted.
    pub name: String,
    pub columns: Vec<Column>,
    /// The key columns as indices into `columns`, in key order.
    pub key: Vec<usize>,
    pub version: VersionSource,
    pub is_read_only: bool,
    pub is_insert_only: bool,
    pub feed: Option<super::feed::FeedTable>,
}

impl Table {
    /// How many of the key columns are the partition's.
    pub fn partition_len(&self) -> usize {
        self.spec.key.partition.len()
    }

    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|i| &self.columns[*i])
    }

    pub fn partition_columns(&self) -> impl Iterator<Item = &Column> {
        self.key_columns().take(self.partition_len())
    }

    pub fn clustering_columns(&self) -> impl Iterator<Item = &Column> {
        self.key_columns().skip(self.partition_len())
    }

    /// How its rows are written. What a change does to a row of a table with a feed is decided by what is read of it first.
    pub fn writes(&self) -> Use {
        if self.feed.is_some() { Use::QuorumWrite } else { Use::Write }
    }

    /// The insert of a row: its columns in order, the version (twice where it is stored), and where the table has one the TTL.
    pub fn insert(&self) -> String {
        let mut names: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        let mut values = vec!["?"; names.len()];
        let hidden = match self.version {
            VersionSource::Hidden => Some("0"),
            VersionSource::Stored => Some("?"),
            VersionSource::Columns(_) => None,
        };
        if let Some(value) = hidden {
            names.push(quoted(HIDDEN));
            values.push(value);
        }
        let ttl = if self.spec.ttl.is_some() { " AND TTL ?" } else { "" };
        format!("INSERT INTO {} ({}) VALUES ({}) USING TIMESTAMP ?{ttl}", self.name, names.join(", "), values.join(", "))
    }

    /// The delete of a row: the version, then its key columns.
    pub fn delete(&self) -> String {
        format!("DELETE FROM {} USING TIMESTAMP ? WHERE {}", self.name, self.equals(self.key_columns()))
    }

    /// `columns` and, behind them, what the version is made of.
    pub fn select<'a>(&self, columns: impl IntoIterator<Item = &'a Column>, with_version: bool) -> String {
        let mut list: Vec<String> = columns.into_iter().map(|c| quoted(&c.name)).collect();
        if with_version {
            match &self.version {
                VersionSource::Hidden => list.push(format!("WRITETIME({})", quoted(HIDDEN))),
                VersionSource::Stored => list.push(quoted(HIDDEN)),
                VersionSource::Columns(names) => list.extend(names.iter().map(|n| format!("WRITETIME({})", quoted(n)))),
            }
        }
        format!("SELECT {} FROM {}", list.join(", "), self.name)
    }

    /// `a = ? AND b = ?` over `columns`.
    pub fn equals<'a>(&self, columns: impl IntoIterator<Item = &'a Column>) -> String {
        columns.into_iter().map(|c| format!("{} = ?", quoted(&c.name))).collect::<Vec<_>>().join(" AND ")
    }

    /// The version from the cells that [`select`](Self::select) put behind the columns. A row of which no column has a write time
    /// (one that others wrote, key columns alone) has version 0.
    pub fn version_of(cells: &[Option<&[u8]>]) -> Version {
        let micros = |cell: &&[u8]| <[u8; 8]>::try_from(*cell).ok().map(i64::from_be_bytes);
        Version(cells.iter().flatten().filter_map(micros).max().unwrap_or(0))
    }

    /// Whether a row of `version` is gone: version plus TTL is not after now.
    pub fn is_expired(&self, version: Version, now: Timestamp) -> bool {
        self.spec.ttl.is_some_and(|ttl| version.plus(ttl).micros() <= now.micros())
    }

    /// The TTL that Cassandra is given for a row of `version`, in seconds: what is left of the table's, rounded up, for reads look at the
    /// version. `None`: it has expired already.
    pub fn ttl_left(&self, version: Version, now: Timestamp) -> Option<i32> {
        let ttl = self.spec.ttl?;
        let left = version.plus(ttl).micros().saturating_sub(now.micros());
        let seconds = u64::try_from(left).ok().filter(|l| *l > 0)?.div_ceil(1_000_000);
        i32::try_from(seconds.min(TTL_MAX_S)).ok()
    }

    /// The values of the partition key that a reader names, as CQL values.
    pub fn partition_values(&self, values: &[Value]) -> Result<Vec<Option<Vec<u8>>>> {
        if values.len() != self.partition_len() {
            return Err(Error::invalid(format!(
                "table {}: {} values for its partition key ({})",
                self.spec.name,
                values.len(),
                self.spec.key.partition.join(", ")
            )));
        }
        values
            .iter()
            .zip(self.partition_columns())
            .map(|(v, c)| key_value(v, c).map_err(|e| e.context(format!("table {}", self.spec.name))))
            .collect()
    }
}

/// The statement that creates the table of `spec`.
pub(super) fn create(settings: &CassandraSettings, spec: &TableSpec, columns: &[Column]) -> Result<String> {
    if spec.schema.field_with_name(HIDDEN).is_ok() {
        return Err(Error::invalid(format!(
            "table {}: a column can't be called {HIDDEN} in Cassandra, where Millstream has one",
            spec.name
        )));
    }
    let mut parts: Vec<String> = columns.iter().map(|c| format!("{} {}", quoted(&c.name), c.cql.name())).collect();
    parts.push(format!("{} {}", quoted(HIDDEN), if settings.is_cosmos_db() { "bigint" } else { "tinyint" }));
    let names = |names: &mut dyn Iterator<Item = &str>| names.map(quoted).collect::<Vec<_>>().join(", ");
    let partition = names(&mut spec.key.partition.iter().map(String::as_str));
    let clustering: String = spec.key.clustering.iter().fold(String::new(), |mut text, c| {
        let _ = write!(text, ", {}", quoted(&c.name));
        text
    });
    parts.push(format!("PRIMARY KEY (({partition}){clustering})"));
    let mut options = vec![format!("comment = {}", constant(&format!("{COMMENT}{}", spec.fingerprint())))];
    if !spec.key.clustering.is_empty() {
        let order = |o| if o == SortOrder::Desc { "DESC" } else { "ASC" };
        let columns: Vec<_> = spec.key.clustering.iter().map(|c| format!("{} {}", quoted(&c.name), order(c.order))).collect();
        options.insert(0, format!("CLUSTERING ORDER BY ({})", columns.join(", ")));
    }
    if settings.is_cosmos_db() {
        options.extend(cosmos_options(settings));
    }
    let name = qualified(settings, &spec.name);
    Ok(format!("CREATE TABLE IF NOT EXISTS {name} ({}) WITH {}", parts.join(", "), options.join(" AND ")))
}

/// What a table of Millstream's has in Cosmos DB: write times and TTLs that are kept as they are given, and its throughput.
pub(super) fn cosmos_options(settings: &CassandraSettings) -> Vec<String> {
    let kept = ["cosmosdb_cell_level_timestamp", "cosmosdb_cell_level_timestamp_tombstones", "cosmosdb_cell_level_timetolive"];
    let kept = kept.into_iter().map(|option| format!("{option} = true"));
    let fixed = settings.provisioned_throughput.map(|units| format!("cosmosdb_provisioned_throughput = {units}"));
    let scaled = settings.autoscale_max_throughput.map(|units| format!("cosmosdb_autoscale_max_throughput = {units}"));
    kept.chain(fixed).chain(scaled).collect()
}

/// Keyspace and table name, quoted.
pub(super) fn qualified(settings: &CassandraSettings, table: &str) -> String {
    format!("{}.{}", quoted(&settings.keyspace), quoted(table))
}

/// The columns of a new table of `schema`.
pub(super) fn columns_of(settings: &CassandraSettings, schema: &Schema) -> Result<Vec<Column>> {
    schema.fields().iter().map(|f| Column::created(f.name(), f.data_type(), settings.timestamps)).collect()
}

#[cfg(test)]
pub(super) mod tests;
