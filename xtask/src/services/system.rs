//! [`System`]: what has to be known of a system to run it, and the list of all.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;
use toml::{Table, Value};

use super::site::Site;
use super::{cassandra, kafka, mysql, postgresql, redis};

/// A real system. Everything it writes lies in `site.dir(name)`.
pub trait System: Sync {
    /// Its name, which is also that of its section in `millstream.toml`, if it has one.
    fn name(&self) -> &'static str;

    /// The names of the ports that it listens on; `port` is its first.
    fn ports(&self) -> &'static [&'static str];

    /// The account that it has to run as when this process is root's.
    fn account(&self) -> Option<&'static str> {
        None
    }

    /// Writes its settings, and makes its data folder.
    fn prepare(&self, site: &Site) -> Result<()>;

    /// How it is started, the first time and again.
    fn command(&self, site: &Site) -> Result<Command>;

    /// Whether it answers a question in its own protocol.
    fn answers(&self, site: &Site) -> bool;

    /// What is to be done once it answers for the first time.
    fn settle(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// The signal that ends it in order.
    fn farewell(&self) -> Signal {
        Signal::TERM
    }

    /// Takes away what its death by SIGKILL may have left outside of its folder.
    fn sweep(&self, _site: &Site) {}

    /// Its section of `millstream.toml`; empty if it has none.
    fn settings(&self, site: &Site) -> Table;

    /// What tests need beside that, for `[services.<name>]`.
    fn extras(&self, site: &Site) -> Table;
}

/// A table of TOML.
pub fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The place of a secret, as a setting names it.
pub fn secret(file: &Path) -> Value {
    table([("file", file.display().to_string().into())]).into()
}

/// Every system.
pub const SYSTEMS: [&'static dyn System; 7] = [
    &kafka::Kafka,
    &cassandra::Cassandra,
    &postgresql::Postgresql,
    &postgresql::pgbouncer::PgBouncer,
    &mysql::Mysql,
    &redis::Redis,
    &redis::RedisCluster,
];

/// The system of that name.
pub fn named(name: &str) -> Option<&'static dyn System> {
    SYSTEMS.into_iter().find(|system| system.name() == name)
}
