//! The systems behind Millstream's ports: one folder a system, each behind a Cargo feature of its own.
//!
//! An adapter knows its system and `core`; it knows no other adapter, no SQL and no engine. Which adapter serves which
//! table is decided in one place outside of this crate, the wiring of the binary.

#[cfg(feature = "cassandra")]
pub mod cassandra;
pub mod connection;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "lake")]
pub mod lake;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgresql")]
pub mod postgresql;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgresql", feature = "mysql"))]
pub mod relational;
#[cfg(feature = "schema-registry")]
pub mod schema_registry;
pub mod topics;
