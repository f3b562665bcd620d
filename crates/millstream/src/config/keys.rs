//! Which settings there are: the one list behind "unknown setting", "did you mean" and the reference page.

/// A setting: its dotted name, and what it does.
pub struct Key {
    /// The dotted name, as in `listen.kafka`.
    pub name: &'static str,
    /// What it does, as a sentence.
    pub about: &'static str,
}

const fn key(name: &'static str, about: &'static str) -> Key {
    Key { name, about }
}

/// Every setting, in the order of the reference page.
pub const KEYS: &[Key] = &[
    key("data_dir", "The folder that holds everything. A relative path in a file counts from that file's folder."),
    key(
        "durability",
        "What an acknowledged write survives: `process`, the death of the process (kill -9); `fsync`, power loss too.",
    ),
    key("listen.http", "Address and port of the HTTP API and the status page. Loopback only; port 0 takes a free one."),
    key("listen.kafka", "Address and port of the Kafka endpoint. Loopback only; port 0 takes a free one."),
    key("listen.sql", "Address and port of the PostgreSQL endpoint. Loopback only; port 0 takes a free one."),
    key("disk.free_bytes_min", "With less free space than this under `data_dir`, producers are refused until there is more again."),
    key("disk.check_interval_ms", "How often the free space is looked at, in milliseconds."),
    key("engine.epoch_rows_max", "At most so many source rows an epoch."),
    key("engine.epoch_bytes_max", "At most about so many bytes are read from each partition an epoch."),
    key(
        "engine.shared_window_bytes_max",
        "Decoded rows that flows of one source share are kept up to so many bytes; a flow that falls further behind reads for itself.",
    ),
    key("engine.state_bytes_max", "A flow whose state outgrows so many bytes stops with an error."),
    key(
        "engine.idle_after_ms",
        "A partition that is read to its end and silent for so many milliseconds no longer holds the watermark back.",
    ),
    key("engine.checkpoints_kept", "How many committed checkpoints are kept; at least 2."),
    key("engine.reference_refresh_ms", "How often reference data is looked at, in milliseconds, when the table doesn't say."),
];

/// Sections that will choose real engines. They are refused by name, so that nobody believes that they count.
pub const REAL_ENGINES: &[&str] = &["kafka", "cassandra", "postgresql", "mysql", "redis", "lake", "spark", "checkpoints", "tables"];

/// Variables of the environment that begin like settings and are none: they steer tests.
pub const NOT_SETTINGS: &[&str] = &["fault", "require"];

/// Whether `name` is a section: some setting lies below it.
pub fn is_section(name: &str) -> bool {
    KEYS.iter().any(|k| k.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether `name` is a setting.
pub fn is_setting(name: &str) -> bool {
    KEYS.iter().any(|k| k.name == name)
}

/// The setting or section that was likely meant by `name`, if one is near.
pub fn nearest(name: &str) -> Option<&'static str> {
    let sections = KEYS.iter().filter_map(|k| k.name.rsplit_once('.').map(|(section, _)| section));
    let last = name.rsplit('.').next().unwrap_or(name);
    KEYS.iter()
        .map(|k| k.name)
        .chain(sections)
        .map(|candidate| {
            let whole = strsim::jaro_winkler(name, candidate);
            // `port` in the wrong section, or `kafka` at the top: the last part alone may be right.
            let part = if candidate.rsplit('.').next() == Some(last) { 0.9 } else { 0.0 };
            (candidate, whole.max(part))
        })
        .filter(|(_, score)| *score > 0.84)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}
