//! Files in a data lake: `file://`, `abfss://`, `s3://` and `gs://`.
//!
//! Owns reference data (Parquet, CSV and JSON lines, read whole, with the types that [`TableSpec`](millstream_core::TableSpec)'s documentation
//! lists), streaming tables of Parquet files, and checkpoints. Knows nothing of joins, of refresh schedules, of flows, or of where a pipeline's folder is: it is
//! given absolute paths and locations.

mod check;
mod checkpoints;
mod client;
mod columns;
mod error;
mod files;
mod infer;
mod location;
mod probe;
mod read;
mod settings;
mod source;
mod table;

pub use check::check_table;
pub use checkpoints::LakeCheckpointStore;
pub use files::LakeFormat;
pub use location::LakeLocation;
pub use probe::{probe, probe_location};
pub use settings::{AzureIdentity, AzureSettings, GcsSettings, LakeSettings, S3Settings};
pub use source::LakeReferenceSource;
pub use table::{LakeTableStore, Maintained};
