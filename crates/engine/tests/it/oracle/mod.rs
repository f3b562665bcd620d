//! The differential suite: Millstream beside Apache Spark.
//!
//! What Spark answers is in golden files below `tests/oracle`, which `cargo xtask oracle` makes (its module says how they look). Here
//! the same expressions run as a streaming flow's ([`expressions`]), and the same queries as pipelines ([`queries`]): straight, in
//! batches of random sizes, with kills and restores, with events doubled and out of order. Values and types have to be equal to the
//! last digit.
//!
//! Where they are not and that has to stay, the file of the cases says so below the case, with the reason ([`stated`]): `=> differs:
//! ...`, `=> refused: ...` or `=> within N ulps: ...`. What the difference is, row for row, is a golden file too, `NAME.differs`,
//! which `MILLSTREAM_BLESS=1` writes. A difference that nobody stated fails, and so does a statement without a difference.

mod counts;
mod expressions;
mod queries;
mod spelling;
mod stated;
mod ways;

use std::path::PathBuf;

/// Where the cases, the events and what Spark says about them are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

/// The files of a folder with this extension, by name.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(self::folder().join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}
