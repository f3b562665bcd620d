//! The adapters against their ports' contracts: one module a system.

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "kafka")]
mod kafka;
mod services;
