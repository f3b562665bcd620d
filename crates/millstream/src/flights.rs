//! The flights example inside this program: its pipeline, reference data and events, and the order in which the events are published.
//!
//! It knows Parquet, JSON and arithmetic; it knows no broker, no engine and no terminal. Everything here is a pure function of the
//! data and the options, so that a publisher that was killed can tell from what a topic holds where to go on.

pub mod events;
pub mod faults;
pub mod order;

use std::path::Path;

use bytes::Bytes;
use millstream_core::{Error, Result};

pub use events::Flights;
pub use faults::{Counts, Kind, Publication, Sequence, SequenceOptions};

/// The pipeline and its reference data, by the path they have beside each other.
const FILES: &[(&str, &[u8])] = &[
    ("pipeline.sql", include_bytes!("../../../examples/flights/pipeline.sql")),
    ("reference/airlines.parquet", include_bytes!("../../../examples/flights/reference/airlines.parquet")),
    ("reference/airports.parquet", include_bytes!("../../../examples/flights/reference/airports.parquet")),
    ("reference/planes.parquet", include_bytes!("../../../examples/flights/reference/planes.parquet")),
];

/// The year's flights, as Parquet.
static FLIGHTS: &[u8] = include_bytes!("../../../examples/flights/data/flights.parquet");

/// The topic that the pipeline reads.
pub const TOPIC: &str = "flights";

/// Its number of partitions, as the pipeline says.
pub const PARTITIONS: i32 = 4;

/// The year's flights, as Parquet: those of `file`, or the ones inside this program.
pub fn data(file: Option<&Path>) -> Result<Bytes> {
    match file {
        None => Ok(Bytes::from_static(FLIGHTS)),
        Some(path) => std::fs::read(path)
            .map(Bytes::from)
            .map_err(|e| Error::from(e).context(format!("the flights {} can't be read", path.display()))),
    }
}

/// Writes the pipeline and its reference data below `dir`. Files that are there already with the same bytes are left alone.
pub fn unpack(dir: &Path) -> Result<()> {
    for (name, bytes) in FILES {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|e| Error::from(e).context(format!("the example's file {} can't be written", path.display())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
