//! The event store and its change feed on Apache Cassandra, and on services that speak its protocol.
//!
//! | module | holds |
//! |---|---|
//! | `settings`, `names` | the section `[cassandra]`; names in CQL |
//! | `session`, `error` | the one place where a session is built; what the driver reports |
//! | `client`, `retry`, `gate` | the one place where a statement is executed, with its retries and its bound on those in flight |
//! | `column`, `encode`, `decode`, `nested` | CQL types and values, pure |
//! | `table`, `compare`, `schema` | a table and its statements; how an existing one differs, pure; tables created or checked |
//! | `rows`, `write` | the rows of an epoch, pure; sent in batches of one partition |
//! | `progress` | the epochs of flows, by conditional writes |
//! | `read`, `scan` | a partition page by page; a table by ranges of tokens |
//! | `event_store`, `feed` | the ports |
//! | `probe` | what `check --probe` asks |
//!
//! It knows nothing of SQL and flows, and no engine but Cassandra. What differs on a service is asked from [`Preset`] in `session`,
//! `retry` and `schema`.

mod client;
mod column;
mod compare;
mod decode;
mod encode;
mod error;
mod event_store;
mod feed;
mod gate;
mod names;
mod nested;
mod probe;
mod progress;
mod read;
mod retry;
mod rows;
mod scan;
mod schema;
mod session;
mod settings;
mod table;
mod write;

pub use event_store::CassandraStore;
pub use feed::CassandraFeed;
pub use probe::probe;
pub use scan::CassandraSnapshot;
pub use settings::{CassandraSettings, ConsistencyLevel, Preset, TimestampColumns};
pub use table::CassandraTables;

use millstream_core::{Result, TableSpec};

/// Refuses what Cassandra can't hold, by the column's name. Connects to nothing.
pub fn check_table(settings: &CassandraSettings, spec: &TableSpec) -> Result<()> {
    spec.validate()?;
    table::columns_of(settings, &spec.schema).map(drop).map_err(|e| e.context(format!("table {}", spec.name)))
}
