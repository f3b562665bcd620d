//! How far each flow has come in each table: the table `millstream_epochs`, changed by conditional writes alone.
//!
//! `(table_name, table_id)` is its partition key and `flow` its clustering key: so a table that was dropped and made again begins anew. The
//! static columns are the head of the table's change feed, see [`feed`](super::feed); being in the same partition, they change in one
//! conditional write with a flow's epoch.

use std::collections::BTreeMap;

use millstream_core::admission::{Admission, FlowProgress};
use millstream_core::ports::EpochWrite;
use millstream_core::{Attempt, Epoch, Error, FlowId, Result};
use scylla::response::query_result::QueryResult;

use super::client::{self, Client, Use};
use super::compare::OwnColumn;
use super::settings::CassandraSettings;
use super::table::{self, Table, qualified};

/// The table that holds the epochs of all tables of the keyspace.
pub(super) const EPOCHS: &str = "millstream_epochs";
/// How often a conditional write is tried again when another one came between.
const TRIES: usize = 32;

/// How far a flow has come in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The highest attempt that began.
    pub attempt: Attempt,
    /// The last committed epoch; 0 before the first.
    pub epoch: Epoch,
    /// The commit that the table's change log has decided, of whichever flow, and the one that it shows. They differ while one is applied.
    pub decided: Option<i64>,
    pub published: Option<i64>,
}

impl Progress {
    /// The progress that stands in a row of the table of epochs.
    pub fn new(attempt: i64, epoch: i64, decided: Option<i64>, published: Option<i64>) -> Self {
        Self { attempt: Attempt(number(attempt)), epoch: Epoch(number(epoch)), decided, published }
    }

    fn reached(self) -> FlowProgress {
        FlowProgress { attempt: self.attempt, epoch: self.epoch }
    }

    /// Whether `write` may be committed. Only an attempt that began writes: the conditional write asks for it.
    pub fn admit(self, write: &EpochWrite) -> Result<Admission> {
        let admission = self.reached().admit(write).map_err(|e| e.context("Cassandra"))?;
        if admission == Admission::Write && write.attempt > self.attempt {
            return Err(Error::invalid(format!(
                "Cassandra: attempt {} of flow {} writes epoch {} to table {} and never began; attempt {} did",
                write.attempt, write.flow, write.epoch, write.table, self.attempt
            )));
        }
        Ok(admission)
    }

    /// Whether `attempt` may begin.
    fn check_attempt(self, flow: &FlowId, attempt: Attempt, table: &str) -> Result<()> {
        self.reached().check_attempt(flow, attempt, table).map_err(|e| e.context("Cassandra"))
    }
}

/// A number as CQL's `bigint`. Attempts and epochs are counted, and never come near the end.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(bigint: i64) -> u64 {
    u64::try_from(bigint).unwrap_or(0)
}

/// The columns of the table of epochs. On Cosmos DB, which keeps change feeds itself, there are no heads of change logs.
fn own_columns(is_cosmos_db: bool) -> Vec<OwnColumn> {
    let list = "frozen<list<bigint>>";
    let statics = [
        ("first", "bigint"),
        ("decided", "bigint"),
        ("decided_flow", "text"),
        ("decided_attempt", "bigint"),
        ("decided_epoch", "bigint"),
        ("decided_totals", list),
        ("published", "bigint"),
        ("totals", list),
        ("has_deletes", "boolean"),
    ];
    let others = [
        ("table_name", "text", "partition_key"),
        ("table_id", "text", "partition_key"),
        ("flow", "text", "clustering"),
        ("attempt", "bigint", "regular"),
        ("epoch", "bigint", "regular"),
    ];
    let statics = statics.into_iter().filter(|_| !is_cosmos_db).map(|(name, cql)| (name, cql, "static"));
    others.into_iter().chain(statics).map(|(name, cql, kind)| (name.to_owned(), cql.to_owned(), kind)).collect()
}

/// Makes the table of epochs where it is absent.
pub(super) async fn ensure(client: &Client) -> Result<()> {
    if let Some(present) = super::schema::look(client, EPOCHS).await? {
        return super::schema::check_own(client, EPOCHS, &present, &own_columns(client.settings.is_cosmos_db()));
    }
    client.change_schema(&create(&client.settings)).await
}

fn create(settings: &CassandraSettings) -> String {
    let is_cosmos_db = settings.is_cosmos_db();
    let columns = own_columns(is_cosmos_db).into_iter().map(|(name, cql, kind)| {
        let suffix = if kind == "static" { " static" } else { "" };
        format!("{name} {cql}{suffix}")
    });
    let comment = "comment = 'millstream epochs 1: how far each flow has come in each table'".to_owned();
    let options = if is_cosmos_db { table::cosmos_options(settings) } else { Vec::new() };
    format!(
        "CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ((table_name, table_id), flow)) WITH {}",
        qualified(settings, EPOCHS),
        columns.collect::<Vec<_>>().join(", "),
        std::iter::once(comment).chain(options).collect::<Vec<_>>().join(" AND ")
    )
}

/// Forgets how far the flows of a table have come that is gone: where nobody promises that the next one of its name has another id.
pub(super) async fn forget(client: &Client, table: &str, id: &str) -> Result<()> {
    if super::schema::look(client, EPOCHS).await?.is_none() {
        return Ok(());
    }
    let operation = format!("forgetting the epochs of table {table}");
    let statement =
        client.prepare(Use::QuorumWrite, &format!("DELETE FROM {} WHERE table_name = ? AND table_id = ?", name(client))).await?;
    client.write(&operation, &statement, (table, id)).await
}

/// The name of the table of epochs, as it stands in statements.
pub(super) fn name(client: &Client) -> String {
    qualified(&client.settings, EPOCHS)
}

/// The progress of `flow`, read as `used` says; `None` before it began.
pub(super) async fn read(client: &Client, table: &Table, flow: &FlowId, used: Use) -> Result<Option<Progress>> {
    let operation = format!("reading how far flow {flow} has come in table {}", table.spec.name);
    let head = if client.settings.is_cosmos_db() { "" } else { ", decided, published" };
    let cql = format!("SELECT attempt, epoch{head} FROM {} WHERE table_name = ? AND table_id = ? AND flow = ?", name(client));
    let statement = client.prepare(used, &cql).await?;
    let values = (table.spec.name.as_str(), table.id.as_str(), flow.as_str());
    let answer = client.execute(&operation, &statement, values).await?;
    if client.settings.is_cosmos_db() {
        let rows = client::typed::<(i64, i64)>(&operation, answer)?;
        return Ok(rows.first().map(|(attempt, epoch)| Progress::new(*attempt, *epoch, None, None)));
    }
    let rows = client::typed::<(i64, i64, Option<i64>, Option<i64>)>(&operation, answer)?;
    Ok(rows.first().map(|(attempt, epoch, decided, published)| Progress::new(*attempt, *epoch, *decided, *published)))
}

/// The committed epochs of all flows into `table`.
pub(super) async fn all(client: &Client, table: &Table) -> Result<BTreeMap<FlowId, Epoch>> {
    let operation = format!("reading the epochs of table {}", table.spec.name);
    let cql = format!("SELECT flow, epoch FROM {} WHERE table_name = ? AND table_id = ?", name(client));
    let statement = client.prepare(Use::QuorumRead, &cql).await?;
    let answer = client.execute(&operation, &statement, (table.spec.name.as_str(), table.id.as_str())).await?;
    // A partition whose static columns alone are set is a row without a flow.
    let rows = client::typed::<(Option<String>, Option<i64>)>(&operation, answer)?;
    Ok(rows.into_iter().filter_map(|(flow, epoch)| Some((FlowId::new(flow?), Epoch(number(epoch?))))).collect())
}

/// Begins `attempt`: fences the lower ones and returns the last committed epoch. `None`: an epoch is decided and not applied yet, which
/// has to be finished first, for it may be this flow's.
pub(super) async fn begin(client: &Client, table: &Table, flow: &FlowId, attempt: Attempt) -> Result<Option<Epoch>> {
    let operation = format!("beginning flow {flow} in table {}", table.spec.name);
    let key = (table.spec.name.as_str(), table.id.as_str(), flow.as_str());
    for _ in 0..TRIES {
        let before = read(client, table, flow, Use::SerialRead).await?;
        before.unwrap_or_default().check_attempt(flow, attempt, &table.spec.name)?;
        let applied = match before {
            Some(before) if before.decided != before.published => return Ok(None),
            Some(before) if attempt == before.attempt => return Ok(Some(before.epoch)),
            Some(before) => {
                let condition = if client.settings.is_cosmos_db() { "" } else { " AND decided = ?" };
                let cql = format!(
                    "UPDATE {} SET attempt = ? WHERE table_name = ? AND table_id = ? AND flow = ? IF attempt = ? AND epoch = ?{condition}",
                    name(client)
                );
                let statement = client.prepare(Use::Conditional, &cql).await?;
                let (old, epoch) = (bigint(before.attempt.0), bigint(before.epoch.0));
                let answer = if condition.is_empty() {
                    let values = (bigint(attempt.0), key.0, key.1, key.2, old, epoch);
                    client.execute(&operation, &statement, values).await?
                } else {
                    let values = (bigint(attempt.0), key.0, key.1, key.2, old, epoch, before.decided);
                    client.execute(&operation, &statement, values).await?
                };
                is_applied(&operation, answer)?.then_some(before.epoch)
            }
            None => {
                let cql = format!(
                    "INSERT INTO {} (table_name, table_id, flow, attempt, epoch) VALUES (?, ?, ?, ?, 0) IF NOT EXISTS",
                    name(client)
                );
                let statement = client.prepare(Use::Conditional, &cql).await?;
                let values = (key.0, key.1, key.2, bigint(attempt.0));
                is_applied(&operation, client.execute(&operation, &statement, values).await?)?.then_some(Epoch(0))
            }
        };
        if applied.is_some() {
            return Ok(applied);
        }
    }
    Err(Error::unavailable(format!("{operation}: other processes changed it {TRIES} times in between")))
}

/// Commits the epoch of `write`, whose rows are written: the one step that makes it the last committed one.
pub(super) async fn commit(client: &Client, table: &Table, write: &EpochWrite) -> Result<()> {
    let operation = format!("committing epoch {} of flow {} into table {}", write.epoch, write.flow, write.table);
    let cql =
        format!("UPDATE {} SET epoch = ? WHERE table_name = ? AND table_id = ? AND flow = ? IF attempt = ? AND epoch = ?", name(client));
    let statement = client.prepare(Use::Conditional, &cql).await?;
    let (epoch, attempt) = (bigint(write.epoch.0), bigint(write.attempt.0));
    let values = (epoch, table.spec.name.as_str(), table.id.as_str(), write.flow.as_str(), attempt, epoch - 1);
    if is_applied(&operation, client.execute(&operation, &statement, values).await?)? {
        return Ok(());
    }
    // Another attempt began while the rows were written, or an earlier try of this very write came through after all.
    match read(client, table, &write.flow, Use::SerialRead).await?.unwrap_or_default().admit(write)? {
        Admission::Done => Ok(()),
        Admission::Write => Err(Error::unavailable(format!("{operation}: the condition was not met, and now would be"))),
    }
}

/// Whether a conditional write was applied (the answer's first column says so).
pub(super) fn is_applied(operation: &str, answer: QueryResult) -> Result<bool> {
    let rows = client::rows(operation, answer)?;
    let mut applied = false;
    client::cells(operation, &rows, |cells| {
        applied = cells.first().is_some_and(|c| *c == Some([1].as_slice()));
        Ok(())
    })?;
    Ok(applied)
}

#[cfg(test)]
mod tests;
