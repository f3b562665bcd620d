//! A report as a PostgreSQL table: its name, columns and key in SQL, the statements that write it, and whether a table that exists is it.
//!
//! Beside the reports lie three kinds of tables of Millstream's own: `millstream_reports` (each report's shape and published run),
//! `millstream_epochs` (how far each flow has come), and for each table that flows write `millstream_deletes_<table>` (keys that were
//! deleted, with the delete's version).

use std::fmt::Write as _;

use arrow::datatypes::SchemaRef;
use millstream_core::ports::VERSION_COLUMN;
use millstream_core::{Error, ErrorKind, Result, TableSpec, Value};
use tokio_postgres::types::Type;

use super::columns::{list, quoted, sql_type, wire_types};
use super::decode::Wire;
use super::pool::Transaction;

/// The version of Millstream's own tables.
pub(super) const FORMAT: i16 = 1;
/// PostgreSQL cuts longer names (`NAMEDATALEN`).
const NAME_BYTES_MAX: usize = 63;

/// A report that is known.
pub(super) struct Report {
    pub spec: TableSpec,
    /// The indices of the key columns, in key order.
    pub key: Vec<usize>,
    /// The table, with its schema.
    pub table: String,
    /// The table of deletes, with its schema.
    pub deletes: String,
    /// What each column is sent as.
    pub wires: Vec<Wire>,
    /// The type of each column and of its arrays.
    pub types: Vec<(Type, Type)>,
    /// `millstream_reports` and `millstream_epochs`, with their schema.
    pub reports_table: String,
    pub epochs_table: String,
    schema_name: String,
}

impl Report {
    /// The report of `spec` in the schema `schema`. What can't be a table is refused.
    pub fn new(schema: &str, spec: &TableSpec) -> Result<Self> {
        spec.validate()?;
        let name = &spec.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Err(Error::invalid(format!("report {name:?}: a table's name in PostgreSQL has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if name.starts_with("millstream_") {
            return Err(Error::invalid(format!("report {name}: names that begin with millstream_ are Millstream's own; give it another")));
        }
        for field in spec.schema.fields() {
            sql_type(field.data_type()).map_err(|e| e.context(format!("report {name}, column {}", field.name())))?;
            if field.name().len() > NAME_BYTES_MAX || field.name() == VERSION_COLUMN {
                return Err(Error::invalid(format!("report {name}: {:?} can't be a column's name; give it another", field.name())));
            }
        }
        let fields = spec.schema.fields();
        Ok(Self {
            key: spec.key.indices(&spec.schema)?,
            table: in_schema(schema, name),
            deletes: in_schema(schema, &deletes_name(name)),
            wires: fields.iter().map(|f| Wire::of_report(f.data_type())).collect::<Result<_>>()?,
            types: fields.iter().map(|f| wire_types(f.data_type())).collect::<Result<_>>()?,
            reports_table: in_schema(schema, "millstream_reports"),
            epochs_table: in_schema(schema, "millstream_epochs"),
            schema_name: schema.to_owned(),
            spec: spec.clone(),
        })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.spec.schema.fields().iter().map(|f| f.name().as_str())
    }

    /// All columns, each after `prefix`, separated by commas.
    pub fn columns(&self, prefix: &str) -> String {
        list(prefix, self.names())
    }

    /// The key's columns, in key order.
    pub fn key_columns(&self, prefix: &str) -> String {
        list(prefix, self.key.iter().map(|i| self.spec.schema.field(*i).name().as_str()))
    }

    /// `a."k" = b."k" AND ...` over the key.
    pub fn same_key(&self, a: &str, b: &str) -> String {
        let one = |i: &usize| {
            let name = quoted(self.spec.schema.field(*i).name());
            format!("{a}.{name} = {b}.{name}")
        };
        self.key.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// Whether two rows of one key differ in another column.
    pub fn differs(&self, a: &str, b: &str) -> String {
        let others: Vec<_> = self.names().enumerate().filter(|(i, _)| !self.key.contains(i)).map(|(_, name)| name).collect();
        if others.is_empty() {
            return "false".to_owned();
        }
        format!(
            "({}) IS DISTINCT FROM ({})",
            list(&format!("{a}."), others.iter().copied()),
            list(&format!("{b}."), others.iter().copied())
        )
    }

    /// `"c" = excluded."c", ...` for the columns beside the key and `more`.
    pub fn assignments(&self, more: Option<&str>) -> String {
        let others = self.names().enumerate().filter(|(i, _)| !self.key.contains(i)).map(|(_, name)| name).chain(more);
        others.map(|name| format!("{0} = excluded.{0}", quoted(name))).collect::<Vec<_>>().join(", ")
    }

    /// The order of a scan: that of the key's values, texts by their bytes.
    pub fn order(&self) -> String {
        let one = |i: &usize| {
            let field = self.spec.schema.field(*i);
            let by_bytes = if self.wires[*i] == Wire::Text { " COLLATE \"C\"" } else { "" };
            format!("{}{by_bytes}", quoted(field.name()))
        };
        self.key.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// A column's definition. Texts of the key compare by their bytes, as everywhere in Millstream.
    fn definition(&self, index: usize, in_key: bool) -> Result<String> {
        let field = self.spec.schema.field(index);
        let collation = if in_key && self.wires[index] == Wire::Text { " COLLATE \"C\"" } else { "" };
        let null = if in_key || !field.is_nullable() { " NOT NULL" } else { "" };
        Ok(format!("{} {}{collation}{null}", quoted(field.name()), sql_type(field.data_type())?))
    }

    /// The statement that makes the table.
    pub fn create(&self) -> Result<String> {
        let columns =
            (0..self.spec.schema.fields().len()).map(|i| self.definition(i, self.key.contains(&i))).collect::<Result<Vec<_>>>()?;
        Ok(format!("CREATE TABLE {} ({}, PRIMARY KEY ({}))", self.table, columns.join(", "), self.key_columns("")))
    }

    /// The statements that make the table fit for flows.
    pub fn create_for_flows(&self) -> Result<String> {
        if deletes_name(&self.spec.name).len() > NAME_BYTES_MAX {
            return Err(Error::invalid(format!(
                "report {}: the name of a table that flows write has at most 44 bytes; give it a shorter one",
                self.spec.name
            )));
        }
        let keys = self.key.iter().map(|i| self.definition(*i, true)).collect::<Result<Vec<_>>>()?;
        Ok(format!(
            "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} bigint; CREATE TABLE IF NOT EXISTS {} ({}, {} bigint NOT NULL, \
             written timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ({}))",
            self.table,
            quoted(VERSION_COLUMN),
            self.deletes,
            keys.join(", "),
            quoted(VERSION_COLUMN),
            self.key_columns("")
        ))
    }

    /// A key in words: `carrier = UA, day = 2013-07-22`.
    pub fn describe_key(&self, rows: &arrow::array::RecordBatch, row: usize) -> String {
        let one = |i: &usize| {
            let value = match Value::at(rows.column(*i).as_ref(), row) {
                Ok(Some(value)) => value.to_string(),
                _ => "null".to_owned(),
            };
            format!("{} = {value}", self.spec.schema.field(*i).name())
        };
        self.key.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Refuses rows of other columns, and a null in the key or where the spec has NOT NULL. `only_key`: of which rows only the key counts.
    pub fn check(&self, rows: &arrow::array::RecordBatch, only_key: impl Fn(usize) -> bool) -> Result<()> {
        let name = &self.spec.name;
        let shape = |s: &SchemaRef| s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
        if shape(rows.schema_ref()) != shape(&self.spec.schema) {
            return Err(Error::invalid(format!("rows of other columns than those of report {name}")));
        }
        for (i, (array, field)) in rows.columns().iter().zip(self.spec.schema.fields()).enumerate() {
            let in_key = self.key.contains(&i);
            if array.null_count() == 0 || (!in_key && field.is_nullable()) {
                continue;
            }
            if let Some(row) = (0..rows.num_rows()).find(|row| array.is_null(*row) && (in_key || !only_key(*row))) {
                let what = if in_key { "the primary key".to_owned() } else { format!("column {}, which is NOT NULL", field.name()) };
                return Err(Error::invalid(format!("report {name}: a null in {what} ({})", self.describe_key(rows, row))));
            }
        }
        Ok(())
    }

    /// Compares the table in the database with this report. `None`: there is no such table. Else whether flows write it.
    pub async fn look_up(&self, transaction: &Transaction) -> Result<Option<bool>> {
        let rows = transaction
            .query(
                "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                 coalesce(array_position(string_to_array(i.indkey::text, ' ')::int2[], a.attnum), 0) \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
                 LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
                 WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                &[(&self.schema_name, Type::TEXT), (&self.spec.name, Type::TEXT)],
            )
            .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut has_version = false;
        for row in &rows {
            let unreadable = |e| Error::internal("PostgreSQL's catalog answered in another shape").caused_by(e);
            let (name, sql_type): (String, String) = (row.try_get(0).map_err(unreadable)?, row.try_get(1).map_err(unreadable)?);
            let (not_null, place): (bool, i32) = (row.try_get(2).map_err(unreadable)?, row.try_get(3).map_err(unreadable)?);
            if name == VERSION_COLUMN {
                has_version = true;
            } else {
                found.push((name, sql_type, not_null, place));
            }
        }
        let mut wanted = Vec::new();
        for (i, field) in self.spec.schema.fields().iter().enumerate() {
            let place = self.key.iter().position(|k| *k == i).map_or(0, |p| i32::try_from(p).unwrap_or(0) + 1);
            wanted.push((field.name().clone(), sql_type(field.data_type())?, place > 0 || !field.is_nullable(), place));
        }
        let sorted = |columns: &[(String, String, bool, i32)]| {
            let mut columns = columns.to_vec();
            columns.sort();
            columns
        };
        if sorted(&found) == sorted(&wanted) {
            return Ok(Some(has_version));
        }
        Err(Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "table {} exists in PostgreSQL as\n  {}\nand is asked for as\n  {}\nchange it, drop it, or give the report another name",
                self.table,
                describe(&found),
                describe(&wanted)
            ),
        ))
    }
}

fn describe(columns: &[(String, String, bool, i32)]) -> String {
    let mut text = String::new();
    for (name, sql_type, not_null, _) in columns {
        let _ = write!(text, "{}{name} {sql_type}{}", if text.is_empty() { "(" } else { ", " }, if *not_null { " NOT NULL" } else { "" });
    }
    let mut key: Vec<_> = columns.iter().filter(|c| c.3 > 0).collect();
    key.sort_by_key(|c| c.3);
    let _ = write!(text, ", PRIMARY KEY ({}))", key.iter().map(|c| c.0.as_str()).collect::<Vec<_>>().join(", "));
    text
}

/// A table of `schema` in SQL.
pub(super) fn in_schema(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

fn deletes_name(report: &str) -> String {
    format!("millstream_deletes_{report}")
}

/// The statements that make Millstream's own tables in `schema`.
pub(super) fn create_own_tables(schema: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (report text COLLATE \"C\" PRIMARY KEY, format smallint NOT NULL, shape text NOT NULL, \
         run bigint, rows bigint, published timestamptz); \
         CREATE TABLE IF NOT EXISTS {} (report text COLLATE \"C\" NOT NULL, flow text COLLATE \"C\" NOT NULL, attempt bigint NOT NULL, \
         epoch bigint NOT NULL, committed timestamptz, PRIMARY KEY (report, flow))",
        in_schema(schema, "millstream_reports"),
        in_schema(schema, "millstream_epochs")
    )
}

#[cfg(test)]
mod tests;
