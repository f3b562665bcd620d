//! Rows sent to their table: unlogged batches of one partition each, a bounded number at a time.

use futures::{StreamExt, TryStreamExt};
use millstream_core::{Result, Timestamp};
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;

use super::client::Client;
use super::rows::{How, RowWrite, Rows};
use super::table::Table;

/// Writes the rows `which` of `rows` as of `now`; `is_new` says of which no earlier version can be there. Order among them doesn't
/// matter: each key is in it once, and versions decide.
pub(super) async fn send(
    client: &Client,
    table: &Table,
    rows: &Rows,
    which: &[usize],
    is_new: &(dyn Fn(usize) -> bool + Sync),
    now: Timestamp,
) -> Result<()> {
    if which.is_empty() {
        return Ok(());
    }
    let insert = client.prepare(table.writes(), &table.insert()).await?;
    let delete = client.prepare(table.writes(), &table.delete()).await?;
    let operation = format!("writing to table {}", table.spec.name);
    let batches = rows.batches(which);
    let statements = Statements { insert: &insert, delete: &delete };
    let mut sent = Vec::with_capacity(batches.len());
    for batch in batches {
        let writes: Vec<RowWrite<'_>> = batch.into_iter().filter_map(|row| rows.write(table, row, is_new(row), now)).collect();
        sent.push(send_one(client, &operation, statements, writes));
    }
    futures::stream::iter(sent).buffer_unordered(client.settings.writes_in_flight).try_collect::<()>().await
}

#[derive(Clone, Copy)]
struct Statements<'a> {
    insert: &'a PreparedStatement,
    delete: &'a PreparedStatement,
}

impl<'a> Statements<'a> {
    fn of(self, how: How) -> &'a PreparedStatement {
        match how {
            How::Insert { .. } => self.insert,
            How::Delete => self.delete,
        }
    }
}

/// Writes rows of one partition.
async fn send_one(client: &Client, operation: &str, statements: Statements<'_>, writes: Vec<RowWrite<'_>>) -> Result<()> {
    match writes.as_slice() {
        [] => Ok(()),
        [one] => client.write(operation, statements.of(one.how), *one).await,
        several => {
            let parts = several.iter().map(|w| BatchStatement::PreparedStatement(statements.of(w.how).clone())).collect();
            let mut batch = Batch::new_with_statements(BatchType::Unlogged, parts);
            batch.set_is_idempotent(true);
            client.batch(operation, &batch, writes).await
        }
    }
}
