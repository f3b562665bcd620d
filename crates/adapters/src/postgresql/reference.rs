//! [`PostgresReferenceSource`]: a reference table in PostgreSQL, box 6: read whole, in parallel ranges of its pages, in one snapshot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use futures::TryStreamExt;
use millstream_core::ports::ReferenceSource;
use millstream_core::table::timestamp_type;
use millstream_core::{Error, Result};
use tokio::task::JoinSet;
use tokio_postgres::types::Type;

use super::columns::{numeric, quoted};
use super::decode::{BatchBuilder, Wire};
use super::params::value;
use super::pool::{PostgresPool, Transaction};
use super::report::in_schema;
use crate::relational::{Found, ReferenceTable, choose};

const SNAPSHOT: &str = "ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// A batch has at most so many rows, and about so many bytes.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 8 << 20;
/// A range has at least so many pages of 8 KiB, and a table at most so many ranges.
const RANGE_PAGES_MIN: i64 = 512;
const RANGES_MAX: i64 = 16;
/// So many read at the same time, where connections are free.
const READERS: usize = 4;

/// One reference table.
pub struct PostgresReferenceSource {
    pool: PostgresPool,
    table: ReferenceTable,
}

/// What the catalog says of the table.
struct Resolved {
    /// Its name in SQL.
    name: String,
    /// `pg_class.relkind`.
    kind: String,
    schema: SchemaRef,
    wires: Vec<Wire>,
    /// What is selected, a column of `schema` each.
    selected: String,
    /// `WHERE` and the filter, or nothing.
    filter: Option<String>,
}

impl Resolved {
    /// `WHERE` with the filter and `more`, or nothing.
    fn condition(&self, more: Option<String>) -> String {
        let all: Vec<_> = more.into_iter().chain(self.filter.iter().map(|f| format!("({f}\n)"))).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    fn is_stored(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "m")
    }
}

impl PostgresReferenceSource {
    /// The table `table` in the database of `pool`. Opens no connection.
    #[must_use]
    pub fn new(pool: PostgresPool, table: ReferenceTable) -> Self {
        Self { pool, table }
    }

    fn operation(&self) -> String {
        format!("reading table {}", self.table.dbtable)
    }

    async fn resolve(&self, transaction: &Transaction) -> Result<Resolved> {
        let dbtable = &self.table.dbtable;
        if dbtable.contains(['(', ';', '\0']) {
            return Err(Error::invalid(format!(
                "dbtable {dbtable:?} is no name of a table or view: for a query make a view in the database"
            )));
        }
        let in_reports = in_schema(&self.pool.settings().schema, dbtable);
        let rows = transaction
            .query(
                "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text, a.attname::text, \
                 format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname)::text, \
                 CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, coalesce(b.typtype, t.typtype)::text \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
                 JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype \
                 WHERE c.oid = coalesce(to_regclass($1), to_regclass($2)) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
                &[(dbtable, Type::TEXT), (&in_reports, Type::TEXT)],
            )
            .await?;
        let Some(first) = rows.first() else {
            return Err(Error::not_found(format!("PostgreSQL ({}) has no table or view {dbtable}", self.pool.place())));
        };
        let mut found = Vec::new();
        let mut natures = Vec::new();
        for row in &rows {
            let nature = nature(&value::<String>(row, 4)?, value(row, 5)?, &value::<String>(row, 6)?);
            let data_type = nature.as_ref().map(|n| n.data_type.clone());
            found.push(Found { name: value(row, 2)?, sql_type: value(row, 3)?, data_type });
            natures.push(nature);
        }
        let (schema, indices) = choose(&self.table, &found)?;
        let mut wires = Vec::new();
        let mut selected = Vec::new();
        for (field, index) in schema.fields().iter().zip(&indices) {
            let name = quoted(&found[*index].name);
            match &natures[*index] {
                Some(nature) if *field.data_type() != DataType::Utf8 || nature.wire == Wire::Text => {
                    wires.push(nature.wire);
                    selected.push(format!("{name}{}", nature.cast));
                }
                _ => {
                    wires.push(Wire::Text);
                    selected.push(format!("{name}::text"));
                }
            }
        }
        let filter = self.table.filter.clone().filter(|f| !f.trim().is_empty());
        let selected = if selected.is_empty() { "1".to_owned() } else { selected.join(", ") };
        Ok(Resolved { name: value(first, 0)?, kind: value(first, 1)?, schema, wires, selected, filter })
    }

    async fn begin(&self) -> Result<Transaction> {
        self.pool.begin(self.operation(), SNAPSHOT).await
    }

    async fn revision_in(&self, transaction: &Transaction) -> Result<String> {
        let table = self.resolve(transaction).await?;
        let (name, condition) = (&table.name, table.condition(None));
        let text = if matches!(table.kind.as_str(), "r" | "m" | "p") {
            // A row that is written gets a transaction number and a place of its own.
            format!(
                "SELECT concat_ws('-', pg_relation_filenode($1::text::regclass), count(*), \
                 sum(hashtextextended(tableoid::text || ctid::text || xmin::text, 0))) FROM {name}{condition}"
            )
        } else {
            let selected = &table.selected;
            format!(
                "SELECT concat_ws('-', $1::text, count(*), sum(hashtextextended(r::text, 0))) FROM (SELECT {selected} FROM {name}{condition}) r"
            )
        };
        let rows = transaction.query(&text, &[(name, Type::TEXT)]).await?;
        rows.first().map_or_else(|| Err(Error::internal("PostgreSQL did not count a table's rows")), |row| value(row, 0))
    }

    /// What the catalog says, asked in a transaction of its own.
    async fn describe(&self) -> Result<Resolved> {
        let transaction = self.begin().await?;
        let resolved = self.resolve(&transaction).await;
        transaction.end(resolved).await
    }

    /// Reads the table in `transaction`, and in others that help where connections are free: they share its snapshot.
    async fn load_in(&self, transaction: &Transaction, table: Resolved) -> Result<Vec<RecordBatch>> {
        // Before the snapshot: a TRUNCATE that came between the two would show to it, for TRUNCATE keeps no old rows.
        if matches!(table.kind.as_str(), "r" | "p" | "v") {
            transaction.run(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", table.name)).await?;
        }
        let ranges = if table.is_stored() { ranges(transaction, &table.name).await? } else { Vec::new() };
        if ranges.is_empty() {
            return read(transaction, &table, None).await;
        }
        let snapshot = transaction.query("SELECT pg_export_snapshot()", &[]).await?;
        let snapshot: String =
            snapshot.first().map_or_else(|| Err(Error::internal("PostgreSQL exported no snapshot")), |row| value(row, 0))?;
        let job = Arc::new(Job { table, snapshot, left: Mutex::new(ranges.into_iter().enumerate().collect()), done: Mutex::default() });
        let all = job.left().len();
        let mut helpers = JoinSet::new();
        for _ in 1..READERS {
            helpers.spawn(help(self.pool.clone(), self.operation(), job.clone()));
        }
        job.work(transaction).await?;
        // Those that still wait for a connection have nothing left to do.
        while job.done().len() < all {
            let ended = helpers.join_next().await.ok_or_else(|| Error::internal("a range of a reference table was read by nobody"))?;
            ended.map_err(|e| Error::internal("a reader of a reference table ended abnormally").caused_by(e))??;
        }
        let mut parts = std::mem::take(&mut *job.done());
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts.into_iter().flat_map(|(_, batches)| batches).collect())
    }
}

/// A table's ranges, and who reads them.
struct Job {
    table: Resolved,
    snapshot: String,
    left: Mutex<VecDeque<(usize, Range)>>,
    done: Mutex<Vec<(usize, Vec<RecordBatch>)>>,
}

impl Job {
    fn left(&self) -> MutexGuard<'_, VecDeque<(usize, Range)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> MutexGuard<'_, Vec<(usize, Vec<RecordBatch>)>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one range after the other until none is left.
    async fn work(&self, transaction: &Transaction) -> Result<()> {
        loop {
            let Some((number, range)) = self.left().pop_front() else { return Ok(()) };
            let batches = read(transaction, &self.table, Some(&range)).await?;
            self.done().push((number, batches));
        }
    }
}

/// Reads ranges on a connection of its own; without one there is no help, and the first reader does it all.
async fn help(pool: PostgresPool, operation: String, job: Arc<Job>) -> Result<()> {
    let Ok(transaction) = pool.begin(operation, SNAPSHOT).await else { return Ok(()) };
    let snapshot = job.snapshot.replace('\'', "''");
    let worked = match transaction.run(&format!("SET TRANSACTION SNAPSHOT '{snapshot}'")).await {
        Ok(()) => job.work(&transaction).await,
        // The first reader may have ended by now, and its snapshot with it.
        Err(_) if job.left().is_empty() => Ok(()),
        Err(error) => Err(error),
    };
    transaction.end(worked).await
}

#[async_trait]
impl ReferenceSource for PostgresReferenceSource {
    async fn schema(&self) -> Result<SchemaRef> {
        Ok(self.describe().await?.schema)
    }

    async fn revision(&self) -> Result<String> {
        let transaction = self.begin().await?;
        let revision = self.revision_in(&transaction).await;
        transaction.end(revision).await
    }

    async fn load(&self) -> Result<Vec<RecordBatch>> {
        // One connection at a time: loads that each wait for a second one could wait for each other.
        let table = self.describe().await?;
        let transaction = self.begin().await?;
        let batches = self.load_in(&transaction, table).await;
        transaction.end(batches).await
    }
}

/// Pages from the first on, up to the second.
type Range = (i64, Option<i64>);

/// The ranges of pages to read at the same time; none: the table is too small for it.
async fn ranges(transaction: &Transaction, name: &str) -> Result<Vec<Range>> {
    let text = "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::int8";
    let rows = transaction.query(text, &[(&name, Type::TEXT)]).await?;
    let pages: i64 = rows.first().map_or(Ok(0), |row| value(row, 0))?;
    let count = (pages / RANGE_PAGES_MIN).clamp(1, RANGES_MAX);
    if count == 1 {
        return Ok(Vec::new());
    }
    // The last has no end: pages may have come since.
    Ok((0..count).map(|n| (n * pages / count, (n + 1 < count).then_some((n + 1) * pages / count))).collect())
}

async fn read(transaction: &Transaction, table: &Resolved, range: Option<&Range>) -> Result<Vec<RecordBatch>> {
    let range = range.map(|(from, to)| match to {
        Some(to) => format!("ctid >= '({from},0)' AND ctid < '({to},0)'"),
        None => format!("ctid >= '({from},0)'"),
    });
    let text = format!("SELECT {} FROM {}{}", table.selected, table.name, table.condition(range));
    let rows = transaction.rows(&text).await?;
    let mut rows = std::pin::pin!(rows);
    let mut builder = BatchBuilder::new(table.schema.clone(), &table.wires)?;
    let mut batches = Vec::new();
    while let Some(row) = transaction.patiently(rows.try_next()).await? {
        builder.push(&row).map_err(|e| e.context(format!("table {}", table.name)))?;
        if builder.rows() >= BATCH_ROWS || builder.bytes() >= BATCH_BYTES {
            batches.push(builder.finish()?);
        }
    }
    if builder.rows() > 0 {
        batches.push(builder.finish()?);
    }
    Ok(batches)
}

/// How the values of a type are asked for and read.
struct Nature {
    data_type: DataType,
    wire: Wire,
    cast: &'static str,
}

/// The nature of the type called `name` with its modifier; `kind` is `pg_type.typtype`.
fn nature(name: &str, modifier: i32, kind: &str) -> Option<Nature> {
    let plain = |data_type, wire| Some(Nature { data_type, wire, cast: "" });
    match name {
        "bool" => plain(DataType::Boolean, Wire::Bool),
        "int2" => plain(DataType::Int16, Wire::Int2),
        "int4" => plain(DataType::Int32, Wire::Int4),
        "int8" => plain(DataType::Int64, Wire::Int8),
        "oid" => Some(Nature { data_type: DataType::Int64, wire: Wire::Int8, cast: "::int8" }),
        "float4" => plain(DataType::Float32, Wire::Float4),
        "float8" => plain(DataType::Float64, Wire::Float8),
        "numeric" => plain(numeric(modifier)?, Wire::Numeric),
        "text" | "varchar" | "bpchar" => plain(DataType::Utf8, Wire::Text),
        "bytea" => plain(DataType::Binary, Wire::Bytea),
        "date" => plain(DataType::Date32, Wire::Date),
        "timestamptz" => plain(timestamp_type(), Wire::Timestamp),
        "timestamp" => plain(DataType::Timestamp(TimeUnit::Microsecond, None), Wire::Timestamp),
        "name" | "char" | "uuid" | "json" | "jsonb" | "xml" => Some(Nature { data_type: DataType::Utf8, wire: Wire::Text, cast: "::text" }),
        _ if kind == "e" => Some(Nature { data_type: DataType::Utf8, wire: Wire::Text, cast: "::text" }),
        _ => None,
    }
}
