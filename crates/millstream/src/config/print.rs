//! The configuration as text: TOML that can be used as a file, with each value's origin as a comment. A secret shows as its place, never as
//! its text.

use std::fmt::Write;

use figment::value::Value;
use figment::{Metadata, Source};

use super::keys::{self, KEYS, Key, Kind};
use super::shape::ANY_NAME;
use super::{Effective, conflicts, engines};

/// The effective settings, section by section.
pub fn effective(effective: &Effective) -> String {
    let mut text = String::new();
    let Ok(values) = Value::serialize(&effective.config) else { return text };
    let mut section = String::new();
    for name in listed(effective) {
        let (of, last) = name.rsplit_once('.').unwrap_or(("", &name));
        if of != section {
            section = of.to_owned();
            match values.find_ref(of) {
                Some(Value::Dict(..)) => _ = writeln!(text, "\n[{of}]"),
                _ if engines::is_optional(of) => _ = writeln!(text, "\n# [{of}] is not configured: {}", engines::without(of)),
                _ => {}
            }
        }
        // As a value it would be refused.
        if let Some(sections) = conflicts::idle_under(&effective.config, &name) {
            _ = writeln!(text, "# {last} has no effect with {sections}");
            continue;
        }
        match values.find_ref(&name) {
            Some(Value::Empty(..)) => _ = writeln!(text, "# {last} is not set"),
            Some(value) => _ = writeln!(text, "{last} = {}  # {}", toml_value(value), from(effective, &name)),
            // Its section isn't configured.
            None => {}
        }
    }
    text
}

/// The settings in order; those of named tables once for each table that there is.
fn listed(effective: &Effective) -> Vec<String> {
    let of_tables = |key: &&&Key| key.name.contains(ANY_NAME);
    let fixed = KEYS.iter().filter(|key| !of_tables(key)).map(|key| key.name.to_owned());
    let tables = effective.config.tables.keys().flat_map(|table| {
        let names = KEYS.iter().filter(of_tables);
        names.map(move |key| key.name.replace(ANY_NAME, table))
    });
    fixed.chain(tables).collect()
}

/// Where the value of `setting` comes from, in few words.
fn from(effective: &Effective, setting: &str) -> String {
    // Of a secret's place, its one part was set.
    let parts = match keys::kind(setting) {
        Some(Kind::Secret) => vec![format!("{setting}.env"), format!("{setting}.file")],
        _ => Vec::new(),
    };
    let origin = parts.iter().map(String::as_str).chain([setting]).find_map(|name| effective.origin(name));
    origin.unwrap_or_else(|| "default".to_owned())
}

/// The reference page of all settings.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Settings come from these places, each overriding the ones before it: defaults; `millstream.toml` beside the pipeline, or the file that `--config` names; \
         variables of the environment, `MILLSTREAM_` and the setting's name with `__` for the dot (`MILLSTREAM_LISTEN__KAFKA`); flags. \
         An unknown setting is an error, and so is one of a built-in engine whose place a real one has taken. `millstream config print` shows what counts, and where it comes from.\n\n\
         A list in a variable is written with commas (`MILLSTREAM_CASSANDRA__CONTACT_POINTS=10.0.0.4:9042,10.0.0.5:9042`). A secret is a place, \
         `{ env = \"VARIABLE\" }` or `{ file = \"PATH\" }`, never text, and in a variable `MILLSTREAM_POSTGRESQL__PASSWORD__FILE`; it is read whenever a \
         connection is made, so that a rotated one is picked up without a restart. A relative path in a file counts from that file's folder.\n\n\
         Without the section of an engine, the built-in one serves. `millstream check --config FILE` checks a configuration without a connection, \
         `millstream check PIPELINE --config FILE --probe` tries every connection.\n",
    );
    let defaults = Value::serialize(engines::examples()).ok();
    let mut section = None;
    for key in KEYS.iter() {
        let of = key.name.rsplit_once('.').map_or("", |(section, _)| section);
        if section != Some(of) {
            section = Some(of);
            let title = if of.is_empty() { "The whole program".to_owned() } else { format!("`[{of}]`") };
            let about = engines::about(of).map(|about| format!("{about}\n\n")).unwrap_or_default();
            let _ = write!(text, "\n## {title}\n\n{about}| setting | default | what it does |\n|---|---|---|\n");
        }
        let default = match defaults.as_ref().and_then(|d| d.find_ref(key.name)) {
            _ if engines::is_required(key.name) => "required".to_owned(),
            None | Some(Value::Empty(..)) => "not set".to_owned(),
            Some(value) => format!("`{}`", toml_value(value)),
        };
        let _ = writeln!(text, "| `{}` | {default} | {} |", key.name, key.about);
    }
    text
}

/// Where a value comes from, in few words.
pub fn origin(metadata: &Metadata, setting: &str) -> String {
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => super::layers::variable_of(setting),
        // Figment names a serialised value after its type: the struct for the defaults, the value's own type for a flag.
        _ if metadata.name.contains("Config") => "default".to_owned(),
        _ => format!("--{}", setting.replace(['.', '_'], "-")),
    }
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::String(_, text) => toml_string(text),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{} = {}", toml_key(key), toml_value(value));
            let entries: Vec<_> = entries.iter().map(entry).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        other => match (other.to_i128(), other.to_u128(), other.to_f64()) {
            (Some(n), _, _) => n.to_string(),
            (_, Some(n), _) => n.to_string(),
            (_, _, Some(n)) => n.to_string(),
            _ => toml_string(&format!("{other:?}")),
        },
    }
}

fn toml_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { key.to_owned() } else { toml_string(key) }
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
