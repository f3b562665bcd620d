//! From text to statements: tokens with places, hand-written statement heads, queries read by sqlparser.
//!
//! Nothing here looks a name up: what a table or a column is, is the business of `check`.

pub(crate) mod aggregates;
pub(crate) mod cursor;
pub(crate) mod duration;
pub(crate) mod fields;
pub(crate) mod functions;
pub(crate) mod generators;
pub(crate) mod heads;
pub(crate) mod idioms;
pub(crate) mod lexer;
pub(crate) mod query;
pub(crate) mod rewrite;
pub(crate) mod statement;
pub(crate) mod type_names;
