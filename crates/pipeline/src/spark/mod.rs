//! Spark's semantics where DataFusion's differ: arithmetic, windows, dates, and which functions the language has.
//!
//! Everything here is a function or a planning rule of DataFusion; nothing knows statements, tables or flows.

pub mod arithmetic;
pub mod arrays;
pub mod average;
pub mod avro;
mod calls;
pub mod cast;
mod castable;
pub mod collections;
mod constant_texts;
pub mod count_distinct;
pub mod csv;
pub mod datetime;
pub mod decimal;
pub mod extreme_by;
pub mod format;
pub(crate) mod frequency;
pub mod functions;
pub mod generators;
pub mod json;
pub mod math;
pub mod moments;
pub mod planner;
pub mod regexp;
pub mod round;
pub mod session;
pub mod spans;
pub mod sum;
mod time_text;
pub mod truncate;
pub mod value_counts;
pub mod window;
pub mod window_time;
pub mod written_cast;
