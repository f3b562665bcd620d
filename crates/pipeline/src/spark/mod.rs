//! Spark's semantics where DataFusion's differ: arithmetic, windows, dates, and which functions the language has.
//!
//! Everything here is a function or a planning rule of DataFusion; nothing knows statements, tables or flows.

pub mod arithmetic;
pub mod avro;
pub mod cast;
pub mod collections;
pub mod count_distinct;
pub mod datetime;
pub mod decimal;
pub mod extreme_by;
pub mod format;
pub mod functions;
pub mod generators;
pub mod json;
pub mod planner;
pub mod sum;
pub mod window;
