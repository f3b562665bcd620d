//! The adapters against their ports' contracts: one module a system.

#[cfg(feature = "cassandra")]
mod cassandra;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "lake")]
mod lake;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgresql")]
mod postgresql;
#[cfg(feature = "redis")]
mod redis;
mod services;
mod topics;
