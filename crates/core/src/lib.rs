//! Millstream's domain: what a table, a change, a position and an epoch are, the ports through which everything outside is
//! reached, and the one public error type.
//!
//! Core knows Arrow, for that is what rows are made of here. It knows no DataFusion, no SQL text, no socket, no file and no
//! engine: an adapter depends on core, never the reverse. Whatever decides something without doing I/O (which epochs a
//! table takes, row versions, retry delays) is a pure function here; whatever does I/O is a trait in [`ports`].

pub mod admission;
pub mod batches;
pub mod brief;
mod calendar;
pub mod change;
pub mod decode;
pub mod encode;
pub mod error;
pub mod floats;
pub mod ident;
pub mod key;
pub mod pattern;
pub mod ports;
mod raw_bytes;
pub mod retry;
pub mod size;
pub mod status;
pub mod style;
pub mod table;
pub mod time;
pub mod value;

pub use change::{ChangeBatch, ChangeKind, RowPosition};
pub use error::{Error, ErrorKind, Result};
pub use ident::{Attempt, Epoch, FlowId, Offset, TopicPartition};
pub use key::{ClusteringColumn, KeySpec, SortOrder};
pub use size::Size;
pub use table::{TableKind, TableSpec};
pub use time::{EventTime, Timestamp, Version};
pub use value::Value;

/// Makes cargo build this crate again for another clone (see `.cargo/config.toml`).
const _: Option<&str> = option_env!("CLONE_ROOT");
