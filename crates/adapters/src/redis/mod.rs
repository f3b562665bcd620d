//! Redis, a single server or a cluster: critical events by key, box 9 of the architecture ([`RedisCriticalStore`]).
//!
//! Rows lie in Redis so that any Redis user can read them ([`key`] and [`row`] say how). A version stands with each, and scripts that run
//! inside of Redis compare it ([`script`]): so writes, deletes and fills may arrive in any order, twice, or from a process that is no longer
//! in charge. Redis may lose everything it holds; what that means for a flow is said by [`RedisCriticalStore`] and in
//! `docs/engines/redis.md`. Nothing here knows another system, SQL or the engine.

mod cells;
mod changes;
mod column;
mod critical_store;
mod error;
mod front;
mod json;
mod key;
mod link;
mod probe;
mod row;
mod scan;
mod script;
mod settings;
mod text;

use millstream_core::{Result, TableSpec};

pub use critical_store::RedisCriticalStore;
pub use probe::probe;
pub use settings::{RedisSettings, RowFormat};

/// Refuses a table that Redis can't hold, naming the column. `check` calls this before anything runs.
pub fn check_table(spec: &TableSpec) -> Result<()> {
    spec.validate()?;
    row::RowShape::new(RowFormat::default(), spec).map(drop)
}
