//! What a table in the lake can hold.

use millstream_core::table::is_column_type;
use millstream_core::{Error, Result, TableKind, TableSpec};

/// Refuses what a lake table can't be. Parquet holds every value of every type that a column can have. `check` calls this before anything runs.
pub fn check_table(spec: &TableSpec) -> Result<()> {
    spec.validate()?;
    if spec.kind != TableKind::Lake {
        return Err(Error::internal(format!("table {} ({}) is no lake table", spec.name, spec.kind.as_str())));
    }
    if spec.ttl.is_some() {
        return Err(Error::unsupported(format!("lake table {} can't have a ttl: rows are only added, take ttl out", spec.name)));
    }
    if spec.schema.fields().is_empty() {
        return Err(Error::unsupported(format!("lake table {} has no column, and Parquet needs one", spec.name)));
    }
    for field in spec.schema.fields() {
        if !is_column_type(field.data_type()) {
            return Err(Error::unsupported(format!(
                "column {} of lake table {} is a {}, which no table has: CAST it",
                field.name(),
                spec.name,
                field.data_type()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
