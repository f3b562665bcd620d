//! Spark's semantics where DataFusion's differ: arithmetic, windows, dates, and which functions the language has.
//!
//! Everything here is a function or a planning rule of DataFusion; nothing knows statements, tables or flows.

pub mod arithmetic;
pub mod cast;
pub mod datetime;
pub mod decimal;
pub mod format;
pub mod functions;
pub mod planner;
mod results;
pub mod sum;
pub mod window;
