//! Names in CQL: what a keyspace or table may be called, and how names and texts stand in a statement. Pure.

use millstream_core::{Error, Result};

/// The longest name of a keyspace or table.
const NAME_MAX: usize = 48;

/// Checks the name of a keyspace or table: letters, digits and underscores, at most 48 of them, whether quoted or not (CQL, "Definitions").
pub(super) fn check(what: &str, name: &str) -> Result<()> {
    let fits = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what}: {name:?} can't be a name in Cassandra, which takes letters, digits and underscores, at most {NAME_MAX}"
    )))
}

/// `name` as a quoted identifier: upper and lower case, and reserved words, stay what they are.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a string constant.
pub(super) fn constant(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
