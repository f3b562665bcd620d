//! The configuration as text: TOML that can be used as a file, with each value's origin as a comment, and secrets masked.

use std::fmt::Write;

use figment::value::Value;
use figment::{Metadata, Source};

use super::keys::KEYS;
use super::{Config, Effective};

/// What a secret is printed as.
const MASK: &str = "********";

/// The effective settings, section by section.
pub fn effective(effective: &Effective) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if of != section {
            let _ = writeln!(text, "\n[{of}]");
            section = of;
        }
        let Ok(value) = effective.figment.find_value(key.name) else { continue };
        if matches!(value, Value::Empty(..)) {
            let _ = writeln!(text, "# {name} is not set");
            continue;
        }
        let shown = if key.name == "data_dir" {
            toml_string(&effective.config.data_dir.display().to_string())
        } else if is_secret(name) {
            toml_string(MASK)
        } else {
            toml_value(&value)
        };
        let from = effective.figment.find_metadata(key.name).map_or_else(|| "default".to_owned(), |m| origin(m, key.name));
        let _ = writeln!(text, "{name} = {shown}  # {from}");
    }
    text
}

/// The reference page of all settings.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Settings come from, each overriding the ones before: defaults; `millstream.toml` beside the pipeline, or the file that `--config` names; \
         variables of the environment, `MILLSTREAM_` and the setting's name with `__` for the dot (`MILLSTREAM_LISTEN__KAFKA`); flags. \
         An unknown setting is an error. `millstream config print` shows what counts, and where it comes from.\n\n\
         | setting | default | what it does |\n|---|---|---|\n",
    );
    let defaults = Value::serialize(Config::default()).ok();
    for key in KEYS {
        let default = defaults.as_ref().and_then(|d| d.find_ref(key.name)).map_or_else(String::new, |v| match v {
            Value::Empty(..) => "not set".to_owned(),
            value => format!("`{}`", toml_value(value)),
        });
        let _ = writeln!(text, "| `{}` | {default} | {} |", key.name, key.about);
    }
    text
}

/// Where a value comes from, in few words.
pub fn origin(metadata: &Metadata, setting: &str) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => {
            format!("{}{}", super::load::ENV_PREFIX, setting.to_uppercase().replace('.', "__"))
        }
        // Figment names a serialised value after its type: the struct for the defaults, the value's own type for a flag.
        _ if metadata.name.contains("Config") => "default".to_owned(),
        _ => format!("--{}", setting.replace(['.', '_'], "-")),
    }
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "token", "connection_string", "sas"].iter().any(|word| name.contains(word))
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml_string(text),
        Value::Bool(_, flag) => flag.to_string(),
        other => match (other.to_i128(), other.to_u128(), other.to_f64()) {
            (Some(n), _, _) => n.to_string(),
            (_, Some(n), _) => n.to_string(),
            (_, _, Some(n)) => n.to_string(),
            _ => toml_string(&format!("{other:?}")),
        },
    }
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
