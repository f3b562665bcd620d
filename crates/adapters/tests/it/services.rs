//! The real systems that tests talk to: the file that `cargo xtask services up` writes, named by `MILLSTREAM_SERVICES`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use millstream_testkit::require;
use serde::de::DeserializeOwned;

/// The settings at `path` (`["postgresql"]`, `["services", "pgbouncer"]`), if `system` is there. A required system that is absent panics.
pub fn settings<T: DeserializeOwned>(system: &str, path: &[&str]) -> Option<T> {
    let table = std::env::var_os("MILLSTREAM_SERVICES").map(|file| {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("MILLSTREAM_SERVICES names {}: {e}", file.display()));
        text.parse::<toml::Table>().expect("the services' file is TOML")
    });
    let section = table.and_then(|table| path.iter().try_fold(toml::Value::Table(table), |value, key| value.get(*key).cloned()));
    if !require(system, section.is_some()) {
        return None;
    }
    section.map(|section| section.try_into().unwrap_or_else(|e| panic!("[{}] of MILLSTREAM_SERVICES: {e}", path.join("."))))
}
