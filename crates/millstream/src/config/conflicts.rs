//! What the settings give away or leave without effect although each alone can be read.

use figment::value::Value;
use millstream_core::{Error, Result};

use super::keys::KEYS;
use super::{Effective, keys};

/// Refuses a secret in a URL and settings of an engine that isn't started, and names them.
pub fn check(effective: &Effective) -> Result<()> {
    if effective.config.kafka.is_some() {
        let set = KEYS.iter().filter(|key| key.name.starts_with("broker.")).find_map(|key| Some((key.name, effective.origin(key.name)?)));
        if let Some((name, origin)) = set {
            return Err(Error::invalid(format!(
                "{name} (from {origin}) is a setting of the built-in Kafka endpoint, which isn't started when [kafka] is configured: remove one of them"
            )));
        }
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
