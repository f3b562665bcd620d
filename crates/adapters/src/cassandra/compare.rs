//! How a table that exists differs from one that is wanted, as a small diff: pure.
//!
//! A line that begins with `-` is what is there, one with `+` what is wanted in its place, as in `diff -u`.

use std::fmt;

use millstream_core::{SortOrder, TableSpec};

use super::column::Column;
use super::table::{COMMENT, HIDDEN};

/// A table of `system_schema`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Its id, as hexadecimal digits.
    pub id: String,
    pub comment: String,
    pub columns: Vec<PresentColumn>,
}

/// A row of `system_schema.columns`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PresentColumn {
    pub name: String,
    /// The CQL type, as CQL spells it.
    pub cql: String,
    /// `partition_key`, `clustering`, `regular` or `static`.
    pub kind: String,
    /// The place within the partition key or the clustering key.
    pub position: i32,
    /// `asc`, `desc` or `none`.
    pub order: String,
}

/// A column of a table that Millstream keeps for itself: name, CQL type, kind.
pub(super) type OwnColumn = (String, String, &'static str);

/// What is done with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It is only read: a column may be narrower than what it is read as, or one for each partition.
    Read,
    /// It is written too: each column has to take every value of the pipeline's.
    Written,
}

impl Present {
    fn key_of(&self, kind: &str) -> Vec<&PresentColumn> {
        let mut columns: Vec<_> = self.columns.iter().filter(|c| c.kind == kind).collect();
        columns.sort_by_key(|c| c.position);
        columns
    }

    pub fn column(&self, name: &str) -> Option<&PresentColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    fn partition_key(&self) -> String {
        self.key_of("partition_key").iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn clustering_key(&self) -> String {
        self.key_of("clustering").iter().map(|c| format!("{} {}", c.name, c.order.to_uppercase())).collect::<Vec<_>>().join(", ")
    }

    /// The table in words, for messages.
    pub fn shape(&self) -> String {
        let mut columns: Vec<_> = self.columns.iter().filter(|c| c.name != HIDDEN).map(|c| format!("{} {}", c.name, c.cql)).collect();
        columns.sort();
        format!("({}); partition key ({}); clustering ({})", columns.join(", "), self.partition_key(), self.clustering_key())
    }

    /// The spec that it was made from, where Millstream made it.
    pub fn fingerprint(&self) -> Option<&str> {
        self.comment.strip_prefix(COMMENT)
    }
}

/// The lines in which two shapes differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diff(Vec<String>);

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is(&mut self, line: impl fmt::Display) {
        self.0.push(format!("  - {line}"));
    }

    fn wanted(&mut self, line: impl fmt::Display) {
        self.0.push(format!("  + {line}"));
    }

    fn key(&mut self, what: &str, is: &str, wanted: &str) {
        if is != wanted {
            self.is(format_args!("{what} ({is})"));
            self.wanted(format_args!("{what} ({wanted})"));
        }
    }

    /// What differs between two fingerprints of tables with the same columns: nullability, precision, TTL.
    pub fn of_fingerprints(is: &str, wanted: &str) -> Self {
        let (old, new) = (pieces(is), pieces(wanted));
        let mut diff = Self::default();
        old.iter().filter(|piece| !new.contains(piece)).for_each(|piece| diff.is(piece));
        new.iter().filter(|piece| !old.contains(piece)).for_each(|piece| diff.wanted(piece));
        diff
    }

    /// How a table of Millstream's own differs from the columns `own`.
    pub fn of_own(present: &Present, own: &[OwnColumn]) -> Self {
        let line = |name: &str, cql: &str, kind: &str| format!("{name} {cql} {kind}");
        let is: Vec<_> = present.columns.iter().map(|c| line(&c.name, &c.cql, &c.kind)).collect();
        let wanted: Vec<_> = own.iter().map(|(name, cql, kind)| line(name, cql, kind)).collect();
        let mut diff = Self::default();
        is.iter().filter(|column| !wanted.contains(column)).for_each(|column| diff.is(column));
        wanted.iter().filter(|column| !is.contains(column)).for_each(|column| diff.wanted(column));
        diff
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The columns of a fingerprint, and what it says beside them. Only for messages: a name with commas in it merely makes other lines.
fn pieces(fingerprint: &str) -> Vec<&str> {
    let (columns, rest) = fingerprint.split_once("); ").unwrap_or((fingerprint, ""));
    let columns = columns.split_once('(').map_or(columns, |(_, columns)| columns);
    let mut depth = 0_i32;
    let between = |c: char| {
        depth += i32::from(matches!(c, '(' | '[' | '{' | '<')) - i32::from(matches!(c, ')' | ']' | '}' | '>'));
        c == ',' && depth == 0
    };
    columns.split(between).chain(rest.split("; ")).map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

/// How `present` differs from what `spec` asks for, whose columns would be created as `created`; its columns where it doesn't.
pub(super) fn compare(spec: &TableSpec, present: &Present, created: &[Column], access: Access) -> Result<Vec<Column>, Diff> {
    let mut diff = Diff::default();
    let mut columns = Vec::new();
    for wanted in created {
        let line = format!("{} {}", wanted.name, wanted.cql.name());
        let Some(found) = present.column(&wanted.name) else {
            diff.wanted(line);
            continue;
        };
        let is_static = found.kind == "static" && access == Access::Written;
        let fits = Column::existing(&wanted.name, &wanted.data_type, &found.cql).filter(|c| access == Access::Read || c.is_writable());
        match fits {
            Some(column) if !is_static => columns.push(column),
            _ => {
                diff.is(format_args!("{} {}{}", found.name, found.cql, if is_static { " static" } else { "" }));
                diff.wanted(line);
            }
        }
    }
    diff.key("partition key", &present.partition_key(), &spec.key.partition.join(", "));
    let word = |order| if order == SortOrder::Desc { "DESC" } else { "ASC" };
    let wanted: Vec<_> = spec.key.clustering.iter().map(|c| format!("{} {}", c.name, word(c.order))).collect();
    diff.key("clustering key", &present.clustering_key(), &wanted.join(", "));
    if diff.is_empty() { Ok(columns) } else { Err(diff) }
}

#[cfg(test)]
pub(super) mod tests;
