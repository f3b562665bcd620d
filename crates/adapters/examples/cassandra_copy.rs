//! How fast the driver by itself writes the rows of a table to Cassandra: the limit that a pipeline into that table is measured against.
//!
//! `MILLSTREAM_SERVICES=services.toml cargo run --example cassandra_copy KEYSPACE TABLE [rounds]` reads the table into memory, and writes it to a
//! table of the same making beside it, in unlogged batches of rows of one partition. It prints one line of JSON a round.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement prints, and measures by the machine's own clock")]

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use millstream_adapters::cassandra::CassandraSettings;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};

/// Rows of a batch, all of one partition.
const BATCH_ROWS: usize = 50;

/// 400 days, as the flights pipeline keeps its departures, in seconds.
const TTL_S: i32 = 400 * 86_400;

type Values = Vec<Option<CqlValue>>;

/// A table's columns in the order of the primary key, then the others; the first `partition` of them are the partition key.
struct Columns {
    names: Vec<String>,
    partition: usize,
}

async fn columns(session: &Session, keyspace: &str, table: &str) -> Result<Columns> {
    let query = "SELECT column_name, kind, position FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
    let answer = session.query_unpaged(query, (keyspace, table)).await?.into_rows_result()?;
    let mut columns: Vec<_> = answer.rows::<(String, String, i32)>()?.collect::<Result<_, _>>()?;
    ensure!(!columns.is_empty(), "there is no table {keyspace}.{table}");
    let rank = |kind: &str| ["partition_key", "clustering", "static", "regular"].iter().position(|k| *k == kind);
    columns.sort_by(|a, b| (rank(&a.1), a.2, &a.0).cmp(&(rank(&b.1), b.2, &b.0)));
    let partition = columns.iter().filter(|(_, kind, _)| kind == "partition_key").count();
    Ok(Columns { names: columns.into_iter().map(|(name, ..)| format!("\"{name}\"")).collect(), partition })
}

/// Makes `copy` with the columns, keys and order of `table`.
async fn make_alike(session: &Session, keyspace: &str, table: &str, copy: &str) -> Result<()> {
    let answer = session.query_unpaged(format!("DESCRIBE TABLE \"{keyspace}\".\"{table}\""), ()).await?.into_rows_result()?;
    let (_, _, _, statement) = answer.first_row::<(String, String, String, String)>().context("DESCRIBE gives no statement")?;
    let (head, body) = statement.split_once('(').context("DESCRIBE gives a statement without columns")?;
    ensure!(head.contains(table), "DESCRIBE gives another table: {head}");
    session.query_unpaged(format!("DROP TABLE IF EXISTS \"{keyspace}\".\"{copy}\""), ()).await?;
    session.query_unpaged(format!("CREATE TABLE \"{keyspace}\".\"{copy}\" ({body}"), ()).await?;
    Ok(())
}

/// All rows, in batches of one partition; each row ends with its writetime and TTL.
async fn batches(session: &Session, keyspace: &str, table: &str, columns: &Columns) -> Result<Vec<Vec<Values>>> {
    let query = format!("SELECT {} FROM \"{keyspace}\".\"{table}\"", columns.names.join(", "));
    let mut rows = session.query_iter(query, ()).await?.rows_stream::<Row>()?;
    let mut batches: Vec<Vec<Values>> = Vec::new();
    while let Some(Row { columns: mut row }) = rows.try_next().await? {
        row.push(Some(CqlValue::BigInt(1)));
        row.push(Some(CqlValue::Int(TTL_S)));
        let partition = |row: &Values| row[..columns.partition].to_vec();
        match batches.last_mut().filter(|batch| batch.len() < BATCH_ROWS && partition(&batch[0]) == partition(&row)) {
            Some(batch) => batch.push(row),
            None => batches.push(vec![row]),
        }
    }
    Ok(batches)
}

async fn write(session: &Session, insert: &PreparedStatement, batches: &[Vec<Values>], in_flight: usize) -> Result<()> {
    let write = async |rows: &Vec<Values>| {
        let statements = vec![BatchStatement::PreparedStatement(insert.clone()); rows.len()];
        session.batch(&Batch::new_with_statements(BatchType::Unlogged, statements), rows).await
    };
    let mut written = futures::stream::iter(batches.iter().map(write)).buffer_unordered(in_flight);
    while written.try_next().await?.is_some() {}
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let keyspace = arguments.next().context("no keyspace is named")?;
    let table = arguments.next().context("no table is named")?;
    let rounds: usize = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let file = std::env::var("MILLSTREAM_SERVICES").context("MILLSTREAM_SERVICES names no services file")?;
    let services: toml::Table = toml::from_str(&std::fs::read_to_string(file)?)?;
    let settings: CassandraSettings = services.get("cassandra").context("there is no [cassandra]")?.clone().try_into()?;
    let mut builder = SessionBuilder::new().known_nodes(&settings.contact_points);
    if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
        builder = builder.user(user, password.read("cassandra.password")?.expose());
    }
    let session = builder.build().await?;
    let columns = columns(&session, &keyspace, &table).await?;
    let copy = format!("{table}_copy");
    make_alike(&session, &keyspace, &table, &copy).await?;
    let batches = batches(&session, &keyspace, &table, &columns).await?;
    let rows: usize = batches.iter().map(Vec::len).sum();
    let marks = vec!["?"; columns.names.len()].join(", ");
    let insert =
        format!("INSERT INTO \"{keyspace}\".\"{copy}\" ({}) VALUES ({marks}) USING TIMESTAMP ? AND TTL ?", columns.names.join(", "));
    let mut insert = session.prepare(insert).await?;
    insert.set_is_idempotent(true);
    for _ in 0..rounds {
        let since = Instant::now();
        write(&session, &insert, &batches, settings.writes_in_flight).await?;
        let seconds = since.elapsed().as_secs_f64();
        println!("{}", serde_json::json!({ "rows": rows, "seconds": seconds, "rows_per_s": rows as f64 / seconds }));
    }
    session.query_unpaged(format!("DROP TABLE \"{keyspace}\".\"{copy}\""), ()).await?;
    Ok(())
}
