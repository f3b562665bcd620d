//! Which settings there are, and what each does: behind "unknown setting", "did you mean", the environment and the reference page.
//!
//! What there is, and what it holds, the settings' own types say ([`shape`](super::shape)); what it does stands here, and a test holds
//! the two together.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Config;
use super::shape::{self, ANY_NAME};

pub use super::shape::Kind;

mod engines;

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

/// The settings of the program itself, in the order of the reference page.
const BUILT_IN: &[Key] = &[
    key("data_dir", "The folder that holds everything. A relative path in a file counts from that file's folder."),
    key("durability", "What an acknowledged write survives: `process`, the death of the process (kill -9); `fsync`, power loss too."),
    key("listen.http", "Address and port of the HTTP API and the status page. Loopback only; port 0 takes a free one."),
    key("listen.kafka", "Address and port of the Kafka endpoint. Loopback only; port 0 takes a free one. Not with `[kafka]`."),
    key("listen.sql", "Address and port of the PostgreSQL endpoint. Loopback only; port 0 takes a free one."),
    key(
        "disk.free_bytes_min",
        "With less free space than this under `data_dir`, in bytes, the built-in Kafka endpoint refuses producers until there is more again. The built-in store refuses writes below half of it, at most 256 MiB.",
    ),
    key("disk.check_interval_ms", "How often the Kafka endpoint looks at the free space, in milliseconds. Not with `[kafka]`."),
    key("engine.epoch_rows_max", "The most source rows that one epoch takes."),
    key("engine.epoch_bytes_max", "About how many bytes are read from a partition at a time; an epoch takes at most eight times as many."),
    key(
        "engine.shared_window_bytes_max",
        "Decoded rows that flows of one source share are kept up to this many bytes; a flow that falls further behind reads for itself.",
    ),
    key(
        "engine.state_memory_bytes_max",
        "The state of all flows together is kept in memory up to this many bytes; beyond that, it is kept on disk, under `data_dir`.",
    ),
    key("engine.state_bytes_max", "A flow whose state, in memory and on disk, outgrows this many bytes stops with an error."),
    key(
        "engine.idle_after_ms",
        "A partition that has been read to its end and silent for this many milliseconds no longer holds the watermark back.",
    ),
    key("engine.checkpoints_kept", "How many full checkpoints a flow keeps, each with the changes after it, to restore from; at least 2."),
    key(
        "checkpoints.location",
        "The folder of one pipeline's checkpoints, so that another machine can go on from them: `s3://bucket/path`, `abfss://container@account.dfs.core.windows.net/path`, `gs://bucket/path`, `file:///path`; `[lake]` says how to log in there. Not set: the built-in store.",
    ),
    key(
        "broker.retention_secs",
        "How long records are kept, in seconds, in topics that don't set it themselves; not set: they are kept for ever.",
    ),
    key("broker.retention_check_secs", "How often records that are older than their retention are removed, in seconds."),
    key("broker.segment_bytes", "A segment file that has reached this size, in bytes, is closed and a new one begun."),
    key("broker.message_bytes_max", "The largest record batch that a producer may send, in bytes (Kafka's `message.max.bytes`)."),
    key("broker.auto_create_topics", "Whether a client that asks for an unknown topic creates it."),
    key("broker.default_partitions", "Partitions of a topic that is created without saying how many."),
    key("broker.partitions_max", "The most partitions that all topics together may have."),
    key(
        "broker.advertised_host",
        "The host name that clients are told to connect to; not set: the address that they reached the endpoint by.",
    ),
    key("broker.connections_max", "The most open connections; further ones are closed immediately."),
    key("broker.request_bytes_max", "The largest request, in bytes."),
    key("broker.in_flight_bytes_max", "Bytes of requests that may be in memory at once, over all connections; reading waits beyond that."),
    key("broker.fetch_bytes_max", "The most that one fetch response holds, in bytes; a single larger batch is sent all the same."),
    key("broker.groups_max", "The most consumer groups that may exist at once."),
    key("broker.drain_secs", "How long a shutdown waits for requests that are being answered, in seconds."),
    key("store.cache_bytes", "Memory for blocks of files that were read, in bytes."),
    key("store.memtable_bytes", "The most that one large keyspace keeps in memory before it writes a file, in bytes (at least 1 MiB)."),
    key("store.journal_bytes", "The most that the journal takes on disk, in bytes (at least 64 MiB)."),
    key("store.critical_front_bytes", "Memory for critical events in front of the store, in bytes. Not with `[redis]`."),
    key("store.feed_retention_s", "How long changes stay in the change feed, in seconds. Not with `[cassandra]`."),
    key(
        "store.tombstone_grace_s",
        "How long a delete is remembered, so that older writes that come later lose, in seconds. Not where `[cassandra]`, `[postgresql]` and `[redis]` are all configured.",
    ),
    key("store.upkeep_interval_s", "How often the space of expired rows, old deletes and old changes of the feed is freed, in seconds."),
    key("http.page_rows_default", "Rows of a page when the request names no `limit`."),
    key("http.page_rows_max", "The largest `limit` that a request may name."),
    key("http.request_timeout_s", "How long a request may take, in seconds; then it is answered with 504."),
    key(
        "http.header_timeout_s",
        "How long a client may take to send the head of a request, in seconds; also how long an idle connection is kept.",
    ),
    key("http.header_bytes_max", "The largest request head in bytes (at least 8,192); a longer one is answered with 431."),
    key("http.uri_bytes_max", "The longest request target in bytes; a longer one is answered with 414."),
    key("http.connections_max", "The most open connections; further ones wait to be accepted."),
    key("http.requests_max", "The most requests at one time; further ones are answered with 503."),
    key("http.cache_bytes_max", "Memory for cached answers, in bytes; 0 keeps none."),
    key("http.cache_age_s_max", "How long a cached answer is fresh, in seconds, unless a write invalidates it sooner."),
    key("http.cache_negative_age_s_max", "The same for an answer without rows."),
    key(
        "http.cache_stale_s_max",
        "How long a cached answer that is no longer fresh may still be given while its store doesn't answer, in seconds.",
    ),
    key(
        "http.critical_timeout_ms",
        "How long a read waits for the store of critical events, in milliseconds; then it goes on from the event store.",
    ),
    key(
        "http.critical_failures_max",
        "After this many failed reads in a row, or when half of the last 64 failed, reads leave that store alone for a while.",
    ),
    key("http.critical_retry_ms", "How long reads leave it alone, in milliseconds, before one tries it again."),
    key("http.drain_s_max", "How long requests may go on after a shutdown began, in seconds."),
    key("sql.connections_max", "The most open connections; a further one is refused with SQLSTATE 53300."),
    key("sql.statement_timeout_s", "How long a statement may run, in seconds, where the client sets no `statement_timeout`; 0: no limit."),
    key("sql.drain_s_max", "How long statements may go on after a shutdown began, in seconds."),
];

/// Every setting, in the order of the reference page. Those of one section stand together.
pub static KEYS: LazyLock<Vec<&'static Key>> = LazyLock::new(|| BUILT_IN.iter().chain(engines::KEYS).collect());

/// What each setting holds, as its type says it.
static KINDS: LazyLock<BTreeMap<String, Kind>> = LazyLock::new(shape::settings::<Config>);

/// Settings of types that serve elsewhere too, which the program says in another place. `engine.fault` is one of test builds: passed on
/// without being shown, and refused by any other build's engine.
#[cfg(test)]
pub const NOT_SHOWN: &[&str] = &["broker.durability", "engine.fault"];

/// Sections that come later. They are refused by name, so that nobody believes that they count.
pub const LATER: &[&str] = &["spark", "system"];

/// Variables of the environment that begin like settings and are none: they steer tests.
pub const NOT_SETTINGS: &[&str] = &["fault", "require", "services", "suite_log"];

/// `name` in `section`; the empty section is the top.
pub fn below(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// `tables.airports.using` as it is listed: `tables.NAME.using`.
fn listed(name: &str) -> String {
    let mut parts: Vec<&str> = name.split('.').collect();
    if let ["tables", chosen, ..] = parts.as_mut_slice() {
        *chosen = ANY_NAME;
    }
    parts.join(".")
}

/// What the setting `name` holds; `None`: there is no such setting. The parts of a secret's place are settings too.
pub fn kind(name: &str) -> Option<Kind> {
    let name = listed(name);
    if let Some(kind) = KINDS.get(&name).filter(|_| name != "broker.durability") {
        return Some(*kind);
    }
    // What lies below a setting: a part of a secret's place, or a name that the user chose, which may hold dots itself.
    name.match_indices('.').find_map(|(dot, _)| match (KINDS.get(&name[..dot])?, &name[dot + 1..]) {
        (Kind::Secret, "env") => Some(Kind::Text),
        (Kind::Secret, "file") => Some(Kind::Path),
        (Kind::Map, _) => Some(Kind::Map),
        _ => None,
    })
}

/// The secret whose place, or a part of it, `name` is.
pub fn secret_of(name: &str) -> Option<&str> {
    let is_secret = |name: &str| KINDS.get(&listed(name)) == Some(&Kind::Secret);
    if is_secret(name) {
        return Some(name);
    }
    name.rsplit_once('.').map(|(above, _)| above).filter(|above| is_secret(above))
}

/// Whether `name` is a section: some setting lies below it.
pub fn is_section(name: &str) -> bool {
    let name = listed(name);
    KINDS.keys().any(|k| k.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether `name` is a setting.
pub fn is_setting(name: &str) -> bool {
    name == "engine.fault" || kind(name).is_some()
}

/// `postgresql.url` is of `[postgresql]`.
pub fn section_title(name: &str) -> String {
    name.rsplit_once('.').map_or_else(|| "the configuration".to_owned(), |(section, _)| format!("[{section}]"))
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
