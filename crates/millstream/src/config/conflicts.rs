//! What the settings give away or leave without effect although each alone can be read.

use figment::value::Value;
use millstream_core::{Error, Result};

use super::keys::KEYS;
use super::{Config, Effective, keys};

/// Settings of a built-in engine that has nothing to do where all of `sections` are configured.
struct Idle {
    sections: &'static [&'static str],
    /// Their names, or `section.` for all of one.
    settings: &'static [&'static str],
    /// What they are settings of.
    of: &'static str,
}

impl Idle {
    fn holds(&self, name: &str) -> bool {
        self.settings.iter().any(|setting| name == *setting || (setting.ends_with('.') && name.starts_with(setting)))
    }

    /// `[cassandra] and [redis]`.
    fn sections(&self) -> String {
        self.sections.iter().map(|section| format!("[{section}]")).collect::<Vec<_>>().join(" and ")
    }
}

/// `disk.free_bytes_min` is none of them: the built-in store goes by it too, and holds `system.*` whatever serves the boxes.
const IDLE: &[Idle] = &[
    Idle {
        sections: &["kafka"],
        settings: &["broker.", "listen.kafka", "disk.check_interval_ms"],
        of: "the built-in Kafka endpoint, which isn't started",
    },
    Idle { sections: &["cassandra"], settings: &["store.feed_retention_s"], of: "the built-in change feed, which isn't used" },
    Idle { sections: &["redis"], settings: &["store.critical_front_bytes"], of: "the built-in critical store, which isn't used" },
    Idle {
        sections: &["cassandra", "postgresql", "redis"],
        settings: &["store.tombstone_grace_s"],
        of: "tables in the built-in store, which has none",
    },
];

fn idle(config: &Config, name: &str) -> Option<&'static Idle> {
    let real = config.real_engines();
    IDLE.iter().find(|idle| idle.holds(name) && idle.sections.iter().all(|section| real.contains(section)))
}

/// The sections that leave the setting `name` without effect, as they are written: `[kafka]`.
pub fn idle_under(config: &Config, name: &str) -> Option<String> {
    idle(config, name).map(Idle::sections)
}

/// Refuses a secret in a URL and settings that have no effect, and names them.
pub fn check(effective: &Effective) -> Result<()> {
    for key in KEYS.iter() {
        let (Some(idle), Some(origin)) = (idle(&effective.config, key.name), effective.origin(key.name)) else { continue };
        return Err(Error::invalid(format!(
            "{} (from {origin}) is a setting of {} when {} is configured: remove one of them",
            key.name,
            idle.of,
            idle.sections()
        )));
    }
    match effective.figment.extract::<Value>() {
        Ok(values) => passwords(&values, ""),
        Err(_) => Ok(()),
    }
}

/// Refuses a URL that holds a password. The text shows in no message.
fn passwords(value: &Value, name: &str) -> Result<()> {
    match value {
        Value::String(_, text) if holds_password(text) => Err(Error::invalid(format!(
            "{name} is a URL with a password: take it out, and name its place: password = {{ file = \"PATH\" }}"
        ))),
        Value::Array(_, items) => items.iter().try_for_each(|item| passwords(item, name)),
        Value::Dict(_, entries) => entries.iter().try_for_each(|(key, value)| passwords(value, &keys::below(name, key))),
        _ => Ok(()),
    }
}

/// Whether the authority of a URL has a user and a password (RFC 3986, 3.2.1).
fn holds_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}
