//! Reference data from files: Parquet, CSV and JSON lines at a local path.
//!
//! Owns listing files, reading them whole, and the types that their columns get (those of
//! [`TableSpec`](millstream_core::TableSpec)'s documentation). Knows nothing of joins, of refresh schedules, or of where a pipeline's
//! folder is: it is given an absolute path.

mod columns;
mod error;
mod files;
mod infer;
mod read;
mod source;

pub use files::LakeFormat;
pub use source::LakeReferenceSource;
