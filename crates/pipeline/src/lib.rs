//! The language: SQL text of Apache Spark Declarative Pipelines to a checked graph of flows, jobs and tables.
//!
//! In two steps, both pure: [`parse`] reads the statements and says which reference tables it needs the columns of (with
//! [`Parsed::within`], those that the configuration puts elsewhere); [`Parsed::check`] gets those and gives a [`Pipeline`](graph::Pipeline), or every error with its place and remedy. This crate
//! knows DataFusion's logical plans and Spark's functions. It opens no file and no socket, runs nothing, and knows no adapter.

mod check;
mod describe;
mod diagnostic;
pub mod explain;
pub mod graph;
mod parsed;
mod plan;
pub mod session;
pub mod signature;
mod spark;
mod suggest;
mod surroundings;
mod syntax;

pub use check::tables::sql_type;
pub use diagnostic::{Diagnostic, Diagnostics};
pub use parsed::{Parsed, SourceFile, parse};
pub use spark::arithmetic::Operation;
pub use spark::functions::{Kinds as FunctionKinds, ORDERED_AGGREGATES, kinds as function_kinds, names as function_names};
pub use spark::window::of_starts_and_ends as window_column;
pub use surroundings::{Abilities, Rebinding, Surroundings};
